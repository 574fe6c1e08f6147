import { constants } from 'node:fs';
import { access, copyFile, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import type { Source, Tree } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import { createGit, type Git } from './command.ts';
import { explain } from './failure.ts';
import { checkSha } from './names.ts';
import { isShallow, maxFileBytes, readMessage, tooLarge } from './read.ts';

export interface FolderSourceOptions {
  readonly path: string;
  /** Git's environment: HOME (for the person's own ignore rules) and PATH. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Commit id of a folder that isn't under git. */
export const noCommit = '0'.repeat(40);

const timeoutMs = 5 * 60_000;

/**
 * The folder that a person stands in, as it is now: also what isn't committed, without what git ignores. In a folder
 * of a git repository it's the whole repository. The commit given only matters for its message.
 */
export async function openFolderSource(options: FolderSourceOptions): Promise<Source> {
  const git = createGit({ env: options.env ?? {}, personal: true });
  const start = resolve(options.path);
  const top = await topLevel(git, start);
  const root = top ?? start;

  return {
    async resolve(_repository, ref, signal) {
      if (top === null) return noCommit;
      const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`];
      const result = await git(args, { purpose: `look up ${ref}`, cwd: root, signal });
      if (result.code === 0) return result.stdout.toString().trim();
      return ref === 'HEAD' ? noCommit : null; // a repository without commits
    },
    async message(_repository, commit, signal) {
      checkSha(commit.sha);
      if (top === null || commit.sha === noCommit) return '';
      return readMessage({ git, gitDir: await gitDirOf(git, root, signal), name: root, signal }, commit.sha);
    },
    async list(_repository, _commit, signal, folder) {
      const files = await filesOf(signal);
      return files.filter(folder === undefined ? isShallow : (path) => path.startsWith(`${folder}/`));
    },
    async read(_repository, _commit, paths, signal) {
      const files = new Set(await filesOf(signal));
      const contents = new Map<string, string | null>();
      for (const path of paths) contents.set(path, files.has(path) ? await readRegular(join(root, path), path) : null);
      return contents;
    },
    async tree(_repository, _commit, signal) {
      const path = await mkdtemp(join(tmpdir(), 'slipway-tree-'));
      try {
        if (top !== null) await cloneInto(git, root, path, signal);
        await copyFiles(root, await entriesOf(signal), path, signal);
        if (top !== null) await freshenIndex(git, path, signal);
      } catch (error) {
        await rm(path, { recursive: true, force: true });
        throw error;
      }
      return temporary(path);
    },
  };

  /** Paths of everything that belongs to the folder: files, symbolic links, and deleted files that git still tracks. */
  async function entriesOf(signal: AbortSignal): Promise<string[]> {
    if (top === null) return walk(root, root, signal);
    const purpose = `list the files of ${root}`;
    const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const result = await git(args, { purpose, cwd: root, maxBytes: 256 * 1024 * 1024, signal });
    if (result.code !== 0) throw explain(result.stderr, purpose).error;
    return [...new Set(result.stdout.toString().split('\0').filter(Boolean))];
  }

  async function filesOf(signal: AbortSignal): Promise<string[]> {
    const files: string[] = [];
    for (const entry of await entriesOf(signal)) {
      const info = await lstat(join(root, entry)).catch(() => null);
      if (info?.isFile()) files.push(entry);
    }
    return files.sort();
  }
}

async function topLevel(git: Git, start: string): Promise<string | null> {
  const info = await lstat(start).catch(() => null);
  if (!info?.isDirectory()) throw new UserError(`${start} is not a folder.`);
  const signal = AbortSignal.timeout(10_000);
  const args = ['rev-parse', '--show-toplevel'];
  const result = await git(args, { purpose: `look for a repository at ${start}`, cwd: start, signal });
  if (result.code === 0) return result.stdout.toString().replace(/\n$/, '');
  if (/dubious ownership/.test(result.stderr)) {
    throw new UserError(`${start} belongs to another user: git config --global --add safe.directory ${start}`);
  }
  return null;
}

async function gitDirOf(git: Git, root: string, signal: AbortSignal): Promise<string> {
  const args = ['rev-parse', '--absolute-git-dir'];
  const result = await git(args, { purpose: `find the repository of ${root}`, cwd: root, signal });
  if (result.code !== 0) throw explain(result.stderr, `find the repository of ${root}`).error;
  return result.stdout.toString().trim();
}

async function walk(root: string, dir: string, signal: AbortSignal): Promise<string[]> {
  signal.throwIfAborted();
  const found: string[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.name === '.git' || entry.name === 'node_modules') continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) found.push(...(await walk(root, path, signal)));
    else if (entry.isFile() || entry.isSymbolicLink()) found.push(relative(root, path));
  }
  return found;
}

async function readRegular(file: string, path: string): Promise<string> {
  const info = await lstat(file);
  if (info.size > maxFileBytes) throw tooLarge(path, info.size);
  return readFile(file, 'utf8');
}

/** History and tags in a `.git` of its own, nothing checked out, nothing that points to the person's folder. */
async function cloneInto(git: Git, root: string, path: string, signal: AbortSignal): Promise<void> {
  const purpose = `copy the history of ${root}`;
  async function must(args: readonly string[], cwd: string, remote?: { url: string }): Promise<string> {
    const local = remote ? { remote: { ...remote, scheme: 'file' as const, token: null } } : {};
    const result = await git(args, { purpose, cwd, timeoutMs, signal, ...local });
    if (result.code !== 0) throw explain(result.stderr, purpose).error;
    return result.stdout.toString().trim();
  }
  const head = await git(['rev-parse', '--verify', '--quiet', 'HEAD'], { purpose, cwd: root, signal });
  await must(['clone', '--quiet', '--local', '--no-checkout', '--template=', '--', root, path], dirname(path), {
    url: root,
  });
  const alternates = join(path, '.git/objects/info/alternates');
  const borrowed = await access(alternates).then(
    () => true,
    () => false,
  );
  if (borrowed) {
    await must(['repack', '-a', '-d', '-q'], path);
    await rm(alternates);
  }
  const origin = await git(['config', '--get', 'remote.origin.url'], { purpose, cwd: root, signal });
  const url = origin.code === 0 ? withoutCredentials(origin.stdout.toString().trim()) : '';
  if (url) await must(['remote', 'set-url', 'origin', url], path);
  else await must(['remote', 'remove', 'origin'], path);
  await must(['config', 'core.trustctime', 'false'], path);
  await must(['config', 'core.checkStat', 'minimal'], path);
  if (head.code === 0) await must(['read-tree', 'HEAD'], path);
}

function withoutCredentials(url: string): string {
  const parsed = URL.parse(url);
  if (!parsed || !/^https?:$/.test(parsed.protocol)) return url;
  parsed.username = '';
  parsed.password = '';
  return parsed.href;
}

/** Real copies: what the person edits meanwhile isn't seen. Special files and submodules are left out. */
async function copyFiles(root: string, entries: readonly string[], path: string, signal: AbortSignal): Promise<void> {
  const folders = new Set(entries.map((entry) => dirname(entry)));
  for (const folder of folders) await mkdir(join(path, folder), { recursive: true });
  const queue = entries.values();
  async function work(): Promise<void> {
    for (const entry of queue) {
      signal.throwIfAborted();
      await copyEntry(join(root, entry), join(path, entry));
    }
  }
  await Promise.all(Array.from({ length: 8 }, work));
}

async function copyEntry(from: string, to: string): Promise<void> {
  const info = await lstat(from).catch(() => null);
  if (info?.isSymbolicLink()) await symlink(await readlink(from), to);
  else if (info?.isFile()) await copyFile(from, to, constants.COPYFILE_FICLONE);
}

async function freshenIndex(git: Git, path: string, signal: AbortSignal): Promise<void> {
  await git(['update-index', '-q', '--refresh'], { purpose: 'refresh the index', cwd: path, timeoutMs, signal });
}

function temporary(path: string): Tree {
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
