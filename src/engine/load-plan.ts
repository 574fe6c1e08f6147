import { loadPipeline } from '#src/dialects/index.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import type { Trigger } from '#src/model/event.ts';
import { type Outcome, PlatformError, UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec, Pipeline } from '#src/model/pipeline.ts';
import type { Plan, PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import { matchingEnvironments } from '#src/planner/deploy.ts';
import { plan } from '#src/planner/plan.ts';
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
  });
  if (planned.kind === 'refused') return ended({ kind: 'failure', reason: planned.message }, own.diagnostics);
  const chosen = parts.choose ? parts.choose(planned.plan) : planned.plan;
  return { kind: 'plan', plan: chosen, file: pipeline.file, diagnostics: own.diagnostics };
}

/** The environments that the default branch's pipeline file has now: nobody can add one by a pull request. */
export async function environmentsOf(
  parts: Pick<Parts, 'source'>,
  repository: Repository,
  signal: AbortSignal,
): Promise<{ readonly kind: 'environments'; readonly environments: readonly EnvironmentSpec[] } | Ended> {
  const ref = `refs/heads/${repository.defaultBranch}`;
  const sha = await parts.source.resolve(repository, ref, signal);
  if (sha === null) return { kind: 'environments', environments: [] };
  const loaded = await pipelineAt(parts, repository, { sha, ref }, signal);
  if (loaded.kind === 'pipeline') return { kind: 'environments', environments: loaded.pipeline.environments };
  if (loaded.outcome.kind === 'neutral') return { kind: 'environments', environments: [] };
  const reason = `The pipeline file of ${repository.defaultBranch} has mistakes, so its environments can't be used.`;
  return { ...loaded, outcome: { kind: 'failure', reason } };
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

/** Environments and jobs may come from different commits: an image job may be missing here. */
function missingImage(pipeline: Pipeline, trigger: Trigger): string | null {
  const images = new Set(pipeline.jobs.filter((job) => job.kind === 'image').map((job) => job.id));
  for (const environment of matchingEnvironments(pipeline, trigger)) {
    const target = environment.rollout.find((t) => !images.has(t.image));
    if (target !== undefined) {
      return `The environment "${environment.name}" rolls out the image job "${target.image}", which ${pipeline.file} of this commit doesn't have.`;
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
