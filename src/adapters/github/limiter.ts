import { PlatformError } from '#src/model/outcome.ts';

/** What a request costs by GitHub's rules, and how urgent it is. */
export interface Cost {
  /** 1 for reading, 5 for writing. */
  readonly points: number;
  /** Makes something that people see: a check run, a comment, a deployment. */
  readonly content: boolean;
  /** 0: a person waits; 1: a state; 2: only nice to have. */
  readonly priority: 0 | 1 | 2;
  /** Milliseconds after which it isn't worth starting any more; null: never. */
  readonly patienceMs: number | null;
  /** A sign that somebody was heard, which has a share of its own: the answers to many may not keep it from one. */
  readonly sign?: boolean;
}

export interface Limiter {
  /**
   * Runs the task when the limits allow, more urgent ones first. Throws what the task throws, or PlatformError; the
   * signal's reason if it is aborted before the task began.
   */
  run<T>(cost: Cost, task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Starts nothing before this time (milliseconds since the epoch, by the clock as it is now). */
  pause(until: number): void;
}

/**
 * GitHub's limits for an installation, with room left for what isn't counted here:
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 * (100 at once, 900 points a minute, 80 content-creating requests a minute and 500 an hour). Bursts are allowed.
 */
const githubs: Limits = {
  concurrency: 20,
  pointsPerMinute: 850,
  contentPerMinute: 75,
  contentPerHour: 480,
  reservePerMinute: 15,
  reservePerHour: 60,
  signsPerMinute: 5,
};

export interface Limits {
  readonly concurrency: number;
  readonly pointsPerMinute: number;
  readonly contentPerMinute: number;
  readonly contentPerHour: number;
  /** Of `contentPerMinute`, what only priority 0 may use: however many check runs there are, people are answered. */
  readonly reservePerMinute: number;
  /** Of `contentPerHour`, likewise. */
  readonly reservePerHour: number;
  /** Of `reservePerMinute`, what only signs may use. */
  readonly signsPerMinute: number;
}

const minute = 60_000;
const hour = 60 * minute;

/** Milliseconds; doesn't jump with the clock. */
const watch = () => performance.now();

interface Waiting {
  readonly cost: Cost;
  readonly start: () => void;
}

/** A limiter for one installation. */
export function createLimiter(limits: Limits = githubs): Limiter {
  const waiting: Waiting[] = [];
  const points = createWindow(minute, limits.pointsPerMinute);
  const perMinute = createWindow(minute, limits.contentPerMinute);
  const perHour = createWindow(hour, limits.contentPerHour);
  let active = 0;
  let pausedUntil = 0;
  let timer: NodeJS.Timeout | null = null;

  return {
    run(cost, task, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error);
        let patience: NodeJS.Timeout | null = null;
        const leave = () => giveUp(signal?.reason as Error);
        const giveUp = (reason: Error): void => {
          const at = waiting.indexOf(entry);
          if (at !== -1) waiting.splice(at, 1);
          settle();
          reject(reason);
        };
        const settle = (): void => {
          if (patience) clearTimeout(patience);
          signal?.removeEventListener('abort', leave);
        };
        const entry: Waiting = {
          cost,
          start: () => {
            settle();
            task()
              .then(resolve, reject)
              .finally(() => {
                active -= 1;
                pump();
              });
          },
        };
        if (cost.patienceMs !== null) {
          patience = setTimeout(() => {
            giveUp(new PlatformError("GitHub's rate limit is used up for the moment. Try again in a few minutes."));
          }, cost.patienceMs);
        }
        signal?.addEventListener('abort', leave);
        const behind = waiting.findIndex((other) => other.cost.priority > cost.priority);
        waiting.splice(behind === -1 ? waiting.length : behind, 0, entry);
        pump();
      });
    },
    pause(until) {
      // No limit of GitHub's lasts longer than an hour.
      pausedUntil = Math.max(pausedUntil, watch() + Math.min(until - Date.now(), hour));
      pump();
    },
  };

  /** Starts everything that may start now, and wakes itself when the next one may. */
  function pump(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    const now = watch();
    let wake = Number.POSITIVE_INFINITY;
    for (let at = 0; at < waiting.length && active < limits.concurrency; ) {
      const entry = waiting[at];
      if (!entry) break;
      const free = freeAt(entry.cost, now);
      if (free <= now) {
        waiting.splice(at, 1);
        spend(entry.cost, now);
        active += 1;
        entry.start();
      } else {
        wake = Math.min(wake, free);
        at += 1;
      }
    }
    if (wake < Number.POSITIVE_INFINITY) {
      timer = setTimeout(pump, wake - now);
      timer.unref();
    }
  }

  function freeAt(cost: Cost, now: number): number {
    return Math.max(pausedUntil, points.freeAt(cost.points, now), cost.content ? contentFreeAt(cost, now) : now);
  }

  /** Whoever may not use the reserve waits until there would be room for it, too. */
  function contentFreeAt({ priority, sign = false }: Cost, now: number): number {
    const ofPeople = priority === 0;
    const kept = ofPeople ? (sign ? 0 : limits.signsPerMinute) : limits.reservePerMinute;
    return Math.max(perMinute.freeAt(1 + kept, now), perHour.freeAt(1 + (ofPeople ? 0 : limits.reservePerHour), now));
  }

  function spend(cost: Cost, now: number): void {
    points.spend(cost.points, now);
    if (!cost.content) return;
    perMinute.spend(1, now);
    perHour.spend(1, now);
  }
}

/** Counts what was spent in the last `length` milliseconds. */
function createWindow(length: number, limit: number) {
  const spent: { readonly at: number; readonly amount: number }[] = [];
  let sum = 0;
  return {
    /** When `amount` more may be spent; `now` if at once. */
    freeAt(amount: number, now: number): number {
      while (spent[0] && spent[0].at + length <= now) sum -= spent.shift()?.amount ?? 0;
      let over = sum + amount - limit;
      if (over <= 0) return now;
      for (const entry of spent) {
        over -= entry.amount;
        if (over <= 0) return entry.at + length;
      }
      return now + length;
    },
    spend(amount: number, now: number): void {
      spent.push({ at: now, amount });
      sum += amount;
    },
  };
}
