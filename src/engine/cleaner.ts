import { setImmediate as turn } from 'node:timers/promises';
import type { Log } from './parts.ts';
import type { Archives, Cache, Clock, LogName, Logs, Removed, Stored } from './ports.ts';
import type { Store } from './store.ts';

export interface CleanerParts {
  readonly store: Pick<Store, 'runs' | 'deliveries' | 'secrets'>;
  readonly logs: Pick<Logs, 'all' | 'remove'>;
  readonly archives: Archives;
  /** Forgets what GitHub was told of a run and its jobs. */
  readonly untell: (runId: string, jobIds: readonly string[]) => Promise<void>;
  /** Mirrors and checked-out trees. */
  readonly sources: Cache;
  /** Images that Slipway pulled; and names of images that builds left behind. */
  readonly images: Cache;
  /** Removes containers, networks and folders of jobs that aren't running. Returns how many things went. */
  readonly sweep: () => Promise<number>;
  /** How long the values of replaced and removed secrets are kept, in milliseconds. */
  readonly secretsMs: number;
  readonly rules: CleanRules;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long and how much is kept: milliseconds, bytes and counts; null: without a limit. */
export interface CleanRules {
  /** Runs of each repository. */
  readonly runs: number | null;
  readonly runsMs: number | null;
  readonly logBytes: number | null;
  readonly artifactBytes: number | null;
  readonly artifactsMs: number | null;
  readonly sourceBytes: number | null;
  readonly sourcesMs: number | null;
  readonly imagesMs: number | null;
}

export interface CleanSummary {
  readonly runs: number;
  readonly logs: Removed;
  readonly artifacts: Removed;
  readonly deliveries: number;
  readonly sources: Removed;
  readonly images: Removed;
  readonly containers: number;
}

export interface Cleaner {
  /**
   * Removes what is too old or too much, and what killed processes left. What can't be removed now is logged and left for
   * the next time; so it never throws.
   */
  clean(): Promise<CleanSummary>;
  /** Only what each server has of its own: mirrors and trees, images, containers. */
  cleanOwn(): Promise<Pick<CleanSummary, 'sources' | 'images' | 'containers'>>;
}

const dayMs = 86_400_000;
const deliveriesMs = 7 * dayMs;
/** Of things without a run: one that is being made may not be known yet. */
const orphanMs = dayMs;
/** Small, so that nothing else waits for the database. */
const batch = 50;
/** In one go at most, of runs and deliveries each; the rest goes the next time. */
const mostBatches = 400;

export function createCleaner(parts: CleanerParts): Cleaner {
  const { store, logs, archives, rules, clock } = parts;
  /** Jobs that are in the store, so that each is asked for once. */
  const known = new Set<string>();

  async function clean(): Promise<CleanSummary> {
    const at = clock.now();
    const before = (ms: number | null): number | null => (ms === null ? null : at - ms);
    const gone = { logs: counter(), artifacts: counter() };
    const runs = await part('runs', 0, () => pruneRuns(before(rules.runsMs)));
    await part('logs', null, async () => {
      const kept = await withoutOrphans(logs.all(), at - orphanMs, logOf(gone.logs));
      await fit(kept, rules.logBytes, logOf(gone.logs));
    });
    await part('artifacts', null, async () => {
      const remove = archiveOf(gone.artifacts);
      const kept = await withoutOrphans(archives.all(), at - orphanMs, remove);
      const young = await withoutOld(kept, before(rules.artifactsMs), remove);
      await fit(young, rules.artifactBytes, remove);
    });
    await part('replaced secrets', 0, () => store.secrets.forget(at - parts.secretsMs));
    const summary: CleanSummary = {
      runs,
      logs: gone.logs.sum,
      artifacts: gone.artifacts.sum,
      deliveries: await part('deliveries', 0, () => forgetDeliveries(at - deliveriesMs)),
      ...(await cleanOwn()),
    };
    parts.log.info({ ...summary }, 'cleaned');
    return summary;
  }

  async function cleanOwn(): Promise<Pick<CleanSummary, 'sources' | 'images' | 'containers'>> {
    const nothing = { count: 0, bytes: 0 };
    const before = (ms: number | null): number | null => (ms === null ? null : clock.now() - ms);
    return {
      sources: await part('mirrors and trees', nothing, () =>
        parts.sources.clean({ before: before(rules.sourcesMs), bytes: rules.sourceBytes }),
      ),
      containers: await part('containers and networks', 0, parts.sweep),
      images: await part('images', nothing, () => parts.images.clean({ before: before(rules.imagesMs), bytes: null })),
    };
  }

  /** One part that fails must not keep the others from being done. */
  async function part<T>(what: string, otherwise: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      parts.log.error({ err: error, what }, 'a part of what is old could not be removed; the next time tries again');
      return otherwise;
    }
  }

