import { loadPipeline } from '#src/dialects/index.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import { imageJobs } from '#src/model/environment.ts';
import { type DeployTrigger, isAdded, type Trigger } from '#src/model/event.ts';
import { type Outcome, PlatformError, UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec, Pipeline } from '#src/model/pipeline.ts';
import type { Plan, PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import { checksOf } from '#src/planner/checks.ts';
import { matchingEnvironments } from '#src/planner/deploy.ts';
import { plan } from '#src/planner/plan.ts';
import type { PreviewPlan } from '#src/planner/pull-request.ts';
import { rollbackPlan } from '#src/planner/rollback.ts';
import { outcomeOf } from './errors.ts';
import { trustedRuns } from './inputs.ts';
import type { Parts } from './parts.ts';
import type { Commit } from './ports.ts';
import { strangersChanges } from './trust.ts';

export type LoadedPlan =
  | { readonly kind: 'plan'; readonly plan: Plan; readonly file: string; readonly diagnostics: readonly Diagnostic[] }
  | Ended;

/** There is nothing to run, and why. */
export interface Ended {
  readonly kind: 'ended';
  readonly outcome: Outcome;
  readonly diagnostics: readonly Diagnostic[];
}

type LoadedPipeline =
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly diagnostics: readonly Diagnostic[] }
  | Ended;

const deadlineMs = 5 * 60_000;

/**
 * What a run is to do: the pipeline of its commit, with the environments of the default branch, made into a plan.
 * The user's and the platform's failures are outcomes; only a stop of the server throws.
 */
export async function loadPlan(parts: Parts, run: Run, stop: AbortSignal): Promise<LoadedPlan> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(deadlineMs)]);
  try {
    const loaded = await load(parts, run, signal);
    const changes = await strangersChanges(parts, run, signal);
    return changes.length === 0 ? loaded : { ...loaded, diagnostics: [...loaded.diagnostics, ...changes] };
  } catch (error) {
    if (stop.aborted) throw error;
    if (signal.aborted) {
      return ended({
        kind: 'broken',
        reason: 'The pipeline file could not be read within 5 minutes. Re-run it once GitHub answers again.',
      });
    }
    if (!(error instanceof UserError) && !(error instanceof PlatformError)) {
      parts.log.error({ err: error, run: run.id }, 'a run could not be planned');
    }
    return ended(outcomeOf(error));
  }
}

async function load(parts: Parts, run: Run, signal: AbortSignal): Promise<LoadedPlan> {
  const { repository, trigger } = run;
  if (trigger.kind === 'deploy' && trigger.mode === 'rollback') return await loadRollback(parts, trigger);
  if (trigger.kind === 'deploy' && trigger.mode === 'promote') return await loadPromotion(parts, run, signal);
  const commit: Commit = { sha: trigger.sha, ref: trigger.ref };
  // Read beside the pipeline file: somebody waits for the first line.
  const message = parts.source.message(repository, commit, signal);
  message.catch(() => {});
  const own = await pipelineAt(parts, repository, commit, signal);
  if (own.kind === 'ended') return own;
  const environments = await environmentsFor(parts, run, own.pipeline, signal);
  if (environments.kind === 'ended') return environments;
  const pipeline = { ...own.pipeline, environments: environments.environments };
  const missing = missingImage(pipeline, trigger);
  if (missing !== null) return ended({ kind: 'failure', reason: missing });
  const planned = plan(pipeline, trigger, repository, {
    message: await message,
    done: await doneJobs(parts, run),
    strange: isStrange(run),
    preview: await previewFor(parts, run, own.pipeline, signal),
    showsPlan: own.pipeline.environments.length > 0,
    offers: offersOf(own.pipeline.environments),
  });
  if (planned.kind === 'refused') return ended({ kind: 'failure', reason: planned.message }, own.diagnostics);
  // What is to be said of the file, the push's run says.
  if (isAdded(trigger) && planned.plan.jobs.length > 0) return { ...planned, file: pipeline.file, diagnostics: [] };
  if (isAdded(trigger)) return ended({ kind: 'skipped', reason: 'Pull requests add nothing to the jobs of a push.' });
  const chosen = parts.choose ? parts.choose(planned.plan) : planned.plan;
  return { kind: 'plan', plan: chosen, file: pipeline.file, diagnostics: own.diagnostics };
}

