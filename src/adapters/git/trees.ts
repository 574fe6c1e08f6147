import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Commit, Tree } from '#src/engine/ports.ts';
import type { Base } from './checkout.ts';
import { waitFor } from './lock.ts';
import { refHash } from './names.ts';

/** Checked-out folders of all repositories, shared by whoever wants the same commit of the same ref. */
export interface Trees {
  /** `make` is called if there is no such tree; it must fill a folder that doesn't exist yet. */
  acquire(
    repository: string,
    commit: Commit,
    make: (target: string, base: Base | null) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Tree>;
  /** Trees that nobody uses and that may go, the one that wasn't used for longest first. */
  free(): readonly FreeTree[];
  /** Waits for removals under way. */
  close(): Promise<void>;
}

export interface FreeTree {
  readonly repository: string;
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
  /** False if somebody uses it by now. */
  remove(): boolean;
}

export interface TreesSettings {
  readonly dir: string;
  /** Trees kept for each repository, those in use included. */
  readonly keep: number;
  /** How long a tree from before this process stays as it is: a container may still see it. Milliseconds. */
  readonly inheritedMs: number;
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly sha: string;
  readonly hash: string;
  readonly made: Promise<void>;
  settled: boolean;
  users: number;
  /** Grows with each use. */
  used: number;
  usedAt: number;
  readonly untouchableUntil: number;
}

/** `SHA-HASH` of the ref. Anything else in a repository's folder is half-made or half-removed. */
const treeName = /^([0-9a-f]{40,64})-([0-9a-f]{12})$/;

export async function openTrees(settings: TreesSettings): Promise<Trees> {
  const pools = new Map<string, Map<string, Entry>>();
  const removals = new Set<Promise<void>>();
  let counter = 0;
  await mkdir(settings.dir, { recursive: true });
  await inherit();

  return {
    async acquire(repository, commit, make, signal) {
      signal.throwIfAborted();
      const pool = poolOf(repository);
      const name = `${commit.sha}-${refHash(commit.ref)}`;
      let entry = pool.get(name);
      if (!entry) {
        entry = start(pool, join(settings.dir, repository), name, make);
        pool.set(name, entry);
      }
      entry.users++;
      entry.used = ++counter;
      entry.usedAt = Date.now();
      try {
        await waitFor(entry.made, signal);
      } catch (error) {
        entry.users--;
        throw error;
      }
      evict(pool, repository);
      return lend(entry, () => evict(pool, repository));
    },
    free: () =>
      [...pools]
        .flatMap(([repository, pool]) =>
          [...pool.values()].filter(isFree).map((entry) => ({
            repository,
            path: entry.path,
            usedAt: entry.usedAt,
            remove: () => drop(pool, repository, entry),
          })),
        )
        .toSorted((a, b) => a.usedAt - b.usedAt),
    async close() {
      const making = [...pools.values()].flatMap((pool) => [...pool.values()].map((entry) => entry.made));
      await Promise.allSettled(making);
      await Promise.allSettled(removals);
    },
  };

  function poolOf(repository: string): Map<string, Entry> {
    const pool = pools.get(repository) ?? new Map<string, Entry>();
    pools.set(repository, pool);
    return pool;
  }

  function start(
    pool: Map<string, Entry>,
    dir: string,
    name: string,
    make: (target: string, base: Base | null) => Promise<void>,
  ): Entry {
    const [, sha = '', hash = ''] = treeName.exec(name) ?? [];
    const source = choose(pool, hash);
    const move = source !== null && source.hash === hash && isFree(source);
    if (source && move) pool.delete(source.name);
    if (source && !move) source.users++;
    const base: Base | null = source && { mode: move ? 'move' : 'copy', path: source.path, sha: source.sha };
    const path = join(dir, name);
    const draft = join(dir, `new-${process.pid}-${++counter}`);

    async function build(): Promise<void> {
      try {
        await mkdir(dir, { recursive: true });
        await make(draft, base);
        await rename(draft, path);
        entry.settled = true;
      } catch (error) {
        if (pool.get(name) === entry) pool.delete(name);
        discard(draft);
        throw error;
      } finally {
        if (source && !move) source.users--;
        if (source && move) discard(source.path); // there only if the move itself failed
      }
    }
    const made = Promise.resolve().then(build);
    made.catch(() => undefined); // each waiter sees it; without waiters it's nobody's
    const entry: Entry = {
      name,
      path,
      sha,
      hash,
      made,
      settled: false,
      users: 0,
      used: 0,
      usedAt: 0,
      untouchableUntil: 0,
    };
    return entry;
  }

  /** The tree that costs least to begin with: a free one of the same ref is moved, any other is copied. */
  function choose(pool: Map<string, Entry>, hash: string): Entry | null {
    const ready = [...pool.values()].filter((entry) => entry.settled).sort((a, b) => b.used - a.used);
    const same = ready.filter((entry) => entry.hash === hash);
    return same.find(isFree) ?? same[0] ?? ready[0] ?? null;
  }

  function isFree(entry: Entry): boolean {
    return entry.settled && entry.users === 0 && Date.now() >= entry.untouchableUntil;
  }

  function evict(pool: Map<string, Entry>, repository: string): void {
    const free = [...pool.values()].filter(isFree).sort((a, b) => a.used - b.used);
    for (const entry of free.slice(0, Math.max(0, pool.size - settings.keep))) drop(pool, repository, entry);
  }

  function drop(pool: Map<string, Entry>, repository: string, entry: Entry): boolean {
    if (pool.get(entry.name) !== entry || !isFree(entry)) return false;
    pool.delete(entry.name);
    discard(entry.path, join(settings.dir, repository, `old-${process.pid}-${++counter}`));
    return true;
  }

  /** Renamed first, so that the name is free at once and never stands for half a tree. */
  function discard(path: string, aside?: string): void {
    async function remove(): Promise<void> {
      if (aside) await rename(path, aside).catch(() => undefined);
      await rm(aside ?? path, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined);
    }
    const work = remove().finally(() => removals.delete(work));
    removals.add(work);
  }

  async function inherit(): Promise<void> {
    const sameBoot = await noteBoot(settings.dir);
    for (const folder of await readdir(settings.dir, { withFileTypes: true })) {
      if (!folder.isDirectory()) continue;
      const dir = join(settings.dir, folder.name);
      for (const name of await readdir(dir)) {
        const match = treeName.exec(name);
        const path = join(dir, name);
        if (!match || !sameBoot) {
          discard(path);
          continue;
        }
        const until = Date.now() + settings.inheritedMs;
        const entry = { name, path, sha: match[1] ?? '', hash: match[2] ?? '', made: Promise.resolve(), settled: true };
        const usedAt = (await stat(path)).mtimeMs;
        const used = Math.min(0, usedAt - Date.now());
        poolOf(folder.name).set(name, { ...entry, users: 0, used, usedAt, untouchableUntil: until });
      }
    }
  }
}

function lend(entry: Entry, released: () => void): Tree {
  let held = true;
  return {
    path: entry.path,
    async [Symbol.asyncDispose]() {
      if (!held) return;
      held = false;
      entry.users--;
      released();
    },
  };
}

/** False if the machine was started anew since the last call: files that weren't synced may be empty then. */
async function noteBoot(dir: string): Promise<boolean> {
  const file = join(dir, 'boot');
  const now = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => 'unknown');
  const before = await readFile(file, 'utf8').catch(() => null);
  if (before !== now) await writeFile(file, now);
  return before === null || before === now;
}
