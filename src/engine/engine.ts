import { retryOf, withTries } from '#src/model/retry.ts';
import type { Cancellation, Job } from '#src/model/run.ts';
import { cancelRun } from './cancel.ts';
import { createGate, sleep } from './gate.ts';
import { createIntake } from './intake.ts';
import type { Parts } from './parts.ts';
import type { Intake } from './ports.ts';
import { expirePreviews } from './previews.ts';
import { driveRun } from './run.ts';
import type { Worker } from './store.ts';
import { createWorkers } from './workers.ts';

export interface Engine {
  /** Takes an event; resolves with a sentence on what came of it once that is stored. */
  readonly intake: Intake;
  /**
   * Begins to work, and takes up every run that isn't completed. Call once, before events come in. `alone`: no other
   * server works on this database, so every running job is an earlier process's and goes on here.
   */
  start(how: { readonly alone: boolean }): Promise<void>;
  /**
   * Goes on with what a dead server did: follows its containers where they are on this server's engine, repeats the rest.
   * False: one of `alive` reaches its containers and this one doesn't, so that one has to.
   */
  takeOver(dead: Worker, alive: readonly Worker[]): Promise<boolean>;
  /** Looks at every unfinished run: words between servers may be lost. */
  driveAll(): Promise<void>;
  /** Removes previews that are over. To be called now and then, by one server. */
  tidy(): Promise<void>;
  /** Other servers took this one for dead: lets go of its jobs. */
  lose(): void;
  /** Resolves when the run is completed. For the command line and tests. */
  completed(runId: string): Promise<void>;
  /** Stops everything that the run still does; its jobs end as cancelled with this reason. */
  cancel(runId: string, cancellation: Cancellation): Promise<void>;
  /** Goes on with the run: something about it was changed. */
  readonly wake: (runId: string) => Promise<void>;
  /** Removes what jobs left behind that don't run any more. Returns how many things went. */
  sweep(): Promise<number>;
  /** Ends: claims nothing more, waits this long for jobs to end; the rest goes on by itself and is followed by the next process. */
  stop(graceMs?: number): Promise<void>;
}

const lookMs = 15_000;

/**
 * Drives runs from what is stored: each step reads the stored state, decides by a pure function and
 * stores what follows, so that a start after a crash is nothing special.
 */
