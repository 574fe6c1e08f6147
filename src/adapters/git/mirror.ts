import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Commit } from '#src/engine/ports.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Git, GitResult, Remote } from './command.ts';
import { explain, isDamaged } from './failure.ts';
import { createLock, type Lock, waitFor } from './lock.ts';

/** A bare copy of a remote repository that only ever grows. */
export interface Mirror {
  readonly dir: string;
  /** `owner/name`, for messages. */
  readonly name: string;
  /** Makes sure that the commit is here and its ref known, from the network if need be. */
  ensure(commit: Commit, remote: () => Promise<Remote>, signal: AbortSignal): Promise<void>;
  /** While the work goes on, no pack of the mirror is removed. */
  readonly hold: Lock;
  /** Throws the mirror away, unless it was used since; the next `ensure` makes it anew. False if it was. */
  discard(unusedSince?: number): Promise<boolean>;
  /** When it was last asked for. Milliseconds since the epoch. */
  readonly usedAt: number;
}

export interface MirrorSettings {
  readonly fetchTimeoutMs: number;
  /** Pauses before trying again after a failed connection, or if GitHub doesn't know the commit yet. */
  readonly retryDelaysMs: readonly number[];
  /** Ends what goes on in the background. */
  readonly closing: AbortSignal;
}

/** More than this many packs make git slow; each fetch brings one. */
const maxPacks = 40;
/** A lock of git's is held for a moment; one as old as this was left by a git that was killed meanwhile. */
const staleLockMs = 10_000;
/** How exactly a folder tells when it was last used. */
const usedMs = 60_000;