/** What comes first in the order of environments can be deployed to first. */
function offersOf(environments: readonly EnvironmentSpec[]): readonly string[] {
  const names = (waits: boolean): readonly string[] =>
    environments.filter(({ rules }) => rules.after.length > 0 === waits).map(({ name }) => name);
  return [...names(false), ...names(true)];
}

/** Without a look at the repository: a rollback must be quick, and work also if the pipeline file is the mistake. */
async function loadRollback(parts: Parts, trigger: DeployTrigger): Promise<LoadedPlan> {
  const record = await parts.store.deployments.get(trigger.restore?.deployment ?? '');
  const job = record && (await parts.store.runs.job(record.jobId));
  const plan = rollbackPlan(trigger, job?.plan ?? null);
  const [work] = plan.jobs.map((it) => it.work);
  if (work?.kind === 'deploy' && work.rollout.length === 0 && !work.gitops) {
    const reason = `Where the deployment that is to be restored went isn't known any more. Deploy its commit: /deploy ${trigger.environment} ${trigger.sha.slice(0, 7)}.`;
    return ended({ kind: 'failure', reason });
  }
  return { kind: 'plan', plan, file: '', diagnostics: [] };
}

/** Digests move, nothing is built: the commit's own file has a say only if one of its jobs is a check between steps. */
async function loadPromotion(parts: Parts, run: Run, signal: AbortSignal): Promise<LoadedPlan> {
  const { repository, trigger } = run;
  const found = await environmentsOf(parts, repository, signal);
  if (found.kind === 'ended') return found;
  const { environments } = found;
  const target = environments.filter(({ name }) => trigger.kind === 'deploy' && name === trigger.environment);
  const own =
    checksOf(target).length > 0
      ? await pipelineAt(parts, repository, { sha: trigger.sha, ref: trigger.ref }, signal)
      : null;
  if (own?.kind === 'ended') return own;
  const nothing = { dialect: 'native', file: `The file of ${repository.defaultBranch}`, jobs: [], concurrency: null };
  const pipeline: Pipeline = { ...(own?.pipeline ?? nothing), environments };
  const planned = plan(pipeline, trigger, repository, { message: '', done: new Set(), strange: isStrange(run) });
  if (planned.kind === 'refused') return ended({ kind: 'failure', reason: planned.message });
  return { kind: 'plan', plan: planned.plan, file: own?.pipeline.file ?? '', diagnostics: own?.diagnostics ?? [] };
}

/** The environments that the default branch's pipeline file has now: nobody can add one by a pull request. */
export async function environmentsOf(
  parts: Pick<Parts, 'source'>,
  repository: Repository,
  signal: AbortSignal,
): Promise<{ readonly kind: 'environments'; readonly environments: readonly EnvironmentSpec[] } | Ended> {
  const loaded = await defaultPipeline(parts, repository, signal);
  if (loaded?.kind === 'pipeline') return { kind: 'environments', environments: loaded.pipeline.environments };
  if (loaded === null || loaded.outcome.kind === 'neutral') return { kind: 'environments', environments: [] };
  const reason = `The pipeline file of ${repository.defaultBranch} has mistakes, so its environments can't be used.`;
  return { ...loaded, outcome: { kind: 'failure', reason } };
}

/** Null if there is no such branch. */
async function defaultPipeline(
  parts: Pick<Parts, 'source'>,
  repository: Repository,
  signal: AbortSignal,
): Promise<LoadedPipeline | null> {
  const ref = `refs/heads/${repository.defaultBranch}`;
  const sha = await parts.source.resolve(repository, ref, signal);
  return sha === null ? null : await pipelineAt(parts, repository, { sha, ref }, signal);
}

/**
 * By image job of the commit's own file: the image repository that it pushes to, as far as that is known without an event.
 * Empty if there is no such file, or it has mistakes. Throws PlatformError if it can't be read.
 */
export async function imagesPushed(
  parts: Pick<Parts, 'source'>,
  repository: Repository,
  commit: Commit,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const loaded = await pipelineAt(parts, repository, commit, signal);
  if (loaded.kind === 'ended') return {};
  return Object.fromEntries(
    loaded.pipeline.jobs.flatMap((job) => {
      const image = job.kind === 'image' ? job.build.image : null;
      return image === null || image.includes('${{') ? [] : [[job.id, image]];
    }),
  );
}

