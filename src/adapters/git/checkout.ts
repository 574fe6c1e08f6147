import { execFile } from 'node:child_process';
import { copyFile, link, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Commit } from '#src/engine/ports.ts';
import type { Git } from './command.ts';
import { UserError } from '#src/model/outcome.ts';
import { explain, isDamaged } from './failure.ts';
import type { Mirror } from './mirror.ts';

/** A folder to begin with: taken over, or copied by hard links. */
export interface Base {
  readonly mode: 'move' | 'copy';
  readonly path: string;
  readonly sha: string;
}

export interface Checkout {
  readonly git: Git;
  readonly mirror: Mirror;
  readonly commit: Commit;
  /** Written to the folder's configuration; without credentials. */
  readonly originUrl: string;
  /** Number of git's processes that write files. */
  readonly workers: number;
  readonly limits: TreeLimits;
  readonly signal: AbortSignal;
}

/** The largest tree that is checked out. A few objects can describe one that fills any disk. */
export interface TreeLimits {
  readonly files: number;
  readonly bytes: number;
}

const timeoutMs = 10 * 60_000;

/**
 * Checks the commit out into the folder `target`, which must not exist. With a base only what differs is written.
 * Where a base turns out to be unusable it is made from nothing.
 */
export async function checkOut(given: Checkout, target: string, base: Base | null): Promise<void> {
  // Beside the work, which takes longer; what is too large ends it.
  const tooLarge = new AbortController();
  const checkout = { ...given, signal: AbortSignal.any([given.signal, tooLarge.signal]) };
  const measured = measure(checkout).catch((error: unknown) => {
    tooLarge.abort(error);
    throw error;
  });
  const results = await Promise.allSettled([measured, write(checkout, target, base)]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

async function write(checkout: Checkout, target: string, base: Base | null): Promise<void> {
  if (base) {
    try {
      await begin(checkout, target, base);
      await fill(checkout, target);
      return;
    } catch {
      checkout.signal.throwIfAborted();
      await rm(target, { recursive: true, force: true });
    }
  }
  await mkdir(join(target, '.git/objects/info'), { recursive: true });
  for (const folder of ['objects/pack', 'refs', 'info']) await mkdir(join(target, '.git', folder));
  await fill(checkout, target);
}

/** Throws UserError if the commit's tree is larger than the limits, without reading more of it than it takes to see that. */
async function measure({ git, mirror, commit, limits, signal }: Checkout): Promise<void> {
  let files = 0;
  let bytes = 0;
  let rest = '';
  let why: string | null = null;
  const take = (chunk: Buffer): boolean => {
    const sizes = (rest + chunk.toString('latin1')).split('\n');
    rest = sizes.pop() ?? '';
    files += sizes.length;
    for (const size of sizes) bytes += Number(size) || 0;
    if (files > limits.files) why = `it has more than ${limits.files} files`;
    else if (bytes > limits.bytes) why = `its files have more than ${Math.round(limits.bytes / 1024 ** 3)} GB`;
    return why === null;
  };
  const purpose = `measure ${commit.sha} of ${mirror.name}`;
  const args = ['ls-tree', '-r', '--full-tree', '--format=%(objectsize)', commit.sha];
  // A git older than 2.36 doesn't know the option: then nothing is measured.
  await git(args, { purpose, gitDir: mirror.dir, timeoutMs, signal, take }).catch((error: unknown) => {
    if (why === null) throw error;
  });
  if (why !== null) throw new UserError(`Can't check out ${commit.sha} of ${mirror.name}: ${String(why)}.`);
}

async function begin(checkout: Checkout, target: string, base: Base): Promise<void> {
  if (base.mode === 'move') await rename(base.path, target);
  if (await attributesDiffer(checkout, base.sha)) throw new Error('other attributes');
  if (base.mode === 'move') return;
  await mkdir(target);
  // Hard links: git never writes into a file, it removes it and makes another.
  await promisify(execFile)('cp', ['-RPpl', `${base.path}/.`, target], { timeout: timeoutMs, signal: checkout.signal });
}

/** Attributes say how files are written, also those that are the same in both commits: then all must be written anew. */
async function attributesDiffer(checkout: Checkout, sha: string): Promise<boolean> {
  const args = ['diff-tree', '-r', '--quiet', sha, checkout.commit.sha, '--', ':(glob)**/.gitattributes'];
  const call = { gitDir: checkout.mirror.dir, purpose: 'compare attributes', signal: checkout.signal };
  const result = await checkout.git(args, call);
  return result.code !== 0;
}

async function fill(checkout: Checkout, target: string): Promise<void> {
  const gitDir = join(target, '.git');
  const { commit, mirror } = checkout;
  const purpose = `check out ${commit.sha} of ${mirror.name}`;
  await mirror.hold(async () => {
    await linkPacks(mirror.dir, gitDir);
    await writeRefs(checkout, gitDir);
  });
  await writeNew(join(gitDir, 'config'), config(checkout.originUrl));
  const args = ['-c', `checkout.workers=${checkout.workers}`, 'read-tree', '--reset', '-u', commit.sha];
  const result = await checkout.git(args, { purpose, gitDir, workTree: target, timeoutMs, signal: checkout.signal });
  if (result.code !== 0 || isDamaged(result.stderr)) throw explain(result.stderr, purpose).error;
}

/** Packs never change once written, so trees share them with the mirror. */
async function linkPacks(mirrorDir: string, gitDir: string): Promise<void> {
  const from = join(mirrorDir, 'objects/pack');
  const to = join(gitDir, 'objects/pack');
  const wanted = (await readdir(from)).filter((file) => /^pack-[0-9a-f]+\.(?:pack|idx|rev)$/.test(file));
  const present = new Set(await readdir(to));
  for (const file of wanted) {
    if (present.delete(file) && (await isSame(join(from, file), join(to, file)))) continue;
    await rm(join(to, file), { force: true });
    await linkOrCopy(join(from, file), join(to, file));
  }
  for (const file of present) await rm(join(to, file), { force: true });
}

/** A pack that was damaged has the name of the one that replaced it. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other)]);
  return a.ino === b.ino || a.size === b.size;
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch {
    await copyFile(from, to); // a file system without hard links
  }
}

/** Branches as origin's, tags, and HEAD as CI systems leave it: on the branch that was pushed, detached otherwise. */
async function writeRefs({ git, mirror, commit, signal }: Checkout, gitDir: string): Promise<void> {
  const format = '--format=%(objectname) %(refname) %(*objectname)';
  const purpose = `list the refs of ${mirror.name}`;
  const result = await git(['for-each-ref', format, 'refs/heads', 'refs/tags'], {
    purpose,
    gitDir: mirror.dir,
    maxBytes: 256 * 1024 * 1024,
    signal,
  });
  if (result.code !== 0) throw explain(result.stderr, purpose).error;
  const refs: { readonly name: string; readonly text: string }[] = [];
  for (const line of result.stdout.toString().split('\n')) {
    const [sha, ref, peeled] = line.split(' ');
    if (!sha || !ref) continue;
    const name = ref.replace(/^refs\/heads\//, 'refs/remotes/origin/');
    refs.push({ name, text: `${sha} ${name}\n${peeled ? `^${peeled}\n` : ''}` });
  }
  const onBranch = commit.ref.startsWith('refs/heads/');
  if (onBranch) refs.push({ name: commit.ref, text: `${commit.sha} ${commit.ref}\n` });
  refs.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  const header = '# pack-refs with: peeled fully-peeled sorted \n';
  await writeNew(join(gitDir, 'packed-refs'), header + refs.map((ref) => ref.text).join(''));
  await writeNew(join(gitDir, 'HEAD'), onBranch ? `ref: ${commit.ref}\n` : `${commit.sha}\n`);
}

/** The last three keep the index fresh where the folder is copied, hard-linked or seen through an overlay. */
function config(originUrl: string): string {
  const url = originUrl.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  return `[core]
	repositoryformatversion = 0
	filemode = true
	bare = false
	logallrefupdates = true
	trustctime = false
	checkStat = minimal
[remote "origin"]
	url = "${url}"
	fetch = +refs/heads/*:refs/remotes/origin/*
`;
}

/** Never into an existing file: it may be another tree's, too. */
async function writeNew(file: string, text: string): Promise<void> {
  await rm(file, { force: true });
  await writeFile(file, text, { flag: 'wx' });
}
