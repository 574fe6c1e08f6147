import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache, Commit, Source, Tree } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { checkOut, type TreeLimits } from './checkout.ts';
import { createGit, type Remote } from './command.ts';
import { DamagedError, explain } from './failure.ts';
import { type Mirror, openMirror } from './mirror.ts';
import { checkRef, checkSha, folderName, remoteAt, remoteOf } from './names.ts';
import { listFiles, type Place, readFiles, readMessage } from './read.ts';
import { cleanSources } from './clean.ts';
import { openTrees } from './trees.ts';

export interface GitSourceOptions {
  /** Data folder; `mirrors/` and `trees/` are made in it. Belongs to one process at a time. */
  readonly home: string;
  /** The only site that is talked to, as `https://github.com`. Null (for tests): any, folders of this machine included. */
  readonly origin: string | null;
  /** A token that may read the repository, or null where none is needed. Asked before each access to the network. */
  readonly token: (repository: Repository) => Promise<string | null>;
  /** Added to git's environment: PATH where git lies elsewhere, proxies, certificates. */
  readonly env?: Readonly<Record<string, string>>;
  /** Trees kept for each repository. Default 8. */
  readonly keepTrees?: number;
  /** The largest tree that is checked out. Default: a million files, 20 GB. */
  readonly limits?: TreeLimits;
  /** Longest time for one fetch. Milliseconds, default 15 minutes. */
  readonly fetchTimeoutMs?: number;
  /** Pauses before tries after the first. Milliseconds, default 500 and 2000. */
  readonly retryDelaysMs?: readonly number[];
}

/** `clean` removes trees and mirrors; a mirror stays for an hour after its last use in any case. */
export interface GitSource extends Source, Cache {
  /** Ends what goes on and waits for it. Trees that are still lent out stay. */
  close(): Promise<void>;
}

/** As long as a job may take at most: a container of an earlier process may still look at a tree. */
const inheritedMs = 6 * 60 * 60_000;

/** Repositories by git over HTTP: a mirror each, and folders checked out from it. See docs/decisions/source.md. */
export async function openGitSource(options: GitSourceOptions): Promise<GitSource> {
  const git = createGit(options.env ? { env: options.env } : {});
  const closing = new AbortController();
  const mirrors = new Map<string, Mirror>();
  const retryDelaysMs = options.retryDelaysMs ?? [500, 2000];
  const trees = await openTrees({ dir: join(options.home, 'trees'), keep: options.keepTrees ?? 8, inheritedMs });

  return {
    async resolve(repository, ref, signal) {
      checkRef(ref);
      const remote = await remoteFor(repository);
      const purpose = `look up ${ref} of ${fullName(repository)}`;
      const args = ['ls-remote', '--quiet', '--end-of-options', remote.url, ref, `${ref}^{}`];
      for (const delay of [...retryDelaysMs, null]) {
        const result = await git(args, { purpose, remote, signal });
        if (result.code === 0) return shaOf(result.stdout.toString(), ref);
        const failure = explain(result.stderr, purpose);
        if (delay === null || failure.kind !== 'transient') throw failure.error;
        await sleep(delay, undefined, { signal });
      }
      return null;
    },
    message: (repository, commit, signal) =>
      healing(repository, commit, signal, (place) => readMessage(place, commit.sha)),
    list: (repository, commit, signal, folder) =>
      healing(repository, commit, signal, (place) => listFiles(place, commit.sha, folder)),
    read: (repository, commit, paths, signal) =>
      healing(repository, commit, signal, (place) => readFiles(place, commit.sha, paths)),
    tree: (repository, commit, signal) => healing(repository, commit, signal, () => lend(repository, commit, signal)),
    clean: (keep) => cleanSources({ home: options.home, mirrors, trees }, keep),
    async close() {
      closing.abort(new PlatformError('The server is shutting down.'));
      await trees.close();
    },
  };

  /** What can't be read because the mirror is damaged is read again from a new one. */
  async function healing<T>(
    repository: Repository,
    commit: Commit,
    signal: AbortSignal,
    work: (place: Place) => Promise<T>,
  ): Promise<T> {
    try {
      return await work(await placeOf(repository, commit, signal));
    } catch (error) {
      if (!(error instanceof DamagedError) || signal.aborted || closing.signal.aborted) throw error;
      await mirrorOf(repository).discard();
      return work(await placeOf(repository, commit, signal));
    }
  }

  async function lend(repository: Repository, commit: Commit, signal: AbortSignal): Promise<Tree> {
    const mirror = await ensured(repository, commit, signal);
    const originUrl = addressOf(repository).url;
    const workers = Math.max(2, Math.min(8, availableParallelism()));
    const limits = options.limits ?? { files: 1_000_000, bytes: 20 * 1024 ** 3 };
    const checkout = { git, mirror, commit, originUrl, workers, limits, signal: closing.signal };
    return trees.acquire(folderName(repository), commit, (target, base) => checkOut(checkout, target, base), signal);
  }

  async function placeOf(repository: Repository, commit: Commit, signal: AbortSignal): Promise<Place> {
    const mirror = await ensured(repository, commit, signal);
    return { git, gitDir: mirror.dir, name: mirror.name, signal };
  }

  async function ensured(repository: Repository, commit: Commit, signal: AbortSignal): Promise<Mirror> {
    checkSha(commit.sha);
    checkRef(commit.ref);
    const mirror = mirrorOf(repository);
    await mirror.ensure(commit, () => remoteFor(repository), signal);
    return mirror;
  }

  function mirrorOf(repository: Repository): Mirror {
    const folder = folderName(repository);
    const known = mirrors.get(folder);
    if (known) return known;
    const mirror = openMirror(git, join(options.home, 'mirrors', `${folder}.git`), fullName(repository), {
      fetchTimeoutMs: options.fetchTimeoutMs ?? 15 * 60_000,
      retryDelaysMs,
      closing: closing.signal,
    });
    mirrors.set(folder, mirror);
    return mirror;
  }

  async function remoteFor(repository: Repository): Promise<Remote> {
    // The address first: no token is asked for one that is refused.
    const address = addressOf(repository);
    return { ...address, token: await options.token(repository) };
  }

  function addressOf({ cloneUrl }: Repository): Omit<Remote, 'token'> {
    return options.origin === null ? remoteOf(cloneUrl) : remoteAt(cloneUrl, options.origin);
  }
}

/** From the lines of `git ls-remote`. Its patterns match the end of a name, so the names are compared. */
function shaOf(listing: string, ref: string): string | null {
  const shas = new Map(
    listing.split('\n').map((line): [string, string] => {
      const [sha = '', name = ''] = line.split('\t');
      return [name, sha];
    }),
  );
  return shas.get(`${ref}^{}`) ?? shas.get(ref) ?? null;
}
