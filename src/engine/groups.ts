import { settleGroup } from '#src/model/concurrency.ts';
import type { Concurrency } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';

type Wake = (runId: string) => Promise<void>;

/** True if the run has its concurrency group, or needs none. Otherwise it is noted what it waits for. */
export async function mayGo(parts: Parts, run: Run, wake: Wake): Promise<boolean> {
  if (run.concurrency === null) return true;
  const { goes, note } = await standInLine(parts, run, `run:${run.id}`, run.concurrency, wake);
  if (run.note !== note) await parts.store.runs.note(run.id, note);
  return goes;
}

/** As `mayGo`, for a job that waits for nothing else. */
export async function mayQueue(parts: Parts, run: Run, job: Job, wake: Wake): Promise<boolean> {
  if (job.plan.concurrency === null) return true;
  const { goes, note } = await standInLine(parts, run, `job:${job.id}`, job.plan.concurrency, wake);
  if (!goes && job.note !== note) await parts.store.runs.noteJob(job.id, note);
  return goes;
}

/** A run or job that is over makes room; whoever is next goes on. */
export async function leaveGroups(parts: Parts, holder: string, wake: Wake): Promise<void> {
  for (const runId of await parts.store.groups.leave(holder)) void wake(runId);
}

async function standInLine(
  parts: Parts,
  run: Run,
  holder: string,
  wanted: Concurrency,
  wake: Wake,
): Promise<{ readonly goes: boolean; readonly note: string | null }> {
  const line = await parts.store.groups.enter(run.repository.id, wanted.group, holder, run.id);
  const settled = settleGroup(line, wanted, holder);
  for (const { holder: other, reason } of settled.cancel) {
    const [kind, id = ''] = other.split(':');
    const cancellation = { reason, by: 'slipway' } as const;
    if (kind === 'run') await parts.store.runs.cancel(id, cancellation);
    else await parts.store.runs.cancelJob(id, cancellation);
    const runId = line.find((entry) => entry.holder === other)?.runId;
    if (runId === undefined) continue;
    parts.store.signals.send('run', runId);
    void wake(runId);
  }
  return settled;
}
