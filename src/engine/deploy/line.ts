import type { Job, Run } from '#src/model/run.ts';
import { groupOf } from '#src/engine/groups.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { RolloutTime } from '#src/engine/rollout-time.ts';

const lookMs = 1_000;

/**
 * Resolves once a running job has its environment's line, which nearly always it has: another server that was slow may have
 * taken it out in the moment before it was queued. Nothing may be deployed before; as long as the store doesn't answer, it
 * waits. False: it was cancelled meanwhile. Throws the reason of `leave`.
 */
export async function holdLine(
  parts: Pick<Parts, 'store' | 'log'>,
  run: Run,
  job: Job,
  ends: { readonly signal: AbortSignal; readonly leave: AbortSignal; readonly time: RolloutTime },
): Promise<boolean> {
  const group = groupOf(job)?.group;
  if (group === undefined) return true;
  const holder = `job:${job.id}`;
  for (;;) {
    ends.leave.throwIfAborted();
    try {
      const line = await parts.store.groups.enter(run.repository.id, group, holder, run.id);
      if (line.some((entry) => entry.holder === holder && entry.holds)) return true;
      parts.log.warn({ run: run.id, job: job.id }, 'a deployment lost its turn and waits for another');
    } catch (error) {
      parts.log.error({ err: error, job: job.id }, "whose turn it is can't be told; nothing is deployed until then");
    }
    if (ends.signal.aborted) return false;
    await ends.time.sleep(lookMs, AbortSignal.any([ends.leave, ends.signal])).catch(() => undefined);
  }
}
