import { statfsSync } from 'node:fs';
import { statfs as nodeStatfs } from 'node:fs/promises';

/** The free space of the disk that Slipway's data lies on, of which a reserve is kept for the database. */
export interface Space {
  /** Null, or why no job may begin now and no log goes on, with what to do: a sentence or two for people. Never throws. */
  shortage(): Promise<string | null>;
  /** As `shortage`, for so many bytes that are about to be written: it looks again after every few MB. */
  shortageFor(bytes: number): Promise<string | null>;
  /** As `shortage`, looked at now and without waiting: for who writes much at once. */
  shortageNow(): string | null;
}

export interface SpaceOptions {
  /** The data folder. */
  readonly path: string;
  /** Bytes that stay free; null: no limit. */
  readonly reserve: number | null;
  readonly statfs?: (path: string) => Promise<Disk>;
  /** Milliseconds of a clock that never goes back. */
  readonly watch?: () => number;
}

/** As statfs(2) tells of it. */
interface Disk {
  readonly bsize: number;
  readonly blocks: number;
  readonly bavail: number;
}

/** Free space may have changed by then. */
const freshMs = 1_000;
const stepBytes = 4 * 1024 * 1024;

/** Looks at most once a second, or once for every 4 MB that are written. */
export function createSpace(options: SpaceOptions): Space {
  const { path, reserve } = options;
  const statfs = options.statfs ?? nodeStatfs;
  const watch = options.watch ?? (() => performance.now());
  let answer: Promise<string | null> = Promise.resolve(null);
  let lookedAt = Number.NEGATIVE_INFINITY;
  let written = 0;

  function shortageFor(bytes: number): Promise<string | null> {
    if (reserve === null) return answer;
    written += bytes;
    if (written >= stepBytes || watch() - lookedAt >= freshMs) {
      written = 0;
      lookedAt = watch();
      answer = look(reserve);
    }
    return answer;
  }

  async function look(limit: number): Promise<string | null> {
    try {
      return judge(await statfs(path), limit);
    } catch {
      // Nothing is known about the space; whoever writes will see.
      return null;
    }
  }

  function judge({ bsize, blocks, bavail }: Disk, limit: number): string | null {
    const free = bsize * bavail;
    if (free >= limit) return null;
    const text = `Only ${size(free)} of ${size(bsize * blocks)} are free on the disk that holds ${path}`;
    const advice =
      bsize * blocks <= limit
        ? 'The disk is smaller than the reserve: give SLIPWAY_HOME a larger one, or lower SLIPWAY_RESERVE.'
        : 'Free some space, or have less kept (the settings SLIPWAY_KEEP_...); jobs go on by themselves then.';
    return `${text}, and ${size(limit)} are kept for the database (SLIPWAY_RESERVE). ${advice}`;
  }

  function shortageNow(): string | null {
    if (reserve === null) return null;
    try {
      const found = judge(statfsSync(path), reserve);
      lookedAt = watch();
      written = 0;
      answer = Promise.resolve(found);
      return found;
    } catch {
      return null;
    }
  }

  return { shortage: () => shortageFor(0), shortageFor, shortageNow };
}

function size(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib >= 1 ? `${gib.toFixed(1)} GiB` : `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
