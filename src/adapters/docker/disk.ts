import { statfs as nodeStatfs } from 'node:fs/promises';
import type { Outcome } from '#src/model/outcome.ts';
import type { Logger } from './place.ts';

/** Between two looks at the free space, milliseconds. */
const INTERVAL = 1000;
/**
 * Jobs are measured so often anyway, milliseconds: one may write what another removes; and a container's layer may lie on a
 * disk that isn't seen.
 */
const LEAST_OFTEN = 60_000;
const LEAST_OFTEN_BLIND = 15_000;
/**
 * What a job took is free again soon after its end: so long no other is ended for the reserve, milliseconds; and, as removing
 * many files takes its time, for longer as long as the space doesn't fall further.
 */
const RELIEF = 5000;
const LONG_RELIEF = 120_000;
/** A file system has this part of its files kept, as the reserve keeps bytes. */
const FILES_KEPT = 0.02;

const mib = 1024 ** 2;

/** A job that is watched. */
export interface Watched {
  /** `jobId-attempt`. */
  readonly name: string;
  /** Its folder, wherever that is by now; null: there is none yet. */
  folder(): string | null;
  /** Id of its container; null: there is none yet. */
  container(): string | null;
  end(outcome: Outcome): void;
}

/** What a job takes of the disk. */
export interface Use {
  readonly bytes: number;
  /** Null where they weren't counted. */
  readonly files: number | null;
}

export interface DiskWatch {
  /** Ends the job if it takes more than its share, or if the disk fills up and it takes most. Until it is disposed. */
  watch(job: Watched): Disposable;
}

export interface DiskOptions {
  /** Bytes that a job may use; null: no limit. */
  readonly limit: number | null;
  /** Bytes of each disk that jobs may not use up; null: none. */
  readonly reserve: number | null;
  /** Folders whose disks are looked at. */
  readonly disks: readonly string[];
  /** Whether some of what jobs use lies on a disk that isn't among them. */
  readonly blind: boolean;
  /**
   * What each of the jobs uses now; null: it couldn't be told in time. `countFiles`: their number too.
   */
  measure(jobs: readonly Watched[], countFiles: boolean): Promise<ReadonlyMap<Watched, Use | null>>;
  readonly logger: Logger;
  readonly statfs?: (path: string) => Promise<Disk>;
}

