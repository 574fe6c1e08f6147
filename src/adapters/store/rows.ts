import type { PlannedJob } from '#src/model/plan.ts';
import type { Job, Step } from '#src/model/run.ts';
import type { JobsTable, StepsTable } from './schema.ts';

/** Between the rows of jobs and steps and the model. */

/** What an attempt leaves on a job, taken away. */
export const cleared = {
  outcome_kind: null,
  outcome: null,
  annotations: '[]',
  tests: null,
  progress: null,
  artifacts: null,
  worker: null,
  started_at: null,
  finished_at: null,
} as const;

export function newJob(id: string, runId: string, position: number, plan: PlannedJob): JobsTable {
  return {
    ...cleared,
    id,
    run_id: runId,
    position,
    key: plan.key,
    kind: plan.work.kind,
    plan: JSON.stringify(plan),
    state: 'waiting',
    attempt: 1,
    queued_at: null,
  };
}

export function toJob(row: JobsTable, steps: readonly Step[]): Job {
  return {
    id: row.id,
    runId: row.run_id,
    plan: JSON.parse(row.plan),
    state: row.state as Job['state'],
    outcome: row.outcome === null ? null : JSON.parse(row.outcome),
    attempt: row.attempt,
    steps,
    annotations: JSON.parse(row.annotations),
    tests: row.tests === null ? null : JSON.parse(row.tests),
    progress: row.progress,
    queuedAt: row.queued_at,
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
