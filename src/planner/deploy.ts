import { EvaluationError, type Value } from '#src/model/evaluate.ts';
import type { Trigger } from '#src/model/event.ts';
import { comesFromFork } from '#src/model/trust.ts';
import { matchesPattern } from '#src/model/pattern.ts';
import type { EnvironmentSpec, Pipeline } from '#src/model/pipeline.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { fillTemplate } from '#src/model/template.ts';

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

/** Null if there is such an environment, otherwise what to say. */
export function findEnvironment(pipeline: Pipeline, name: string): string | null {
  const names = pipeline.environments.map((environment) => environment.name);
  if (names.includes(name)) return null;
  if (names.length === 0) return `There is no environment "${name}": ${pipeline.file} has no environments.`;
  return `There is no environment "${name}". ${pipeline.file} has: ${names.join(', ')}.`;
}

/** The image jobs that the environments roll out and what those need, less what is done already. */
export function chooseForDeploy(
  jobs: readonly PlannedJob[],
  environments: readonly EnvironmentSpec[],
  done: ReadonlySet<string>,
): readonly PlannedJob[] {
  const images = new Set(environments.flatMap((environment) => environment.rollout.map((target) => target.image)));
  const chosen = new Set(jobs.filter((job) => images.has(job.id) && !done.has(job.key)).map((job) => job.key));
  const byKey = new Map(jobs.map((job) => [job.key, job]));
  for (const key of chosen) {
    for (const need of byKey.get(key)?.needs ?? []) if (!done.has(need)) chosen.add(need);
  }
  return jobs.filter((job) => chosen.has(job.key));
}

/**
 * A deploy job for each environment, after every other job of the run. Jobs that this event skips don't hold it up;
 * the images that it rolls out must be there. `all` are the jobs of the pipeline, `jobs` those of this run.
 */
export function deployJobs(
  environments: readonly EnvironmentSpec[],
  all: readonly PlannedJob[],
  jobs: readonly PlannedJob[],
  event: Value,
): readonly PlannedJob[] {
  return environments.map((environment) => {
    const images = [...new Set(environment.rollout.map((target) => target.image))];
    const built = images.filter((id) => jobs.some((job) => job.id === id));
    const skipped = all.find((job) => images.includes(job.id) && job.skip !== null && jobs.includes(job));
    return {
      key: `deploy ${environment.name}`,
      id: `deploy:${environment.name}`,
      needs: jobs.map((job) => job.key),
      if: ['!failure()', '!cancelled()', ...built.map((id) => `needs['${id}'].result == 'success'`)].join(' && '),
      matrix: {},
      skip: skipped ? `The job "${skipped.key}" doesn't build its image: ${skipped.skip}` : null,
      continueOnError: false,
      timeoutMinutes: environment.timeoutMinutes,
      // Never repeated by itself, and its environment has a queue of its own.
      retries: 0,
      concurrency: null,
      priority: 2,
      work: {
        kind: 'deploy',
        environment: environment.name,
        url: urlOf(environment, event),
        rollout: environment.rollout,
      },
    } as const satisfies PlannedJob;
  });
}

/** Only http and https: the address is shown as a link. */
function urlOf(environment: EnvironmentSpec, event: Value): string | null {
  if (environment.url === null) return null;
  try {
    const url = fillTemplate(environment.url, { event });
    if (/^https?:\/\/\S+$/.test(url)) return url;
    throw new EvaluationError(`"${url}" is no address: it must start with https://`);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    throw new EvaluationError(`url of the environment "${environment.name}": ${error.message}.`);
  }
}
