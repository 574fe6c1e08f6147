import { setTimeout as sleepFor } from 'node:timers/promises';
import { PlatformError } from '#src/model/outcome.ts';
import { graceMs } from '#src/model/rollout.ts';
import type { Clock } from './ports.ts';

/** How time passes for a rollout; tests bring their own. */
export interface RolloutTime {
  /** Milliseconds of a clock that nobody sets: what lasts is measured with it. */
  readonly steady: () => number;
  /** Rejects or resolves when aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

export const realTime: RolloutTime = {
  steady: () => performance.now(),
  sleep: (ms, signal) => sleepFor(ms, undefined, { signal, ref: false }),
};

/** By the steady clock, in milliseconds. */
export interface Deadline {
  readonly startedAt: number;
  readonly timeoutMs: number;
}

/**
 * The time limit of something that began at `since` by the wall clock, maybe in another process. The wall clock may have
 * been set meanwhile: what is left is never more than the limit, and never less than it takes to look how things are.
 */
export function deadlineSince(since: number, timeoutMs: number, clock: Clock, time: RolloutTime): Deadline {
  const passed = Math.min(Math.max(0, clock.now() - since), timeoutMs - graceMs(timeoutMs));
  return { startedAt: time.steady() - passed, timeoutMs };
}

/** Milliseconds; 0 or less when it is over. */
function leftOf(deadline: Deadline, time: RolloutTime): number {
  return deadline.startedAt + deadline.timeoutMs - time.steady();
}

/** The cluster couldn't be reached until the time was over: what became of what was asked isn't known. */
export class Unreached extends PlatformError {
  constructor(cause: PlatformError) {
    super(`The Kubernetes API couldn't be reached until the time was over. ${cause.message}`, { cause });
  }
}

/** What the platform can't do now is tried again until the deadline; then Unreached is thrown. Other errors pass. */
export async function persist<T>(
  ask: () => Promise<T>,
  until: { readonly deadline: Deadline; readonly time: RolloutTime; readonly signal: AbortSignal },
  onTrouble: (message: string) => void,
): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      until.signal.throwIfAborted();
      if (!(error instanceof PlatformError)) throw error;
      await pause(error, failures, until, onTrouble);
    }
  }
}

/** Says that the cluster doesn't answer and waits a while, longer each time. Throws Unreached if no time is left. */
export async function pause(
  error: PlatformError,
  failures: number,
  until: { readonly deadline: Deadline; readonly time: RolloutTime; readonly signal: AbortSignal },
  onTrouble: (message: string) => void,
): Promise<void> {
  const left = leftOf(until.deadline, until.time);
  if (left <= 0) throw new Unreached(error);
  onTrouble(`the Kubernetes API doesn't answer; still trying. ${error.message}`);
  const ms = Math.min(15_000, 1000 * 2 ** Math.min(failures, 4), left);
  await until.time.sleep(ms, until.signal).catch(() => undefined);
  until.signal.throwIfAborted();
}
