import type { Logger } from 'pino';
import { openCatchUp } from './adapters/github/catch-up.ts';
import { openDispatcher } from './adapters/github/dispatch.ts';
import type { GitHub } from './adapters/github/github.ts';
import { createReporter } from './adapters/github/reporter.ts';
import type { Cleaner } from './engine/cleaner.ts';
import { deployedOf } from './engine/deploy/deployed.ts';
import type { Engine } from './engine/engine.ts';
import { excerpt } from './engine/excerpt.ts';
import type { Clock, Logs, Source } from './engine/ports.ts';
import { sleep } from './engine/gate.ts';
import { repeat } from './engine/repeat.ts';
import type { Store } from './engine/store.ts';
import type { Settings } from './settings.ts';
import type { Links } from './web/signer.ts';

export interface LeaderParts {
  readonly settings: Settings;
  readonly github: GitHub;
  readonly source: Source;
  readonly store: Store;
  readonly logs: Logs;
  readonly engine: Engine;
  readonly cleaner: Cleaner;
  readonly links: Links;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The work that only one of the servers on a database does. */
export interface Leader {
  /** Tells GitHub what is still to be told, at most so long, and ends. */
  close(deadlineMs: number): Promise<void>;
}

const lookMs = 30_000;
const tidyMs = 60_000;
const cleanMs = 60 * 60_000;

/**
 * Handles deliveries in their order, tells GitHub, looks for what was missed, drives what stands still, and cleans. One
 * server at a time does it, so that nothing is told twice and no order is lost.
 */
export async function openLeader(parts: LeaderParts): Promise<Leader> {
  const { settings, github, source, store, logs, engine, links, clock, logger } = parts;
  // First: what is opened before something that fails would go on beside its successor.
  const dispatcher = await openDispatcher({
    github,
    store: store.deliveries,
    intake: engine.intake,
    resolve: (repository, ref) => source.resolve(repository, ref, AbortSignal.timeout(60_000)),
    onInstallation: () => void catchUp.look(),
    logger: logger.child({ part: 'deliveries' }),
  });
  const reporter = createReporter({
    github,
    runs: store.runs,
    told: store.told,
    detailsUrl: (run, job) => (job === null ? links.run(run.id) : links.job(run.id, job.id)),
    excerpt: (job) => excerpt(logs, job),
    deployed: (run, job) => deployedOf(store, run, job),
    logger: logger.child({ part: 'reporter' }),
  });
  const catchUp = openCatchUp({
    github,
    store,
    intake: engine.intake,
    wake: dispatcher.wake,
    everyMs: settings.SLIPWAY_CATCH_UP,
    reconcile: settings.SLIPWAY_RECONCILE,
    clock,
    logger: logger.child({ part: 'deliveries' }),
  });
  const heard = [
    store.signals.listen('run', (runId) => (runId === '' ? void reporter.resume() : reporter.report(runId))),
    store.signals.listen('deliveries', dispatcher.wake),
  ];
  const looking = repeat(() => failingQuietly('runs could not be looked after', engine.driveAll()));
  const cleaning = repeat(() => failingQuietly('what is old could not be removed', parts.cleaner.clean()));
  const tidying = repeat(() => failingQuietly('previews could not be looked after', engine.tidy()));
  const timers = [
    setInterval(looking.ask, lookMs),
    setInterval(tidying.ask, tidyMs),
    setInterval(cleaning.ask, cleanMs),
  ];
  for (const timer of timers) timer.unref();
  dispatcher.wake();
  void reporter.resume();
  cleaning.ask();
  tidying.ask();

  return {
    async close(deadlineMs) {
      for (const timer of timers) clearInterval(timer);
      for (const end of heard) end();
      await Promise.all([
        dispatcher.close(),
        catchUp.close(),
        looking.settled(),
        tidying.settled(),
        cleaning.settled(),
      ]);
      await reporter.flush(deadlineMs);
      await reporter.close();
    },
  };

  async function failingQuietly(message: string, work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => logger.error({ err: error }, message));
  }
}

/** Opens and closes the leader's work as leadership comes and goes, never two at once. */
export function createLeadership(
  open: () => Promise<Leader>,
  logger: Logger,
): {
  /** This server leads until the signal is aborted. */
  begin(signal: AbortSignal): void;
  /** Ends what is open; tells GitHub for so long what is still to be told. */
  end(deadlineMs: number): Promise<void>;
} {
  const ended = new AbortController();
  let leader: Leader | null = null;
  let queue: Promise<void> = Promise.resolve();

  function next(work: () => Promise<void>): Promise<void> {
    queue = queue.then(work).catch((error: unknown) => logger.error({ err: error }, 'leading failed'));
    return queue;
  }

  async function begin(given: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([given, ended.signal]);
    for (let pause = 500; !signal.aborted && leader === null; pause = Math.min(10_000, pause * 2)) {
      try {
        leader = await open();
      } catch (error) {
        logger.error({ err: error }, 'this server leads, but can not begin; trying again');
        await sleep(pause, signal);
      }
    }
  }

  async function end(deadlineMs: number): Promise<void> {
    const ending = leader;
    leader = null;
    await ending?.close(deadlineMs);
  }

  return {
    begin(signal) {
      void next(() => begin(signal));
      // Another server tells GitHub from now on.
      signal.addEventListener('abort', () => void next(() => end(0)), { once: true });
    },
    end(deadlineMs) {
      ended.abort();
      return next(() => end(deadlineMs));
    },
  };
}