/** The preview of a pull request whose own file asks for one; what it is made of is the default branch's to say. */
async function previewFor(parts: Parts, run: Run, own: Pipeline, signal: AbortSignal): Promise<PreviewPlan | null> {
  if (!own.preview || run.trigger.kind !== 'pull_request' || isStrange(run)) return null;
  const { defaultBranch } = run.repository;
  const loaded = await defaultPipeline(parts, run.repository, signal);
  if (loaded?.kind === 'pipeline' && loaded.pipeline.preview) return { kind: 'preview', spec: loaded.pipeline.preview };
  const why =
    loaded?.kind === 'ended' && loaded.outcome.kind === 'failure'
      ? `The pipeline file of ${defaultBranch} has mistakes, so its "preview" can't be used.`
      : `${defaultBranch} has no "preview" in its pipeline file yet: previews begin once this is merged.`;
  return { kind: 'skipped', reason: why };
}

/** Only what can deploy needs environments; a push to the default branch has them in its own file. */
async function environmentsFor(
  parts: Parts,
  run: Run,
  own: Pipeline,
  signal: AbortSignal,
): Promise<{ readonly kind: 'environments'; readonly environments: readonly EnvironmentSpec[] } | Ended> {
  const { trigger, repository } = run;
  switch (trigger.kind) {
    case 'pull_request':
    case 'merge_group':
      // They deploy nowhere, and what their file says of environments is a proposal.
      return { kind: 'environments', environments: [] };
    case 'push':
      if (trigger.branch === repository.defaultBranch) return { kind: 'environments', environments: own.environments };
      return await environmentsOf(parts, repository, signal);
    case 'tag':
    case 'deploy':
      return await environmentsOf(parts, repository, signal);
  }
}

/** Environments and jobs may come from different commits: an image job may be missing here. A promotion needs none. */
function missingImage(pipeline: Pipeline, trigger: Trigger): string | null {
  if (trigger.kind === 'deploy' && trigger.mode === 'promote') return null;
  const images = new Set(pipeline.jobs.filter((job) => job.kind === 'image').map((job) => job.id));
  for (const environment of matchingEnvironments(pipeline, trigger)) {
    const missing = imageJobs(environment).find((id) => !images.has(id));
    if (missing !== undefined) {
      return `The environment "${environment.name}" rolls out the image job "${missing}", which ${pipeline.file} of this commit doesn't have.`;
    }
  }
  return null;
}

async function pipelineAt(
  parts: Pick<Parts, 'source'>,
  repository: Repository,
  commit: Commit,
  signal: AbortSignal,
): Promise<LoadedPipeline> {
  const paths = await parts.source.list(repository, commit, signal);
  const loaded = await loadPipeline(paths, (wanted) => parts.source.read(repository, commit, wanted, signal));
  switch (loaded.kind) {
    case 'pipeline':
      return loaded;
    case 'none':
      return ended({ kind: 'neutral', reason: loaded.message });
    case 'invalid': {
      const mistakes = loaded.diagnostics.filter((d) => d.severity === 'error');
      const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
      const file = mistakes[0]?.at.file ?? 'The pipeline file';
      return ended({ kind: 'failure', reason: `${file} has ${count}.` }, loaded.diagnostics);
    }
  }
}

/** For `/deploy`: what already succeeded at this commit, so that it isn't done twice. */
async function doneJobs(parts: Parts, run: Run): Promise<ReadonlySet<string>> {
  const done = new Set<string>();
  if (run.trigger.kind !== 'deploy') return done;
  for (const view of await trustedRuns(parts, run)) {
    for (const { plan: job, outcome } of view.jobs) {
      if (job.work.kind === 'script' && outcome?.kind === 'success') done.add(job.key);
      if (job.work.kind === 'image' && (await isBuilt(parts, run, job))) done.add(job.key);
    }
  }
  return done;
}

async function isBuilt(parts: Parts, run: Run, job: PlannedJob): Promise<boolean> {
  return (await parts.store.images.find(run.repository.id, run.trigger.sha, job.id)) !== null;
}

function ended(outcome: Outcome, diagnostics: readonly Diagnostic[] = []): Ended {
  return { kind: 'ended', outcome, diagnostics };
}
