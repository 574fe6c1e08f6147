import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { isAbsolute, join, posix, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { default as dockerignore } from '@balena/dockerignore';
import { extract, type Header, type Pack, pack } from 'tar-stream';
import { UserError } from '#src/model/outcome.ts';

export interface ContextRequest {
  /** Absolute path of the commit's tree. */
  readonly tree: string;
  /** Folder of the context, relative to the tree. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  /** Tar archives whose files are laid over the tree's, in this order. Opened one after the other. */
  readonly archives: readonly (() => Promise<Readable>)[];
  /** True: no archive replaces the Dockerfile whose text is answered. */
  readonly settled?: boolean;
}

export interface Context {
  /** The context as a tar stream; nothing of it is held in memory. */
  readonly tar: Readable;
  /** Path of the Dockerfile in the tar. */
  readonly dockerfile: string;
  /** Text of the Dockerfile if it is a plain file of the tree, for messages. */
  readonly text: string | null;
}

type Keep = (path: string) => boolean;

/**
 * The files that an image is built from: a folder of the tree without .git and without what .dockerignore
 * excludes, and what earlier jobs made. Tree and archives are a stranger's: links are handed on as links and
 * never followed, and nothing leaves the context. Throws UserError if there is no such folder.
 */
export async function openContext(request: ContextRequest): Promise<Context> {
  const prefix = inside(request.context, 'context');
  const dockerfile = inside(request.dockerfile, 'dockerfile');
  const root = await realpath(request.tree);
  const folder = await realFolder(root, prefix);
  const keep = await keeper(folder, dockerfile);
  const text = await readPlain(folder, dockerfile);
  const tar = pack();
  write(tar, folder, prefix, keep, request.archives).then(
    () => {
      // Last, for an archive may have put another there, also through a link: what is unpacked last counts.
      if (request.settled && text !== null) tar.entry({ name: dockerfile, mode: 0o644 }, text);
      tar.finalize();
    },
    (error: Error) => tar.destroy(error),
  );
  return { tar: Readable.from(tar, { objectMode: false }), dockerfile, text };
}

async function write(
  tar: Pack,
  folder: string,
  prefix: string,
  keep: Keep,
  archives: ContextRequest['archives'],
): Promise<void> {
  await addFolder(tar, folder, '', keep);
  for (const open of archives) await addArchive(tar, await open(), prefix, keep);
}

async function addFolder(tar: Pack, folder: string, path: string, keep: Keep): Promise<void> {
  const entries = await readdir(join(folder, path), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = posix.join(path, entry.name);
    if (name === '.git') continue;
    const source = join(folder, name);
    if (entry.isDirectory()) {
      if (keep(name)) tar.entry({ name, type: 'directory', mode: 0o755 });
      // A folder that is ignored may hold files that are not (`!dist/index.js`).
      await addFolder(tar, folder, name, keep);
    } else if (!keep(name)) continue;
    else if (entry.isSymbolicLink()) tar.entry({ name, type: 'symlink', linkname: await readlink(source) });
    else if (entry.isFile()) {
      const { size, mode, mtime } = await lstat(source);
      await pipeline(createReadStream(source), tar.entry({ name, size, mode: mode & 0o777, mtime }));
    }
  }
}

async function addArchive(tar: Pack, archive: Readable, prefix: string, keep: Keep): Promise<void> {
  const unpacked = extract();
  const feeding = pipeline(archive, unpacked);
  // Seen below as the end of the entries; without this it would be an unhandled rejection meanwhile.
  feeding.catch(() => {});
  for await (const entry of unpacked) {
    const header = contextHeader(entry.header, prefix, keep);
    if (header === null) {
      entry.resume();
    } else if (header.type === 'file') {
      await pipeline(entry, tar.entry(header));
    } else {
      tar.entry(header);
      entry.resume();
    }
  }
  await feeding;
}

/** The header under which an entry of an archive enters the context; null if it doesn't. */
function contextHeader(header: Header, prefix: string, keep: Keep): (Partial<Header> & { name: string }) | null {
  const name = relative(header.name, prefix);
  if (name === null || name === '' || name.split('/')[0] === '.git' || !keep(name)) return null;
  const base = { name, mode: header.mode & 0o777, mtime: header.mtime };
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      return { ...base, type: 'file', size: header.size };
    case 'directory':
      return { ...base, type: 'directory' };
    case 'symlink':
      return { ...base, type: 'symlink', linkname: header.linkname };
    case 'link': {
      const linkname = relative(header.linkname, prefix);
      return linkname && keep(linkname) ? { ...base, type: 'link', linkname } : null;
    }
    default:
      return null;
  }
}

/** A path of an archive relative to the context; null if it lies outside. */
function relative(path: string, prefix: string): string | null {
  const normal = posix.normalize(path).replace(/^\.\/|\/$/g, '');
  if (isAbsolute(normal) || normal === '..' || normal.startsWith('../')) return null;
  if (prefix === '') return normal === '.' ? '' : normal;
  return normal.startsWith(`${prefix}/`) ? normal.slice(prefix.length + 1) : null;
}

/** A path from the pipeline's file, normalised: no leading or closing slash, '' for the folder itself. */
function inside(path: string, key: string): string {
  const normal = posix.normalize(path).replace(/\/$/, '');
  if (posix.isAbsolute(normal) || normal === '..' || normal.startsWith('../') || path.includes('\0'))
    throw new UserError(`\`${key}: ${path}\` leads out of the repository. Name a path inside of it.`);
  return normal === '.' ? '' : normal;
}

async function realFolder(root: string, context: string): Promise<string> {
  const named = context === '' ? '.' : context;
  let folder: string;
  try {
    folder = await realpath(join(root, context));
  } catch {
    throw new UserError(`There is no folder ${named} in the repository. Correct \`context\`.`);
  }
  if (folder !== root && !folder.startsWith(root + sep))
    throw new UserError(`The folder ${named} is a link that leads out of the repository. Name a folder inside of it.`);
  if (!(await lstat(folder)).isDirectory()) throw new UserError(`${named} is not a folder. Correct \`context\`.`);
  return folder;
}

/**
 * What .dockerignore keeps; `<Dockerfile>.dockerignore` goes before it
 * (https://docs.docker.com/build/concepts/context/#dockerignore-files).
 */
async function keeper(folder: string, dockerfile: string): Promise<Keep> {
  const text = (await readPlain(folder, `${dockerfile}.dockerignore`)) ?? (await readPlain(folder, '.dockerignore'));
  if (text === null) return () => true;
  const rules = dockerignore.default().add(text);
  // The engine needs the Dockerfile, even if the image doesn't get it.
  return (path) => path === dockerfile || !rules.ignores(path);
}

const largestText = 1_000_000;

/** Text of a file that lies in the folder without any link on its way; null if there is none. */
async function readPlain(folder: string, path: string): Promise<string | null> {
  const file = join(folder, path);
  try {
    if ((await realpath(file)) !== file) return null;
    const { size } = await lstat(file);
    return size > largestText ? null : await readFile(file, 'utf8');
  } catch {
    return null;
  }
}
