import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ZodError } from 'zod';
import type { Clock, Intake } from '#src/engine/ports.ts';
import type { DeliveryStore, RunStore, ToldStore } from '#src/engine/store.ts';
import { describe } from './faults.ts';
import type { GitHub } from './github.ts';
import { type Missed, takeMissed } from './missed.ts';
import { type Reconciled, reconcile } from './reconcile.ts';

export interface CatchUpOptions {
  readonly github: Pick<GitHub, 'probot' | 'client'>;
  readonly store: {
    readonly deliveries: Pick<DeliveryStore, 'missing' | 'add'>;
    readonly runs: Pick<RunStore, 'exists' | 'ofKey'>;
    readonly told: ToldStore;
  };
  readonly intake: Intake;
  /** Told when deliveries were stored. */
  readonly wake: () => void;
  /** Milliseconds between two looks; the first is at once. Null: only when asked. */
  readonly everyMs: number | null;
  /** Whether repositories are compared with the runs as well. */
  readonly reconcile: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that a delivery is given to arrive by itself; 30 s unless given. */
  readonly settleMs?: number;
}

/** What a look found. */
export interface CaughtUp {
  /** Deliveries that were missed and have been taken in. */
  readonly deliveries: number;
  /** Deliveries that GitHub was asked to send again. */
  readonly redelivered: number;
  /** Commits without a run that were given to the engine. */
  readonly runs: number;
  /** False if something couldn't be looked at; the next look does it. */
  readonly complete: boolean;
}

export interface CatchUp {
  /** Looks now, or right after the look under way. Never rejects. */
  look(): Promise<CaughtUp>;
  /** Ends the look under way. */
  close(): Promise<void>;
}

const settleMs = 30_000;
const closeMs = 10_000;

/**
 * Finds what happened while GitHub couldn't reach this server: deliveries that failed, and what moved without one.
 * For one server at a time.
 */
export function openCatchUp(options: CatchUpOptions): CatchUp {
  const { logger } = options;
  const closing = new AbortController();
  /** By repository: when it was last looked at in full. */
  const checked = new Map<number, number>();
  let tail: Promise<unknown> = Promise.resolve();
  let queued: Promise<CaughtUp> | null = null;
  let timer: NodeJS.Timeout | null = null;
  let lastTrouble = '';
  if (options.everyMs !== null) void look();

  return {
    look,
    async close() {
      closing.abort(new Error('The server stops.'));
      if (timer) clearTimeout(timer);
      await Promise.race([tail, sleep(closeMs, undefined, { ref: false })]);
    },
  };

  function look(): Promise<CaughtUp> {
    if (queued) return queued;
    const mine = tail.then(() => {
      // Whoever asks from here on wants another look: this one may be past what they mean.
      queued = null;
      return once();
    });
    queued = mine;
    tail = mine;
    return mine;
  }

  async function once(): Promise<CaughtUp> {
    if (timer) clearTimeout(timer);
    const missed: Missed = { taken: 0, asked: 0 };
    const reconciled: Reconciled = { runs: 0, troubles: [] };
    const troubles: string[] = [];
    await tolerating('deliveries', async () => {
      try {
        await takeMissed(options, missed, closing.signal);
      } finally {
        if (missed.taken > 0) options.wake();
      }
    });
    if (options.reconcile) {
      const parts = { ...options, settleMs: options.settleMs ?? settleMs };
      await tolerating('repositories', () => reconcile(parts, checked, reconciled, closing.signal));
    }
    troubles.push(...reconciled.troubles.map(({ where, error }) => `${where}: ${told(error)}`));
    const found = { deliveries: missed.taken, redelivered: missed.asked, runs: reconciled.runs };
    if (!closing.signal.aborted) tell(found, troubles);
    if (options.everyMs !== null && !closing.signal.aborted) {
      timer = setTimeout(() => void look(), options.everyMs);
      timer.unref();
    }
    return { ...found, complete: troubles.length === 0 && !closing.signal.aborted };

    async function tolerating(where: string, work: () => Promise<void>): Promise<void> {
      if (closing.signal.aborted) return;
      await work().catch((error: unknown) => troubles.push(`${where}: ${told(error)}`));
    }
  }

  function tell(found: Omit<CaughtUp, 'complete'>, troubles: readonly string[]): void {
    const sentences = [
      found.deliveries > 0 && `${count(found.deliveries, 'delivery was', 'deliveries were')} missed and taken in.`,
      found.redelivered > 0 &&
        `GitHub was asked to send ${count(found.redelivered, 'delivery', 'deliveries')} once more.`,
      found.runs > 0 && `${count(found.runs, 'commit', 'commits')} came without a delivery and got a run.`,
    ].filter((sentence) => sentence !== false);
    if (sentences.length > 0) logger.info(found, sentences.join(' '));
    // The same trouble every few minutes would fill the log.
    const trouble = troubles.join('; ');
    if (trouble !== lastTrouble && trouble !== '') {
      logger.warn(
        { troubles: troubles.slice(0, 10) },
        'Not everything could be looked for that came while this server was away; it is tried again.',
      );
    }
    lastTrouble = trouble;
  }
}

function told(error: unknown): string {
  if (!(error instanceof ZodError)) return describe(error);
  return `GitHub's answer is not as documented: ${error.issues[0]?.path.join('.')} ${error.issues[0]?.message}`;
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`;
}
