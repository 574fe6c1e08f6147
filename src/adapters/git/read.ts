import { UserError } from '#src/model/outcome.ts';
import { type Git, TooMuchOutput } from './command.ts';
import { explain } from './failure.ts';
import { isRepositoryPath } from './names.ts';

/** Where to read, and for whom. */
export interface Place {
  readonly git: Git;
  readonly gitDir: string;
  /** `owner/name`, for messages. */
  readonly name: string;
  readonly signal: AbortSignal;
}

export const maxFileBytes = 1_000_000;

export async function readMessage(place: Place, sha: string): Promise<string> {
  const out = await ask(place, ['log', '-1', '--no-show-signature', '--format=%B', sha], `read the message of ${sha}`);
  return out.toString().trimEnd();
}

/** All that aren't deep, or all in a folder. */
export async function listFiles(place: Place, sha: string, folder?: string): Promise<string[]> {
  if (folder !== undefined && !isRepositoryPath(folder)) return [];
  const within = folder === undefined ? [] : ['--', `${folder}/`];
  const entries = await lsTree(place, ['-r', '-z', sha, ...within], 64 * 1024 * 1024).catch((error: unknown) => {
    if (!(error instanceof TooMuchOutput)) throw error;
    throw new UserError(`The commit ${sha} holds more files than are looked through: their names take over 64 MB.`);
  });
  return entries.map((entry) => entry.path).filter((path) => folder !== undefined || isShallow(path));
}

/** No deeper than two folders. */
export function isShallow(path: string): boolean {
  return path.split('/').length <= 3;
}

export async function readFiles(
  place: Place,
  sha: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  const wanted = paths.filter(isRepositoryPath);
  const entries = wanted.length > 0 ? await lsTree(place, ['-z', '-l', sha, '--', ...wanted]) : [];
  const blobs = entries.filter((entry) => wanted.includes(entry.path));
  for (const blob of blobs) {
    if (blob.size > maxFileBytes) throw tooLarge(blob.path, blob.size);
  }
  const contents = await catFiles(
    place,
    blobs.map((blob) => blob.oid),
  );
  const byPath = new Map(blobs.map((blob, index) => [blob.path, contents[index] ?? null]));
  return new Map(paths.map((path) => [path, byPath.get(path) ?? null]));
}

export function tooLarge(path: string, size: number): UserError {
  return new UserError(`${path} has ${size} bytes; at most ${maxFileBytes} are read.`);
}

interface TreeEntry {
  readonly path: string;
  readonly oid: string;
  /** Bytes, 0 unless asked for. */
  readonly size: number;
}

/** Regular files only: a symbolic link could lead anywhere, a submodule has no content here. */
async function lsTree(place: Place, args: readonly string[], maxBytes = 16 * 1024 * 1024): Promise<TreeEntry[]> {
  const out = await ask(place, ['--literal-pathspecs', 'ls-tree', '--full-tree', ...args], 'list files', '', maxBytes);
  return out
    .toString()
    .split('\0')
    .flatMap((record) => {
      const match = /^100\d{3} blob ([0-9a-f]+)(?: +(\d+))?\t(.+)$/s.exec(record);
      return match ? [{ oid: match[1] ?? '', size: Number(match[2] ?? 0), path: match[3] ?? '' }] : [];
    });
}

/** Contents in the order of the ids. */
async function catFiles(place: Place, oids: readonly string[]): Promise<string[]> {
  if (oids.length === 0) return [];
  const limit = oids.length * (maxFileBytes + 200);
  const out = await ask(place, ['cat-file', '--batch'], 'read files', `${oids.join('\n')}\n`, limit);
  const contents: string[] = [];
  let at = 0;
  while (at < out.length) {
    const end = out.indexOf(10, at);
    const size = Number(out.toString('latin1', at, end).split(' ')[2]);
    contents.push(out.toString('utf8', end + 1, end + 1 + size));
    at = end + 1 + size + 1;
  }
  return contents;
}

async function ask(
  place: Place,
  args: readonly string[],
  what: string,
  input = '',
  maxBytes = 16 * 1024 * 1024,
): Promise<Buffer> {
  const purpose = `${what} of ${place.name}`;
  const result = await place.git(args, { purpose, gitDir: place.gitDir, input, maxBytes, signal: place.signal });
  if (result.code !== 0) throw explain(result.stderr, purpose).error;
  return result.stdout;
}