/** As statfs(2) tells of it. */
export interface Disk {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

interface Look {
  readonly at: number;
  readonly free: number;
  readonly freeFiles: number;
  readonly files: number;
}

/** Looks at the free space while jobs run, and measures jobs only when it fell: that takes time where there are many files. */
export function createDiskWatch(options: DiskOptions): DiskWatch {
  const { limit, reserve, logger } = options;
  const statfs = options.statfs ?? nodeStatfs;
  const jobs = new Set<Watched>();
  /** By folder: as it was when jobs were measured last, and at the last look. */
  let measured = new Map<string, Look>();
  let last = new Map<string, Look>();
  let measuredAt = performance.now();
  let atEnd = new Map<string, Look>();
  let endedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | null = null;

  function next(delay = INTERVAL): void {
    if (timer !== null || jobs.size === 0 || (limit === null && reserve === null)) return;
    timer = setTimeout(() => {
      void tick()
        .catch((error: unknown) => logger.warn({ err: error }, 'the disk could not be looked at'))
        .finally(() => {
          timer = null;
          next();
        });
    }, delay);
  }

  async function tick(): Promise<void> {
    const looks = new Map<string, Look>();
    for (const folder of options.disks) {
      const { bsize, bavail, files, ffree } = await statfs(folder);
      looks.set(folder, { at: performance.now(), free: bsize * bavail, freeFiles: ffree, files });
    }
    const before = last;
    last = looks;
    const short = [...looks].map(([folder, look]) => shortage(look, before.get(folder) ?? look, reserve)).find(Boolean);
    const due = performance.now() - measuredAt >= (options.blind ? LEAST_OFTEN_BLIND : LEAST_OFTEN);
    const fell = [...looks].some(([folder, look]) => hasFallen(look, measured.get(folder), limit));
    if (measured.size === 0) measured = looks;
    if (!short && !due && !fell) return;
    if (short && !fell && isRelieved(looks)) return;
    measured = looks;
    measuredAt = performance.now();
    const uses = await options.measure([...jobs], short != null);
    for (const [job, use] of uses) {
      if (limit === null || use === null || use.bytes <= limit || !jobs.has(job)) continue;
      end(job, `The job used more disk than it may: ${size(use.bytes)} of ${size(limit)} (SLIPWAY_JOB_DISK).`);
    }
    if (!short || isRelieved(looks)) return;
    const found = culprit(uses, short.kind);
    if (found && jobs.has(found.job))
      end(found.job, `The job filled the disk: ${found.words}, more than any other job, and ${short.words}.`);
  }

  function isRelieved(looks: ReadonlyMap<string, Look>): boolean {
    const since = performance.now() - endedAt;
    const falls = [...looks].some(([folder, { free }]) => free < (atEnd.get(folder)?.free ?? 0));
    return since < RELIEF || (since < LONG_RELIEF && !falls);
  }

  function end(job: Watched, words: string): void {
    endedAt = performance.now();
    atEnd = last;
    logger.info({ job: job.name, why: words }, 'a job filled the disk and is ended');
    job.end({ kind: 'failure', reason: words });
  }

  return {
    watch(job) {
      jobs.add(job);
      // At once: what it writes from now on counts.
      if (jobs.size === 1) next(0);
      return {
        [Symbol.dispose]() {
          jobs.delete(job);
          if (jobs.size > 0) return;
          if (timer) clearTimeout(timer);
          timer = null;
          // What others do to the disk meanwhile is no job's.
          measured = new Map();
          last = new Map();
        },
      };
    },
  };
}

interface Shortage {
  readonly kind: 'bytes' | 'files';
  readonly words: string;
}

/** Whether the disk is about to fall to what is kept: two seconds ahead, for ending a job takes a moment. */
function shortage(look: Look, before: Look, reserve: number | null): Shortage | null {
  if (reserve === null) return null;
  const seconds = Math.max(0.001, (look.at - before.at) / 1000);
  const ahead = (now: number, then: number) => now - (2 * Math.max(0, then - now)) / seconds;
  if (ahead(look.free, before.free) < reserve * 1.25) {
    return {
      kind: 'bytes',
      words: `only ${size(look.free)} were left on the disk, of which ${size(reserve)} are kept (SLIPWAY_RESERVE)`,
    };
  }
  // Some file systems have no limit, and say 0.
  if (look.files > 0 && ahead(look.freeFiles, before.freeFiles) < look.files * FILES_KEPT) {
    return { kind: 'files', words: `only ${count(look.freeFiles)} more can be made on the disk` };
  }
  return null;
}

/** Whether a job may have come over its limit since it was measured. */
function hasFallen(look: Look, since: Look | undefined, limit: number | null): boolean {
  if (since === undefined || limit === null) return false;
  return since.free - look.free >= Math.max(mib, Math.min(limit / 20, 512 * mib));
}

/** The job that takes most, if it is that much that the shortage may be its doing. */
function culprit(
  uses: ReadonlyMap<Watched, Use | null>,
  kind: Shortage['kind'],
): { readonly job: Watched; readonly words: string } | null {
  let most: { readonly job: Watched; readonly amount: number } | null = null;
  for (const [job, use] of uses) {
    // What can't be counted in time is much.
    const amount = use === null ? Number.POSITIVE_INFINITY : kind === 'bytes' ? use.bytes : (use.files ?? 0);
    if (amount > (most?.amount ?? 0)) most = { job, amount };
  }
  if (most === null || most.amount < (kind === 'bytes' ? 16 * mib : 10_000)) return null;
  const { job, amount } = most;
  if (amount === Number.POSITIVE_INFINITY) return { job, words: 'it made more files than could be counted' };
  return { job, words: kind === 'bytes' ? `it used ${size(amount)}` : `it made ${count(amount)} files` };
}

function size(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib >= 1 ? `${Number(gib.toFixed(1))} GiB` : `${Math.floor(bytes / mib)} MiB`;
}

const count = (n: number) => n.toLocaleString('en-US');