export function openMirror(git: Git, dir: string, name: string, settings: MirrorSettings): Mirror {
  const hold = createLock();
  const under = new Map<string, Promise<void>>();
  const ensured = new Set<string>();
  let made: Promise<void> | null = null;
  let usedAt = 0;
  let notedAt = 0;
  const call = { gitDir: dir, signal: settings.closing };

  return {
    dir,
    name,
    hold,
    get usedAt() {
      return usedAt;
    },
    discard: (unusedSince = Number.POSITIVE_INFINITY) =>
      hold(async () => {
        if (usedAt > unusedSince) return false;
        await discard();
        return true;
      }),
    async ensure(commit, remote, signal) {
      signal.throwIfAborted();
      usedAt = Date.now();
      const key = `${commit.sha} ${commit.ref}`;
      if (ensured.has(key)) return;
      let work = under.get(key);
      if (!work) {
        work = hold(() => bring(commit, remote)).finally(() => under.delete(key));
        under.set(key, work);
        work.catch(() => undefined); // each waiter sees it; if all have gone it's nobody's
      }
      await waitFor(work, signal);
    },
  };

  async function bring(commit: Commit, remote: () => Promise<Remote>): Promise<void> {
    made ??= make().catch((error: unknown) => {
      made = null;
      throw error;
    });
    await made;
    if (!(await isKnown(commit))) {
      const from = await remote();
      await fetchCommit(commit, from);
    }
    noteUse();
    if (ensured.size > 10_000) ensured.clear();
    ensured.add(`${commit.sha} ${commit.ref}`);
  }

  /** For the next process. */
  function noteUse(): void {
    if (usedAt - notedAt < usedMs) return;
    notedAt = usedAt;
    utimes(dir, new Date(), new Date()).catch(() => undefined);
  }

  async function discard(): Promise<void> {
    made = null;
    ensured.clear();
    await removeAside(dir);
  }

  /** Made under another name first: a mirror is there wholly or not at all. */
  async function make(): Promise<void> {
    if (await exists(dir)) {
      await removeLeftovers(dir);
      return;
    }
    const draft = `${dir}.new`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(dirname(dir), { recursive: true });
    const args = ['init', '--quiet', '--bare', '--template=', '--initial-branch=main', draft];
    const result = await git(args, { purpose: `set up the mirror of ${name}`, signal: settings.closing });
    if (result.code !== 0) throw explain(result.stderr, `set up the mirror of ${name}`).error;
    await rename(draft, dir);
  }

  /** The ref counts too: a tag that is new on a known commit must reach `git describe`. */
  async function isKnown(commit: Commit): Promise<boolean> {
    const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${commit.ref}^{commit}`];
    const result = await git(args, { ...call, purpose: `look up ${commit.ref}` });
    return result.code === 0 && result.stdout.toString().trim() === commit.sha;
  }

  async function has(sha: string): Promise<boolean> {
    const result = await git(['cat-file', '-e', `${sha}^{commit}`], { ...call, purpose: `look up ${sha}` });
    return result.code === 0;
  }

  async function fetchCommit(commit: Commit, remote: Remote): Promise<void> {
    let healed = false;
    for (const delay of [...settings.retryDelaysMs, null]) {
      let failure = await attempt(commit, remote);
      if (!healed && failure?.kind === 'damaged') {
        healed = true;
        await discard();
        made = make();
        await made;
        failure = await attempt(commit, remote);
      }
      if (failure === null) {
        await repackIfCrowded();
        return;
      }
      if (failure.kind === 'full') await removeLeftovers(dir);
      if (delay === null || !['gone', 'transient', 'busy'].includes(failure.kind)) throw failure.error;
      await sleep(delay, undefined, { signal: settings.closing });
    }
  }

  /**
   * By its ref, as that brings the branches and tags; a commit that a force push left behind by its id, which GitHub
   * answers for a long time. The moment after a push GitHub may know neither, so the caller tries again.
   */
  async function attempt(commit: Commit, remote: Remote): Promise<ReturnType<typeof explain> | null> {
    const purpose = `fetch ${commit.ref} of ${name}`;
    const byRef = await fetch(remote, purpose, [...everything, `+${commit.ref}:${commit.ref}`]);
    if (byRef.code === 0 && isDamaged(byRef.stderr)) return explain(byRef.stderr, purpose);
    if (byRef.code === 0 && (await has(commit.sha))) return null;
    if (byRef.code !== 0) {
      const failure = explain(byRef.stderr, purpose);
      if (failure.kind !== 'gone') return failure;
    }
    const bySha = await fetch(remote, `fetch commit ${commit.sha} of ${name}`, [...everything, commit.sha]);
    if (bySha.code === 0 && (await has(commit.sha))) return null;
    // Git takes it for known, but it can't be read.
    const said = bySha.code === 0 ? `fatal: bad object ${commit.sha}` : bySha.stderr;
    const failure = explain(said, `fetch commit ${commit.sha} of ${name}`);
    if (failure.kind !== 'gone' && failure.kind !== 'other') return failure;
    const message =
      `Commit ${commit.sha} of ${name} is no longer on GitHub: ${commit.ref} was force-pushed or deleted. ` +
      'Push again, or re-run the newest commit.';
    return { kind: 'gone', error: new UserError(message) };
  }

  async function fetch(remote: Remote, purpose: string, refspecs: readonly string[]): Promise<GitResult> {
    const giveUp = performance.now() + 2 * staleLockMs;
    for (;;) {
      const result = await git(['-c', 'fetch.unpackLimit=1', ...fetchArgs, remote.url, ...refspecs], {
        ...call,
        purpose,
        remote,
        timeoutMs: settings.fetchTimeoutMs,
      });
      if (result.code === 0 || explain(result.stderr, purpose).kind !== 'busy' || performance.now() > giveUp)
        return result;
      await removeStaleLocks(dir);
      await sleep(500, undefined, { signal: settings.closing });
    }
  }

  /** Not waited for by whoever fetched. */
  async function repackIfCrowded(): Promise<void> {
    const packs = (await readdir(join(dir, 'objects/pack'))).filter((file) => file.endsWith('.pack'));
    if (packs.length <= maxPacks) return;
    const args = ['repack', '--quiet', '--geometric=2', '-d'];
    const work = (): Promise<GitResult> =>
      git(args, { ...call, purpose: `repack the mirror of ${name}`, timeoutMs: settings.fetchTimeoutMs });
    hold(work).catch(() => undefined); // only speed is at stake; the next fetch tries again
  }
}

const everything = ['+refs/heads/*:refs/heads/*', '+refs/tags/*:refs/tags/*'];
const fetchArgs = [
  'fetch',
  '--quiet',
  '--prune',
  '--no-tags',
  '--no-write-fetch-head',
  '--no-show-forced-updates',
  '--no-recurse-submodules',
  '--end-of-options',
];

/**
 * What a git that was killed left behind: half a pack as large as the repository, and locks that nobody holds any more,
 * as the folder belongs to one process.
 */
async function removeLeftovers(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { recursive: true })) {
    if (entry.endsWith('.lock') || /(^|\/)tmp_[^/]+$/.test(entry)) await rm(join(dir, entry), { force: true });
  }
}

/** Renamed first, so that half a mirror never stands under its name. */
async function removeAside(dir: string): Promise<void> {
  const aside = `${dir}.old`;
  await rm(aside, { recursive: true, force: true });
  try {
    await rename(dir, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  await rm(aside, { recursive: true, force: true, maxRetries: 3 });
}

async function removeStaleLocks(dir: string): Promise<void> {
  for (const entry of await readdir(dir, { recursive: true })) {
    if (!entry.endsWith('.lock')) continue;
    const file = join(dir, entry);
    const info = await stat(file).catch(() => null);
    if (info && Date.now() - info.mtimeMs > staleLockMs) await rm(file, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new PlatformError(`Can't read ${path}: ${(error as Error).message}`);
  }
}
