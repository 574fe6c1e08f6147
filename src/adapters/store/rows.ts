import type { NewRun } from '#src/engine/store.ts';
import { isAdded, runKey } from '#src/model/event.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { fullName } from '#src/model/repository.ts';
import type { Attempt, Cancellation, Job, Run, Step } from '#src/model/run.ts';
import type { JobsTable, RunsTable, StepsTable } from './schema.ts';

/** Between the rows of runs, jobs and steps and the model. */

/** Attempts that a job remembers. */
const earlierKept = 20;

/** What an attempt leaves on a job, taken away. */
export const cleared = {
  outcome_kind: null,
  outcome: null,
  annotations: '[]',
  tests: null,
  progress: null,
  gate: null,
  report: '',
  artifacts: null,
  worker: null,
  note: null,
  not_before: null,
  started_at: null,
  finished_at: null,
} as const;

export function newJob(
  id: string,
  run: { readonly id: string; readonly repository_id: number },
  position: number,
  plan: PlannedJob,
): JobsTable {
  return {
    ...cleared,
    id,
    run_id: run.id,
    repository_id: run.repository_id,
    position,
    key: plan.key,
    kind: plan.work.kind,
    plan: JSON.stringify(plan),
    state: 'waiting',
    attempt: 1,
    priority: plan.priority,
    cancel_reason: null,
    cancel_by: null,
    earlier: '[]',
    queued_at: null,
  };
}

export function toJob(row: JobsTable, steps: readonly Step[]): Job {
  return {
    id: row.id,
    runId: row.run_id,
    // Plans of the first version have no word on these.
    plan: { retries: 0, concurrency: null, priority: row.priority, ...JSON.parse(row.plan) },
    state: row.state as Job['state'],
    outcome: row.outcome === null ? null : JSON.parse(row.outcome),
    attempt: row.attempt,
    steps,
    annotations: JSON.parse(row.annotations),
    tests: row.tests === null ? null : JSON.parse(row.tests),
    progress: row.progress,
    note: row.note,
    gate: row.gate === null ? null : JSON.parse(row.gate),
    report: row.report,
    cancel: cancellationOf(row),
    worker: row.worker,
    earlier: JSON.parse(row.earlier),
    queuedAt: row.queued_at,
    notBefore: row.not_before,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

export function stepRow(jobId: string, step: Step): StepsTable {
  return {
    job_id: jobId,
    position: step.index,
    name: step.name,
    state: step.state,
    exit_code: step.exitCode,
    started_at: step.startedAt,
    finished_at: step.finishedAt,
    log_start: step.logStart,
    log_end: step.logEnd,
  };
}

export function toStep(row: StepsTable): Step {
  return {
    index: row.position,
    name: row.name,
    state: row.state as Step['state'],
    exitCode: row.exit_code,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    logStart: row.log_start,
    logEnd: row.log_end,
  };
}

/** The job's earlier attempts with the one that ends now. */
export function withEarlier(
  row: Pick<JobsTable, 'earlier' | 'attempt' | 'outcome' | 'started_at' | 'finished_at'>,
  ended: Pick<Attempt, 'by' | 'why'> & Partial<Pick<Attempt, 'outcome' | 'finishedAt'>>,
): string {
  const attempt: Attempt = {
    attempt: row.attempt,
    outcome: row.outcome === null ? null : JSON.parse(row.outcome),
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    ...ended,
  };
  return JSON.stringify([...(JSON.parse(row.earlier) as Attempt[]), attempt].slice(-earlierKept));
}

export function newRun(id: string, { repository, trigger, pullRequest, at }: NewRun): RunsTable {
  return {
    id,
    repository_id: repository.id,
    full_name: fullName(repository).toLowerCase(),
    repository: JSON.stringify(repository),
    sha: trigger.sha,
    run_key: runKey(trigger),
    kind: isAdded(trigger) ? 'added' : trigger.kind,
    branch: branchOf(trigger),
    trigger: JSON.stringify(trigger),
    state: 'pending',
    outcome: null,
    diagnostics: '[]',
    pipeline_file: null,
    pull_request: pullRequest,
    concurrency: null,
    trust: null,
    cancel_reason: null,
    cancel_by: null,
    note: null,
    version: 1,
    told_version: 0,
    created_at: at,
    started_at: null,
    finished_at: null,
  };
}

/** The branch of this repository; a fork's branch of the same name is another one. */
function branchOf(trigger: NewRun['trigger']): string | null {
  if (trigger.kind === 'tag' || trigger.kind === 'merge_group') return null;
  return trigger.kind === 'pull_request' && trigger.fork ? null : trigger.branch;
}

export function toRun(row: RunsTable): Run {
  return {
    id: row.id,
    repository: JSON.parse(row.repository),
    trigger: JSON.parse(row.trigger),
    state: row.state as Run['state'],
    outcome: row.outcome === null ? null : JSON.parse(row.outcome),
    diagnostics: JSON.parse(row.diagnostics),
    pipelineFile: row.pipeline_file,
    pullRequest: row.pull_request,
    concurrency: row.concurrency === null ? null : JSON.parse(row.concurrency),
    trust: row.trust === null ? null : JSON.parse(row.trust),
    cancel: cancellationOf(row),
    note: row.note,
    version: row.version,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}

function cancellationOf(row: Pick<RunsTable, 'cancel_reason' | 'cancel_by'>): Cancellation | null {
  if (row.cancel_reason === null) return null;
  return { reason: row.cancel_reason, by: row.cancel_by as Cancellation['by'] };
}