export function createEngine(parts: Parts): Engine {
  const { runs, signals } = parts.store;
  const driving = new Map<string, { again: boolean; hurry: AbortController; done: Promise<void> }>();
  const waiting = new Map<string, (() => void)[]>();
  const stopping = new AbortController();
  const gate = createGate({ ping: () => parts.executor.ping(), onOpen: opened, log: parts.log });
  const workers = createWorkers(parts, gate, wake);
  // Words between servers may be lost, and what was heard may fail to be followed: so each looks by itself as well.
  const looking = setInterval(() => void hear(''), lookMs);
  looking.unref();
  const heard = [signals.listen('jobs', () => workers.pump()), signals.listen('run', (runId) => void hear(runId))];

  /** Something about the run changed: go on with it. One at a time a run; a change meanwhile means another round. */
  function wake(runId: string): Promise<void> {
    const current = driving.get(runId);
    if (current) {
      current.again = true;
      current.hurry.abort();
      return current.done;
    }
    const entry = { again: true, hurry: new AbortController(), done: Promise.resolve() };
    driving.set(runId, entry);
    entry.done = rounds(runId, entry);
    return entry.done;
  }

  async function rounds(runId: string, entry: { again: boolean; hurry: AbortController }): Promise<void> {
    let failures = 0;
    let failing: number | null = null;
    const failedFor = (): number => {
      failing ??= performance.now();
      return performance.now() - failing;
    };
    while (entry.again && !stopping.signal.aborted) {
      entry.again = false;
      entry.hurry = new AbortController();
      const pause = AbortSignal.any([stopping.signal, entry.hurry.signal]);
      try {
        const driven = await driveRun(parts, runId, wake, stopping.signal, failedFor);
        failures = 0;
        workers.pump();
        if (driven.completed) settle(runId);
        if (driven.again === null) continue;
        await sleep(driven.again, pause);
        entry.again = true;
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
    for (const resolve of waiting.get(runId) ?? []) resolve();
    waiting.delete(runId);
  }

  /** A word about a run; '' if words may have been missed. */
  async function hear(runId: string): Promise<void> {
    const concerned = runId === '' ? [...workers.runs(), ...waiting.keys()] : [runId];
    for (const id of concerned) {
      try {
        await workers.heed(id);
        if (waiting.has(id) && (await runs.get(id))?.state === 'completed') settle(id);
      } catch (error) {
        parts.log.error({ err: error, run: id }, 'a word about a run could not be followed');
      }
    }
    if (runId === '') workers.pump();
  }

  async function sweep(): Promise<number> {
    const swept = await parts.executor.sweep((names) => runs.running(names));
    if (swept > 0) parts.log.warn({ things: swept }, 'removed what jobs left behind in Docker');
    return swept;
  }

  async function opened(): Promise<void> {
    await sweep();
    setImmediate(() => workers.pump());
  }

  async function driveAll(): Promise<void> {
    for (const runId of await runs.unfinished()) void wake(runId);
    workers.pump();
  }

  return {
    intake: createIntake(parts, wake),
    driveAll,
    tidy: () => expirePreviews(parts),
    sweep,
    wake,

    async start({ alone }) {
      if (alone) {
        const jobs = await runs.inherit(null, parts.limits.worker);
        if (jobs.length > 0) parts.log.warn({ jobs: jobs.length }, 'going on with jobs of an earlier process');
        workers.inherit(jobs);
      }
      for (const runId of await runs.unfinished()) {
        parts.reporter.report(runId);
        void wake(runId);
      }
      gate.doubt();
    },

    async takeOver(dead, alive) {
      const near = alive.filter((w) => w.place === dead.place || (w.engine !== null && w.engine === dead.engine));
      const mine = near.some((worker) => worker.id === parts.limits.worker);
      if (!mine && near.length > 0) return false;
      const jobs = await runs.inherit(dead.id, parts.limits.worker);
      workers.inherit(mine ? jobs : jobs.filter((job) => job.plan.work.kind !== 'script'));
      if (!mine) await repeatElsewhere(jobs.filter((job) => job.plan.work.kind === 'script'));
      await driveAll();
      return true;
    },

    lose: () => workers.lose(),

    async completed(runId) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // Listened for before it is asked, so that an end in between isn't missed.
      waiting.set(runId, [...(waiting.get(runId) ?? []), resolve]);
      const run = await runs.get(runId);
      if (run === null || run.state === 'completed') resolve();
      await promise;
    },

    async cancel(runId, cancellation) {
      await cancelRun(parts, runId, cancellation, wake);
      await workers.heed(runId);
      await wake(runId);
    },

    async stop(graceMs = 0) {
      clearInterval(looking);
      const stopped = workers.stop(graceMs);
      await stopped;
      stopping.abort(new Error('The server stops.'));
      for (const end of heard) end();
      await gate.close();
      await Promise.allSettled([...driving.values()].map((entry) => entry.done));
    },
  };

  /** Jobs whose containers nobody reaches any more. */
  async function repeatElsewhere(jobs: readonly Job[]): Promise<void> {
    const outcome = {
      kind: 'broken',
      reason: 'The server that ran it is gone, and its container out of reach.',
    } as const;
    for (const job of jobs) {
      const owned = { jobId: job.id, attempt: job.attempt, worker: parts.limits.worker };
      const at = parts.clock.now();
      const retry = retryOf(job, outcome);
      if (retry === null) await runs.complete(owned, { outcome: withTries(job, outcome), at });
      else await runs.again(owned, { ...retry, outcome, notBefore: null, at });
      parts.reporter.report(job.runId);
    }
  }
}
