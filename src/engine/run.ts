import { conditionOf } from '#src/model/expression.ts';
import { hasErrors } from '#src/model/diagnostic.ts';
import { advance, type RunView } from '#src/model/run.ts';
import { loadPlan } from './load-plan.ts';
import type { Parts } from './parts.ts';

/**
 * Takes one run as far as it goes without waiting for jobs: plans it if it isn't planned, queues the jobs whose
 * needs are completed, ends those that don't run, ends the run when nothing is left. Answers whether it is completed.
 * Every transition is stored before the next; called again after a crash it goes on from there.
 */
export async function driveRun(
  parts: Parts,
  runId: string,
  cancelled: string | null,
  signal: AbortSignal,
): Promise<boolean> {
  const run = await parts.store.runs.get(runId);
  if (run === null) return true;
  if (run.state === 'completed') return true;
  if (run.state === 'pending') {
    if (cancelled !== null) {
      await parts.store.runs.finish(runId, { kind: 'cancelled', reason: cancelled }, [], parts.clock.now());
      parts.reporter.report(runId);
      return true;
    }
    await planRun(parts, runId, signal);
  }
  const view = await parts.store.runs.view(runId);
  if (view === null || view.run.state === 'completed') {
    parts.reporter.report(runId);
    return true;
  }
  return await moveOn(parts, view, cancelled);
}

async function planRun(parts: Parts, runId: string, signal: AbortSignal): Promise<void> {
  const run = await parts.store.runs.get(runId);
  if (run === null) return;
  const loaded = await loadPlan(parts, run, signal);
  const at = parts.clock.now();
  if (loaded.kind === 'ended') {
    await parts.store.runs.finish(runId, loaded.outcome, loaded.diagnostics, at);
    parts.log.info(
      { run: runId, outcome: loaded.outcome.kind, mistakes: hasErrors(loaded.diagnostics) },
      'run ended without jobs',
    );
    return;
  }
  await parts.store.runs.plan(runId, {
    jobs: loaded.plan.jobs,
    diagnostics: loaded.diagnostics,
    pipelineFile: loaded.file,
    at,
  });
  parts.log.info({ run: runId, jobs: loaded.plan.jobs.length, file: loaded.file }, 'run planned');
}

async function moveOn(parts: Parts, view: RunView, cancelled: string | null): Promise<boolean> {
  const { run, jobs } = view;
  const at = parts.clock.now();
  if (cancelled !== null) {
    for (const job of jobs) {
      if (job.state !== 'waiting' && job.state !== 'queued') continue;
      await parts.store.runs.complete(job.id, { outcome: { kind: 'cancelled', reason: cancelled }, at });
    }
  }
  const current = cancelled === null ? view : ((await parts.store.runs.view(run.id)) ?? view);
  const next = advance(current.jobs, conditionOf(run));
  for (const { job, outcome } of next.end) await parts.store.runs.complete(job.id, { outcome, at });
  for (const job of next.queue) await parts.store.runs.queue(job.id, at);
  if (next.outcome !== null) {
    await parts.store.runs.finish(run.id, next.outcome, run.diagnostics, at);
    parts.log.info({ run: run.id, outcome: next.outcome.kind }, 'run completed');
  }
  parts.reporter.report(run.id);
  return next.outcome !== null;
}
