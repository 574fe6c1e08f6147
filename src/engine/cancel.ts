import type { Cancellation } from '#src/model/run.ts';
import type { Parts } from './parts.ts';

/** Stores that the run's end is asked for, and has every server heed it. False if it is over, or was asked for before. */
export async function cancelRun(
  parts: Parts,
  runId: string,
  cancellation: Cancellation,
  wake: (runId: string) => Promise<void>,
): Promise<boolean> {
  const asked = await parts.store.runs.cancel(runId, cancellation);
  parts.store.signals.send('run', runId);
  if (asked) parts.log.info({ run: runId, why: cancellation.reason }, 'run is being cancelled');
  void wake(runId);
  return asked;
}