  async function pruneRuns(before: number | null): Promise<number> {
    if (before === null && rules.runs === null) return 0;
    let count = 0;
    for (let i = 0; i < mostBatches; i += 1) {
      const pruned = await store.runs.prune({ before, keep: rules.runs, limit: batch });
      count += pruned.length;
      for (const { runId, jobs } of pruned) {
        await parts.untell(
          runId,
          jobs.map((job) => job.id),
        );
        for (const job of jobs) {
          known.delete(job.id);
          await removeAllOf(job);
        }
      }
      if (pruned.length < batch) break;
      await turn();
    }
    return count;
  }

  /** What is left here because the process ends now has no run any more: the next cleaning finds it as that. */
  async function removeAllOf(job: { readonly id: string; readonly attempts: number }): Promise<void> {
    for (let attempt = 1; attempt <= job.attempts; attempt += 1) {
      const name = { jobId: job.id, attempt };
      await logs.remove(name);
      await archives.removeOf(name);
    }
  }

  async function forgetDeliveries(before: number): Promise<number> {
    let count = 0;
    for (let i = 0; i < mostBatches; i += 1) {
      const forgotten = await store.deliveries.forget(before, batch);
      count += forgotten;
      if (forgotten < batch) break;
      await turn();
    }
    return count;
  }

  async function withoutOrphans<Name extends LogName>(
    all: AsyncIterable<Stored<Name>>,
    before: number,
    remove: Remove<Name>,
  ): Promise<Stored<Name>[]> {
    const kept: Stored<Name>[] = [];
    for await (const stored of all) {
      const { jobId } = stored.name;
      if (stored.at < before && !known.has(jobId)) {
        await turn();
        if ((await store.runs.job(jobId)) === null) {
          await remove(stored);
          continue;
        }
        known.add(jobId);
      }
      kept.push(stored);
    }
    return kept;
  }

  async function withoutOld<Name extends LogName>(
    all: readonly Stored<Name>[],
    before: number | null,
    remove: Remove<Name>,
  ): Promise<Stored<Name>[]> {
    const kept: Stored<Name>[] = [];
    for (const stored of all) {
      if (before !== null && stored.at < before && (await isOver(stored.name.jobId))) await remove(stored);
      else kept.push(stored);
    }
    return kept;
  }

  /** Removes the oldest until the rest fits. */
  async function fit<Name extends LogName>(
    all: Stored<Name>[],
    bytes: number | null,
    remove: Remove<Name>,
  ): Promise<void> {
    let left = all.reduce((sum, stored) => sum + stored.bytes, 0);
    if (bytes === null || left <= bytes) return;
    for (const stored of all.toSorted((a, b) => a.at - b.at)) {
      if (left <= bytes) return;
      if (!(await isOver(stored.name.jobId))) continue;
      await remove(stored);
      left -= stored.bytes;
    }
  }

  /** The whole run: other jobs of it may need the artifacts, and people look at all of its logs. */
  async function isOver(jobId: string): Promise<boolean> {
    await turn();
    const job = await store.runs.job(jobId);
    // A job that was just made is nobody's orphan: those are removed elsewhere, by age.
    if (job === null) return false;
    return (await store.runs.get(job.runId))?.state === 'completed';
  }

  function logOf(gone: Counter): Remove<LogName> {
    return async ({ name, bytes }) => {
      await logs.remove(name);
      gone.add(bytes);
    };
  }

  function archiveOf(gone: Counter): Remove<LogName & { readonly ref: string }> {
    return async ({ name, bytes }) => {
      await archives.remove(name.ref);
      gone.add(bytes);
    };
  }

  return { clean, cleanOwn };
}

type Remove<Name> = (stored: Stored<Name>) => Promise<void>;

interface Counter {
  readonly sum: Removed;
  add(bytes: number): void;
}

function counter(): Counter {
  let sum: Removed = { count: 0, bytes: 0 };
  return {
    get sum() {
      return sum;
    },
    add(bytes) {
      sum = { count: sum.count + 1, bytes: sum.bytes + bytes };
    },
  };
}
