import { EvaluationError, type Value } from '#src/model/evaluate.ts';
import type { Trigger } from '#src/model/event.ts';
import { comesFromFork } from '#src/model/trust.ts';
import type { ConcurrencySpec } from '#src/model/pipeline.ts';
import type { Concurrency, PlannedJob } from '#src/model/plan.ts';
import { fillTemplate } from '#src/model/template.ts';

const MAX_GROUP = 400;

/**
 * The group filled in, or null: without a spec, and where the group comes out empty (`${{ event.tag }}` without a tag).
 * A stranger's pull request has groups of its own: its file may name any group, and must neither hold up nor cancel
 * what the repository's own people run. Throws EvaluationError.
 */
export function concurrencyOf(
  spec: ConcurrencySpec | null,
  contexts: Readonly<Record<string, Value>>,
  trigger: Trigger,
  strange = comesFromFork(trigger),
): Concurrency | null {
  if (spec === null) return null;
  const group = fillTemplate(spec.group, contexts).replaceAll(/\s+/g, ' ').trim().toLowerCase();
  if (group === '') return null;
  if (group.length > MAX_GROUP) throw new EvaluationError(`the group is longer than ${MAX_GROUP} characters`);
  const own = trigger.kind === 'pull_request' && strange ? `fork #${trigger.number}: ` : '';
  return { group: `${own}${group}`, cancelInProgress: spec.cancelInProgress, queue: spec.queue };
}

/** As concurrencyOf, for the pipeline as a whole. */
export function runConcurrency(
  spec: ConcurrencySpec | null,
  event: Value,
  trigger: Trigger,
  strange = comesFromFork(trigger),
): Concurrency | null {
  try {
    return concurrencyOf(spec, { event }, trigger, strange);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    throw new EvaluationError(`concurrency of the pipeline can't be evaluated: ${error.message}.`);
  }
}

/** Throws EvaluationError where a job is in the group of its own run: each would wait for the other. */
export function refuseOwnGroup(run: Concurrency | null, jobs: readonly PlannedJob[]): void {
  if (run === null) return;
  const job = jobs.find(({ concurrency }) => concurrency?.group === run.group);
  if (job === undefined) return;
  throw new EvaluationError(
    `The job "${job.key}" is in the concurrency group "${run.group}" and so is the whole run: each would wait for the other. Choose another group for the job.`,
  );
}
