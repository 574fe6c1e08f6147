import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Seen } from '#src/model/steps.ts';
import { type Deadline, persist } from './rollout-time.ts';
import { nameOf } from './rollout-words.ts';
import type { Stepping } from './steps-book.ts';

/** What one phase, in one process, remembers. */
export interface Turn {
  readonly signal: AbortSignal;
  deadline: Deadline;
  /** Workloads whose pods beside were given their images here: an admission webhook may have rewritten those. */
  readonly placed: Set<number>;
  readonly gaveUp: Seen['gaveUp'][];
  /** Why waiting for stable pods was given up. */
  readonly troubles: string[];
}

/** What the cluster can't do now is tried again until the phase's time is over. */
export async function ask<T>(
  stepping: Stepping,
  turn: Pick<Turn, 'signal' | 'deadline'>,
  target: RolloutTarget | null,
  what: () => Promise<T>,
): Promise<T> {
  const { time, book } = stepping;
  const { signal, deadline } = turn;
  const name = target ? `${nameOf(target)}: ` : '';
  return await persist(what, { deadline, time, signal }, (message) => book.tell(`${name}${message}`));
}

/** Hears what is told about the run, from when it is opened. */
export interface Ear {
  /** Waits a while, or until something is told; not at all if that was since the last time. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

export function openEar({ parts, run, time }: Pick<Stepping, 'parts' | 'run' | 'time'>): Ear {
  let told = new AbortController();
  const close = parts.store.signals.listen('run', (subject) => {
    if (subject === run.id || subject === '') told.abort();
  });
  return {
    close,
    async wait(ms, signal) {
      await time.sleep(ms, AbortSignal.any([signal, told.signal])).catch(() => undefined);
      told = new AbortController();
    },
  };
}
