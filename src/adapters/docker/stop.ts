import type { Ends } from '#src/engine/ports.ts';
import type { Outcome } from '#src/model/outcome.ts';

/** Why a job must end before its time, or be left. The first reason to end counts. */
export interface Stop {
  /** Aborted by either. */
  readonly signal: AbortSignal;
  readonly outcome: Outcome | null;
  /** It was stopped for what it wrote, or because nobody wants it: nobody has to tell its log once more, which may fill the disk. */
  readonly isUnwanted: boolean;
  /** Set when the server ends: what is to be thrown. */
  readonly left: { readonly reason: unknown } | null;
  end(outcome: Outcome): void;
  /** Ends the job at its time limit, of which `leftMs` are left. */
  limit(timeoutMs: number, leftMs: number): void;
  /** The promise's result, unless the job is stopped or left first: then this throws. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** As `race` for a job that is being stopped: only leaving it counts. */
  unlessLeft<T>(promise: Promise<T>): Promise<T>;
  [Symbol.dispose](): void;
}

/** Joins the caller's signals and the time limit. */
export function createStop(ends: Ends): Stop {
  const stopping = new AbortController();
  const leaving = new AbortController();
  const signal = AbortSignal.any([stopping.signal, leaving.signal]);
  let outcome: Outcome | null = null;
  let left: { readonly reason: unknown } | null = null;
  let timer: NodeJS.Timeout | null = null;

  function end(why: Outcome): void {
    if (outcome || left) return;
    outcome = why;
    stopping.abort(new Error('the job was stopped'));
  }
  function onCancel(): void {
    const { reason } = ends.cancel;
    end({ kind: 'cancelled', reason: reason instanceof Error ? reason.message : String(reason) });
  }
  function onLeave(): void {
    left = { reason: ends.leave.reason as unknown };
    leaving.abort(left.reason);
  }

  ends.cancel.addEventListener('abort', onCancel);
  ends.leave.addEventListener('abort', onLeave);
  if (ends.cancel.aborted) onCancel();
  if (ends.leave.aborted) onLeave();

  return {
    signal,
    get outcome() {
      return outcome;
    },
    get isUnwanted() {
      return outcome?.kind === 'failure' || outcome?.kind === 'cancelled';
    },
    get left() {
      return left;
    },
    end,
    limit(timeoutMs, leftMs) {
      if (timer) clearTimeout(timer);
      timer = setTimeout(
        () => end({ kind: 'timed_out', reason: `The job was stopped at its time limit of ${duration(timeoutMs)}.` }),
        Math.min(leftMs, 2 ** 31 - 1),
      );
    },
    race: (promise) => unless(signal, promise),
    unlessLeft: (promise) => unless(leaving.signal, promise),
    [Symbol.dispose]() {
      if (timer) clearTimeout(timer);
      ends.cancel.removeEventListener('abort', onCancel);
      ends.leave.removeEventListener('abort', onLeave);
    },
  };
}

function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onStop = () => reject(signal.reason as Error);
    if (signal.aborted) onStop();
    signal.addEventListener('abort', onStop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onStop));
  });
}

function duration(ms: number): string {
  if (ms < 120_000) return `${ms / 1000} s`;
  return `${Math.round(ms / 6000) / 10} minutes`;
}
