import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { machineEmail } from './world.ts';

/** Environment of every git here: nothing of the machine's or the user's configuration. */
export function gitEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'GitHub',
    GIT_AUTHOR_EMAIL: machineEmail,
    GIT_COMMITTER_NAME: 'GitHub',
    GIT_COMMITTER_EMAIL: machineEmail,
  };
}

/** Runs git in a bare repository and answers with its output. Deadline 60 s. Throws with git's message. */
export async function git(folder: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['-C', folder, ...args], {
    env: gitEnvironment(folder),
    timeout: 60_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout;
}

/** As `git`, with something on its input, and an index of its own if one is named. */
export async function gitWith(
  folder: string,
  given: { readonly input?: string; readonly index?: string },
  ...args: string[]
): Promise<string> {
  const env = { ...gitEnvironment(folder), ...(given.index === undefined ? {} : { GIT_INDEX_FILE: given.index }) };
  const running = promisify(execFile)('git', ['-C', folder, ...args], { env, timeout: 60_000 });
  // Not every git reads it.
  running.child.stdin?.on('error', () => {}).end(given.input ?? '');
  return (await running).stdout;
}

/** A file's bytes. */
export async function blob(folder: string, sha: string): Promise<Buffer> {
  const options = {
    env: gitEnvironment(folder),
    timeout: 60_000,
    maxBuffer: 64 * 1024 * 1024,
    encoding: 'buffer',
  } as const;
  const { stdout } = await promisify(execFile)('git', ['-C', folder, 'cat-file', 'blob', sha], options);
  return stdout;
}

/** A bare repository set up as GitHub serves them: any commit may be asked for, refs/pull/* is not to be pushed to. */
export async function initBare(folder: string, defaultBranch: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await git(dirname(folder), 'init', '--quiet', '--bare', `--initial-branch=${defaultBranch}`, folder);
  for (const [key, value] of [
    ['http.receivepack', 'true'],
    ['uploadpack.allowAnySHA1InWant', 'true'],
    ['uploadpack.allowFilter', 'true'],
    ['receive.hideRefs', 'refs/pull'],
    ['gc.auto', '0'],
  ] as const) {
    await git(folder, 'config', key, value);
  }
}

/** All refs with what they point at (not peeled). */
export async function refs(folder: string): Promise<Map<string, string>> {
  const lines = (await git(folder, 'for-each-ref', '--format=%(refname) %(objectname)')).trim().split('\n');
  return new Map(lines.filter(Boolean).map((line) => line.split(' ') as [string, string]));
}

/** The object that a name points at, peeled to a commit if asked; null if there is none. */
export async function revision(folder: string, name: string, type = 'commit'): Promise<string | null> {
  try {
    return (await git(folder, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{${type}}`)).trim();
  } catch {
    return null;
  }
}

export interface Person {
  readonly name: string;
  readonly email: string;
  readonly date: string;
}

export interface CommitData {
  readonly sha: string;
  readonly tree: string;
  readonly parents: readonly string[];
  readonly author: Person;
  readonly committer: Person;
  readonly message: string;
}

const FORMAT = ['%H', '%T', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B'].join('%x1f');

/** Commits by their names, in that order. */
export async function show(folder: string, shas: readonly string[]): Promise<CommitData[]> {
  if (shas.length === 0) return [];
  const args = ['log', '-z', '--no-walk=unsorted', `--format=${FORMAT}`, '--end-of-options', ...shas, '--'];
  return (await git(folder, ...args)).split('\0').filter(Boolean).map(parseCommit);
}

/** Commits of a range, newest first, at most `limit`. */
export async function log(folder: string, range: readonly string[], limit: number): Promise<CommitData[]> {
  const args = ['log', '-z', `--max-count=${limit}`, `--format=${FORMAT}`, '--end-of-options', ...range, '--'];
  const output = await git(folder, ...args);
  return output.split('\0').filter(Boolean).map(parseCommit);
}

function parseCommit(record: string): CommitData {
  const [sha = '', tree = '', parents = '', an = '', ae = '', ad = '', cn = '', ce = '', cd = '', message = ''] =
    record.split('\x1f');
  return {
    sha,
    tree,
    parents: parents.split(' ').filter(Boolean),
    author: { name: an, email: ae, date: ad },
    committer: { name: cn, email: ce, date: cd },
    message: message.trimEnd(),
  };
}

export interface FileChange {
  readonly status: 'added' | 'removed' | 'modified';
  readonly path: string;
}

/** Files that differ between two commits; everything is added where there is no first one. */
export async function changes(folder: string, from: string | null, to: string): Promise<FileChange[]> {
  const args = from ? ['diff-tree', '-r', '-z', '--name-status', '--no-renames', from, to] : null;
  const output = await git(
    folder,
    ...(args ?? ['diff-tree', '-r', '-z', '--name-status', '--root', '--no-commit-id', to]),
  );
  const fields = output.split('\0').filter(Boolean);
  const found: FileChange[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const letter = fields[i];
    const status = letter === 'A' ? 'added' : letter === 'D' ? 'removed' : 'modified';
    found.push({ status, path: fields[i + 1] ?? '' });
  }
  return found;
}
