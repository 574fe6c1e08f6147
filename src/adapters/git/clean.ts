import { execFile } from 'node:child_process';
import { renameSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Cache, Removed } from '#src/engine/ports.ts';
import type { Mirror } from './mirror.ts';
import type { Trees } from './trees.ts';

interface Sources {
  readonly home: string;
  /** Those that this process uses, by the name of the repository's folder. */
  readonly mirrors: ReadonlyMap<string, Mirror>;
  readonly trees: Trees;
}

/** A thing that may go. */
interface Candidate {
  readonly path: string;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
  /** False if it is in use by now. */
  remove(): Promise<boolean>;
}

/** Longer than git reads from a mirror at a stretch. */
const inUseMs = 60 * 60_000;

/** Removes trees and mirrors as a Cache does. A tree goes before the mirror that it was made from. */
export async function cleanSources(sources: Sources, keep: Parameters<Cache['clean']>[0]): Promise<Removed> {
  const trees = sources.trees.free().map((tree): Candidate => ({ ...tree, remove: async () => tree.remove() }));
  const candidates = [...trees, ...(await mirrorsOf(sources))].toSorted((a, b) => a.usedAt - b.usedAt);
  const { before, bytes } = keep;
  const old = candidates.filter(({ usedAt }) => before !== null && usedAt < before);
  const sum = { count: 0, bytes: 0 };
  const measured = await sizes(old.map(({ path }) => path));
  for (const each of old) await removeOne(each, measured);
  if (bytes === null) return sum;

  const paths = [join(sources.home, 'mirrors'), join(sources.home, 'trees')];
  let left = [...(await sizes(paths)).values()].reduce((a, b) => a + b, 0);
  if (left <= bytes) return sum;
  const rest = candidates.filter((each) => !old.includes(each));
  const each = await sizes(rest.map(({ path }) => path));
  for (const candidate of rest) {
    if (left <= bytes) break;
    if (await removeOne(candidate, each)) left -= each.get(candidate.path) ?? 0;
  }
  return sum;

  async function removeOne(candidate: Candidate, known: ReadonlyMap<string, number>): Promise<boolean> {
    if (!(await candidate.remove())) return false;
    sum.count += 1;
    sum.bytes += known.get(candidate.path) ?? 0;
    return true;
  }
}

async function mirrorsOf({ home, mirrors }: Sources): Promise<Candidate[]> {
  const dir = join(home, 'mirrors');
  const found: Candidate[] = [];
  for (const entry of await readdir(dir).catch(() => [])) {
    const path = join(dir, entry);
    if (/\.git\.(old|new)$/.test(entry)) {
      // Half-made or half-removed, unless it is just being so.
      const name = entry.replace(/\.git\.\w+$/, '');
      if (!mirrors.has(name)) await rm(path, { recursive: true, force: true });
      continue;
    }
    const name = /^(.+)\.git$/.exec(entry)?.[1];
    const info = await stat(path).catch(() => null);
    if (name === undefined || info === null) continue;
    const usedAt = Math.max(info.mtimeMs, mirrors.get(name)?.usedAt ?? 0);
    if (Date.now() - usedAt < inUseMs) continue;
    found.push({ path, usedAt, remove: () => removeMirror(mirrors.get(name) ?? null, path) });
  }
  return found;
}

async function removeMirror(mirror: Mirror | null, path: string): Promise<boolean> {
  if (mirror !== null) return mirror.discard(Date.now() - inUseMs);
  // At once, so that nobody begins to use it meanwhile.
  renameSync(path, `${path}.old`);
  await rm(`${path}.old`, { recursive: true, force: true, maxRetries: 3 });
  return true;
}

/** Bytes on disk by path; what several share by hard links counts for the first. What isn't there is left out. */
async function sizes(paths: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (let from = 0; from < paths.length; from += 100) {
    const some = paths.slice(from, from + 100);
    // A folder that goes meanwhile makes it end with an error, and tell the rest all the same.
    const { stdout } = await promisify(execFile)('du', ['-sk', '--', ...some], { timeout: 10 * 60_000 }).catch(
      (error: { stdout?: string }) => ({ stdout: error.stdout ?? '' }),
    );
    for (const line of stdout.split('\n')) {
      const [, kilobytes, path] = /^(\d+)\t(.+)$/.exec(line) ?? [];
      if (path !== undefined) found.set(path, Number(kilobytes) * 1024);
    }
  }
  return found;
}
