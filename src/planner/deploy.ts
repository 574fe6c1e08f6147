import { environmentGroup } from '#src/model/concurrency.ts';
import { imageJobs } from '#src/model/environment.ts';
import type { Value } from '#src/model/evaluate.ts';
import type { Trigger } from '#src/model/event.ts';
import { comesFromFork } from '#src/model/trust.ts';
import { matchesPattern } from '#src/model/pattern.ts';
import type { EnvironmentSpec, Pipeline } from '#src/model/pipeline.ts';
import type { DeployWork, PlannedJob } from '#src/model/plan.ts';
import { list } from '#src/model/suggest.ts';
import { fillStrategy, fillUrl } from './fill.ts';

/** The environments that the event deploys to. Strangers, pull requests and merge groups deploy nowhere. */
export function matchingEnvironments(pipeline: Pipeline, trigger: Trigger): readonly EnvironmentSpec[] {
  if (comesFromFork(trigger)) return [];
  return pipeline.environments.filter(({ name, on }) => {
    if (trigger.kind === 'deploy') return name === trigger.environment;
    if (trigger.kind === 'push') return on.branches.some((pattern) => matchesPattern(pattern, trigger.branch));
    if (trigger.kind === 'tag') return on.tags.some((pattern) => matchesPattern(pattern, trigger.tag));
    return false;
  });
}

/** The environments to which a release that is published on GitHub goes. */
export function releaseEnvironments(environments: readonly EnvironmentSpec[]): readonly EnvironmentSpec[] {
  return environments.filter((environment) => environment.on.releases);
}

/** Null if the pipeline can do what was asked for, otherwise what to say. */
export function refuseDeploy(pipeline: Pipeline, trigger: Trigger): string | null {
  if (trigger.kind !== 'deploy') return null;
  const name = trigger.environment;
  const environment = pipeline.environments.find((candidate) => candidate.name === name);
  if (environment === undefined) {
    const names = pipeline.environments.map((candidate) => candidate.name);
    if (names.length === 0) return `There is no environment "${name}": ${pipeline.file} has no environments.`;
    return `There is no environment "${name}". ${pipeline.file} has: ${names.join(', ')}.`;
  }
  if (trigger.mode !== 'promote') return null;
  const given = Object.keys(trigger.restore?.images ?? {});
  const missing = imageJobs(environment).find((id) => !given.includes(id));
  if (missing === undefined) return null;
  const has = given.length === 0 ? 'none at all' : `only ${list(given)}`;
  return `"${name}" needs the image of the job "${missing}", and the deployment that is promoted has ${has}. Deploy the commit with /deploy ${name}.`;
}

/** The image jobs that the environments roll out and what those and `also` need, less what is done already. */
export function chooseForDeploy(
  jobs: readonly PlannedJob[],
  environments: readonly EnvironmentSpec[],
  also: readonly PlannedJob[],
  done: ReadonlySet<string>,
): readonly PlannedJob[] {
  const images = new Set(environments.flatMap(imageJobs));
  const chosen = new Set(jobs.filter((job) => images.has(job.id) && !done.has(job.key)).map((job) => job.key));
  for (const need of also.flatMap((job) => job.needs)) if (!done.has(need)) chosen.add(need);
  const byKey = new Map(jobs.map((job) => [job.key, job]));
  for (const key of chosen) {
    for (const need of byKey.get(key)?.needs ?? []) if (!done.has(need)) chosen.add(need);
  }
  return jobs.filter((job) => chosen.has(job.key));
}

/**
 * A deploy job for each environment, after every other job of the run and the deployments to the environments that come
 * before. Jobs that this event skips don't hold it up; the images that it rolls out must be there. `all` are the jobs of
 * the pipeline, `jobs` those of this run, `environments` all that there are.
 */
export function deployJobs(
  environments: readonly EnvironmentSpec[],
  of: {
    readonly all: readonly PlannedJob[];
    readonly jobs: readonly PlannedJob[];
    readonly environments: readonly EnvironmentSpec[];
  },
  trigger: Trigger,
  event: Value,
): readonly PlannedJob[] {
  const { all, jobs } = of;
  const names = new Set(environments.map((environment) => environment.name));
  return environments.map((environment) => {
    const images = imageJobs(environment);
    const built = images.filter((id) => jobs.some((job) => job.id === id));
    const skipped = all.find((job) => images.includes(job.id) && job.skip !== null && jobs.includes(job));
    const before = environment.rules.after.filter((name) => names.has(name));
    return {
      key: `deploy ${environment.name}`,
      id: `deploy:${environment.name}`,
      needs: [...jobs.map((job) => job.key), ...before.map((name) => `deploy ${name}`)],
      if: ['!failure()', '!cancelled()', ...built.map((id) => `needs['${id}'].result == 'success'`)].join(' && '),
      matrix: {},
      skip: skipped ? `The job "${skipped.key}" doesn't build its image: ${skipped.skip}` : null,
      continueOnError: false,
      timeoutMinutes: environment.timeoutMinutes,
      // Never repeated by itself.
      retries: 0,
      concurrency: {
        group: environmentGroup(environment.name),
        cancelInProgress: false,
        queue: environment.queue === 'all' ? 'max' : 'single',
      },
      priority: 2,
      work: deployWork(environment, of.environments, trigger, event),
    } as const satisfies PlannedJob;
  });
}

function deployWork(
  environment: EnvironmentSpec,
  all: readonly EnvironmentSpec[],
  trigger: Trigger,
  event: Value,
): DeployWork {
  const asked = trigger.kind === 'deploy' ? trigger : null;
  const where = `the environment "${environment.name}"`;
  const next = all.filter(({ rules }) => rules.after.includes(environment.name)).map(({ name }) => name);
  return {
    kind: 'deploy',
    environment: environment.name,
    url: environment.url === null ? null : fillUrl(environment.url, event, `url of ${where}`),
    rollout: environment.rollout,
    mode: asked?.mode ?? 'deploy',
    rules: environment.rules,
    stableSeconds: environment.stableSeconds,
    atOnce: environment.atOnce,
    strategy: environment.strategy && fillStrategy(environment.strategy, event, where),
    gitops: environment.gitops,
    ...(asked?.restore && { images: asked.restore.images }),
    ...(asked?.overLock && { overLock: true }),
    ...(next.length > 0 && { next }),
  };
}
