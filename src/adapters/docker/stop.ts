import type { Outcome } from '#src/model/outcome.ts';

/** Why a job must end before its time. The first reason counts. */
export interface Stop {
  readonly signal: AbortSignal;
  readonly outcome: Outcome | null;
  end(outcome: Outcome): void;
  /** The promise's result, unless the job is stopped first: then this throws the signal's reason. */
  race<T>(promise: Promise<T>): Promise<T>;
  [Symbol.dispose](): void;
}

/** Joins the caller's signal and the time limit. */
export function createStop(signal: AbortSignal, timeoutMs: number): Stop {
  const controller = new AbortController();
  let outcome: Outcome | null = null;

  function end(why: Outcome): void {
    if (outcome) return;
    outcome = why;
    controller.abort(new Error('the job was stopped'));
  }
  function onAbort(): void {
    const { reason } = signal;
    end({ kind: 'cancelled', reason: reason instanceof Error ? reason.message : String(reason) });
  }

  signal.addEventListener('abort', onAbort);
  const limit = Math.min(timeoutMs, 2 ** 31 - 1);
  const timer = setTimeout(() => {
    end({ kind: 'timed_out', reason: `The job was stopped at its time limit of ${duration(timeoutMs)}.` });
  }, limit);
  if (signal.aborted) onAbort();

  return {
    signal: controller.signal,
    get outcome() {
      return outcome;
    },
    end,
    race(promise) {
      return new Promise((resolve, reject) => {
        const onStop = () => reject(controller.signal.reason as Error);
        if (controller.signal.aborted) onStop();
        controller.signal.addEventListener('abort', onStop, { once: true });
        promise.then(resolve, reject).finally(() => controller.signal.removeEventListener('abort', onStop));
      });
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

function duration(ms: number): string {
  if (ms < 120_000) return `${ms / 1000} s`;
  return `${Math.round(ms / 6000) / 10} minutes`;
}
