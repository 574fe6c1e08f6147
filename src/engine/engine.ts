import type { Event } from '#src/model/event.ts';
import { isPlatformError } from './errors.ts';
import { createIntake } from './intake.ts';
import type { Parts } from './parts.ts';
import { driveRun } from './run.ts';
import { createWorkers } from './workers.ts';

export interface Engine {
  /** Takes an event; resolves with a sentence on what came of it once that is stored. */
  readonly intake: (event: Event) => Promise<string>;
  /**
   * Takes up what an earlier process left unfinished. Call once, before events come in. Jobs wait as long as the
   * executor doesn't answer.
   */
  start(): Promise<void>;
  /** Resolves when the run is completed. For the command line and tests. */
  completed(runId: string): Promise<void>;
  /** Stops everything that the run still does; its jobs end as cancelled with this reason. */
  cancel(runId: string, reason: string): Promise<void>;
  /** Ends: claims nothing more, stops running jobs without recording an outcome, so that the next start repeats them. */
  stop(): Promise<void>;
}

/**
 * Drives runs from what is stored: each step reads the stored state, decides by a pure function and
 * stores what follows, so that a start after a crash is nothing special.
 */
export function createEngine(parts: Parts): Engine {
  const driving = new Map<string, { again: boolean; done: Promise<void> }>();
  const waiting = new Map<string, (() => void)[]>();
  const cancelled = new Map<string, string>();
  const stopping = new AbortController();
  const workers = createWorkers(parts, wake, stopping.signal);
  let cleared = false;
  let clearing: Promise<void> = Promise.resolve();

  /** Something about the run changed: go on with it. One at a time a run; a change meanwhile means another round. */
  function wake(runId: string): Promise<void> {
    const current = driving.get(runId);
    if (current) {
      current.again = true;
      return current.done;
    }
    const entry = { again: true, done: Promise.resolve() };
    driving.set(runId, entry);
    entry.done = rounds(runId, entry);
    return entry.done;
  }

  async function rounds(runId: string, entry: { again: boolean }): Promise<void> {
    let failures = 0;
    while (entry.again && !stopping.signal.aborted) {
      entry.again = false;
      try {
        const completed = await driveRun(parts, runId, cancelled.get(runId) ?? null, stopping.signal);
        failures = 0;
        claim();
        if (completed) settle(runId);
      } catch (error) {
        // The next start goes on with it.
        if (stopping.signal.aborted) break;
        failures += 1;
        parts.log.error({ err: error, run: runId, failures }, 'a run could not be driven on');
        entry.again = true;
        await sleep(Math.min(60_000, 500 * 2 ** failures), stopping.signal);
      }
    }
    driving.delete(runId);
  }

  function settle(runId: string): void {
    cancelled.delete(runId);
    for (const resolve of waiting.get(runId) ?? []) resolve();
    waiting.delete(runId);
  }

  function claim(): void {
    if (cleared) workers.pump();
  }

  /** Removes what an earlier process left; jobs run only then. False if the executor doesn't answer. */
  async function clear(): Promise<boolean> {
    try {
      const swept = await parts.executor.sweep(new Set());
      if (swept > 0) parts.log.warn({ things: swept }, 'removed what an earlier process left in Docker');
    } catch (error) {
      if (!isPlatformError(error)) throw error;
      parts.log.error({ err: error }, 'no job can run yet; trying again');
      return false;
    }
    cleared = true;
    claim();
    return true;
  }

  async function clearLater(): Promise<void> {
    for (let pause = 500; !stopping.signal.aborted; pause = Math.min(15_000, pause * 2)) {
      await sleep(pause, stopping.signal);
      if (stopping.signal.aborted || (await clear().catch(() => false))) return;
    }
  }

  return {
    intake: createIntake(parts, wake),

    async start() {
      const orphans = await parts.store.runs.requeue(null);
      if (orphans.length > 0) parts.log.warn({ jobs: orphans.length }, 'jobs of an earlier process start over');
      for (const runId of await parts.store.runs.unfinished()) {
        parts.reporter.report(runId);
        void wake(runId);
      }
      if (!(await clear())) clearing = clearLater();
    },

    async completed(runId) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // Listened for before it is asked, so that an end in between isn't missed.
      waiting.set(runId, [...(waiting.get(runId) ?? []), resolve]);
      const run = await parts.store.runs.get(runId);
      if (run === null || run.state === 'completed') resolve();
      await promise;
    },

    async cancel(runId, reason) {
      cancelled.set(runId, reason);
      workers.cancel(runId, reason);
      await wake(runId);
    },

    async stop() {
      stopping.abort(new Error('The server stops.'));
      await Promise.all([workers.stopped(), clearing]);
      await Promise.allSettled([...driving.values()].map((entry) => entry.done));
    },
  };
}

/** Waits, at most until the signal is aborted. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
