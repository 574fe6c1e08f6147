import { cancelledBy } from '#src/model/cancel.ts';
import type { ButtonEvent, RerunEvent } from '#src/model/event.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job } from '#src/model/run.ts';
import { cancelRun } from './cancel.ts';
import type { Parts } from './parts.ts';

type Wake = (runId: string) => Promise<void>;

/** "Re-run" on one check run (a job, with the jobs behind it that didn't pass) or on all failed ones of a commit. */
export async function rerun(parts: Parts, event: RerunEvent, wake: Wake): Promise<string> {
  const why = reranBy(event.actor);
  if (event.externalId === null) return await rerunCommit(parts, event.repository.id, event.sha, why, wake);
  const job = await parts.store.runs.job(event.externalId);
  if (job !== null) return await restart(parts, job.runId, [job], why, wake);
  const run = await parts.store.runs.get(event.externalId);
  if (run === null || run.repository.id !== event.repository.id) return 'The check run is none of ours.';
  return await restart(parts, run.id, [], why, wake);
}

/** A press on "Retry failed jobs" or "Cancel run". Who may press isn't checked by GitHub, so it is here. */
export async function pressed(parts: Parts, event: ButtonEvent, wake: Wake): Promise<string> {
  if (event.identifier !== 'retry-failed' && event.identifier !== 'cancel') {
    return `There is no button ${event.identifier}.`;
  }
  const role = await parts.forge.role(event.repository, event.actor);
  if (role !== 'write' && role !== 'maintain' && role !== 'admin') {
    return `${event.actor} may not do that: it needs write permission.`;
  }
  const job = await parts.store.runs.job(event.externalId);
  if (job === null) return 'The check run is none of ours.';
  const view = await parts.store.runs.view(job.runId);
  if (view === null || view.run.repository.id !== event.repository.id) return 'The check run is none of ours.';
  if (event.identifier === 'cancel') {
    const asked = await cancelRun(parts, job.runId, cancelledBy(event.actor), wake);
    if (!asked) return 'The run is over already, or being cancelled.';
    await parts.store.audit.append({
      at: parts.clock.now(),
      actor: event.actor,
      action: 'cancel button',
      repository: fullName(event.repository),
      subject: `run ${job.runId}`,
      decision: 'allowed',
      reason: `GitHub reports "${role}".`,
    });
    return `Run ${job.runId} is being cancelled.`;
  }
  return await restart(parts, job.runId, view.jobs.filter(failed), reranBy(event.actor), wake);
}

/** All failed jobs of every run of the commit; if none failed, all jobs of the newest run. */
async function rerunCommit(parts: Parts, repositoryId: number, sha: string, why: string, wake: Wake): Promise<string> {
  const [newest, ...others] = await parts.store.runs.ofCommit(repositoryId, sha);
  if (newest === undefined) return 'No run is known for this commit.';
  const answers: string[] = [];
  for (const run of [newest, ...others]) {
    const view = await parts.store.runs.view(run.id);
    const chosen = (view?.jobs ?? []).filter(failed);
    const unplanned = view?.jobs.length === 0 && run.state === 'completed';
    if (chosen.length > 0 || unplanned) answers.push(await restart(parts, run.id, chosen, why, wake));
  }
  if (answers.length > 0) return answers.join(' ');
  const view = await parts.store.runs.view(newest.id);
  const all = (view?.jobs ?? []).filter((job) => job.plan.skip === null && job.plan.work.kind !== 'deploy');
  return await restart(parts, newest.id, all, why, wake);
}

function failed(job: Job): boolean {
  const kind = job.outcome?.kind;
  return kind === 'failure' || kind === 'timed_out' || kind === 'broken' || kind === 'cancelled';
}

/** Starts the jobs over, and every job behind them that did not succeed. With no jobs: plans the run anew. */
export async function restart(
  parts: Parts,
  runId: string,
  jobs: readonly Job[],
  why: string,
  wake: Wake,
): Promise<string> {
  const view = await parts.store.runs.view(runId);
  if (view === null) return 'The run is gone.';
  const chosen = withDependents(view.jobs, jobs).filter((job) => job.state === 'completed');
  if (chosen.length === 0 && (view.jobs.length > 0 || view.run.state !== 'completed')) {
    return 'Those jobs are under way already.';
  }
  await parts.store.runs.restart(
    runId,
    chosen.map((job) => job.id),
    why,
    parts.clock.now(),
  );
  parts.reporter.report(runId);
  void wake(runId);
  return chosen.length === 0
    ? 'The run is planned anew.'
    : `Starts over: ${chosen.map((job) => job.plan.key).join(', ')}.`;
}

/** The jobs, and the jobs that need them (directly or not) and didn't pass. */
function withDependents(all: readonly Job[], jobs: readonly Job[]): readonly Job[] {
  const keys = new Set(jobs.map((job) => job.plan.key));
  for (let size = -1; size !== keys.size; ) {
    size = keys.size;
    for (const job of all) {
      const behind = job.plan.needs.some((key) => keys.has(key));
      if (behind && job.outcome?.kind !== 'success' && job.plan.skip === null) keys.add(job.plan.key);
    }
  }
  return all.filter((job) => keys.has(job.plan.key));
}

function reranBy(actor: string): string {
  return `@${actor} re-ran it`;
}
