import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, lchown, mkdir, open, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WORKSPACE } from '#src/model/workspace.ts';
import type { BindSource, Bound } from './contract.ts';

/**
 * Where the engine finds a path of the workspace. The engine looks a path up as root, some time after it was looked at,
 * and the job may put a link to anywhere in its place meanwhile. So what lies below the workspace is opened here step by
 * step without following links, and what was opened is mounted in a folder that the job can't reach: its path is handed
 * to the engine.
 */
export interface Binds {
  bind(source: BindSource): Promise<Bound>;
}

export interface BindsOptions {
  /** The job's folder, in the view whose mounts the engine receives. */
  readonly folder: string;
  /** Whether what is mounted there is seen by the engine. If not, only the workspace itself can be bound. */
  readonly mounts: boolean;
  /** The engine's name of a path. */
  readonly toEngine: (path: string) => string;
}

/** Mounts are the machine's: a job gets no more. */
const MOST = 200;
const MOST_LINKS = 40;
const DEADLINE = 30_000;
/** For looking at and mounting only: opens no pipe or device. Node has no name for it. */
const O_PATH = 0o10000000;

/** What a person did wrong with a path. */
class Unusable extends Error {}

export function openBinds({ folder, mounts, toEngine }: BindsOptions): Binds {
  const points = join(folder, 'engine', 'binds');
  /** By device and inode of what is mounted. */
  const made = new Map<string, Promise<string>>();

  async function bind(source: BindSource): Promise<Bound> {
    const workspace = join(folder, 'workspace');
    if (source.path === '') return { path: toEngine(workspace) };
    if (!mounts) return { refusal: notHere(source.source) };
    try {
      await using found = await openBeneath(workspace, source.path, source.create);
      const { dev, ino } = await found.handle.stat();
      const key = `${dev}:${ino}`;
      let point = made.get(key);
      if (!point) {
        if (made.size >= MOST) return { refusal: `A job can bind ${MOST} different paths of its workspace, not more.` };
        point = mountOn(found.handle, found.isFolder);
        made.set(key, point);
        point.catch(() => made.delete(key));
      }
      return { path: toEngine(await point) };
    } catch (error) {
      if (error instanceof Unusable) return { refusal: `${source.source} can't be mounted: ${error.message}` };
      throw error;
    }
  }

  async function mountOn(handle: FileHandle, isFolder: boolean): Promise<string> {
    const name = randomBytes(8).toString('hex');
    const point = join(points, name);
    await mkdir(points, { recursive: true, mode: 0o700 });
    if (isFolder) await mkdir(point);
    else await writeFile(point, '', { flag: 'wx' });
    try {
      await mountHandle(handle, points, name);
      const [there, meant] = await Promise.all([stat(point), handle.stat()]);
      if (there.dev !== meant.dev || there.ino !== meant.ino) throw new Error(`${point} isn't what was to be mounted`);
    } catch (error) {
      await rm(point, { recursive: true, force: true });
      throw error;
    }
    return point;
  }

  return { bind };
}

function notHere(path: string): string {
  return `${path} can't be mounted alone: on this server only the whole workspace (${WORKSPACE}) can be, because Slipway runs in a container or not as root. Mount ${WORKSPACE} and use the folder in it.`;
}

/** The child finds the folder as its descriptor 3: no path is looked up again. */
async function mountHandle(handle: FileHandle, points: string, name: string): Promise<void> {
  const child = spawn('mount', ['--no-canonicalize', '--bind', '--', '/proc/self/fd/3', `./${name}`], {
    cwd: points,
    stdio: ['ignore', 'ignore', 'pipe', handle.fd],
    timeout: DEADLINE,
  });
  let words = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString('utf8')).slice(-1000);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`mount: ${words.trim() || `exit code ${code}`}`);
}

interface Opened extends AsyncDisposable {
  readonly handle: FileHandle;
  readonly isFolder: boolean;
}

/**
 * Opens a path beneath a folder, for mounting. Links are followed by their text as the job sees it, and never lead out.
 * Missing folders are made if asked for. Throws Unusable for what isn't there or is no file or folder.
 */
export async function openBeneath(root: string, path: string, create: boolean): Promise<Opened> {
  const flags = O_PATH | constants.O_NOFOLLOW;
  /** The folders from the root to where we are. */
  const way: FileHandle[] = [await open(root, flags | constants.O_DIRECTORY)];
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  let links = 0;
  try {
    for (;;) {
      const name = names.shift();
      if (name === undefined) break;
      const here = at(way);
      if (name === '..') {
        if (way.length === 1) throw new Unusable('it leads out of the workspace.');
        await way.pop()?.close();
        continue;
      }
      const inside = `/proc/self/fd/${here.fd}/${name}`;
      const next = await openOne(inside, flags, create ? here : null);
      const found = await next.stat();
      if (found.isSymbolicLink()) {
        await next.close();
        if (++links > MOST_LINKS) throw new Unusable('there are too many links on its way.');
        names.unshift(...(await followed(inside, way)));
        continue;
      }
      way.push(next);
      const isLast = names.length === 0;
      if (!found.isDirectory() && !(isLast && found.isFile())) {
        throw new Unusable(isLast ? 'it is no file or folder.' : `${name} on its way is no folder.`);
      }
    }
    const handle = at(way);
    const isFolder = (await handle.stat()).isDirectory();
    const rest = way.slice(0, -1);
    await Promise.all(rest.map((folder) => folder.close()));
    return { handle, isFolder, [Symbol.asyncDispose]: () => handle.close() };
  } catch (error) {
    await Promise.allSettled(way.map((folder) => folder.close()));
    throw error;
  }
}

function at(way: readonly FileHandle[]): FileHandle {
  const last = way.at(-1);
  if (!last) throw new Error('the way has no beginning');
  return last;
}

/** `parent`: a missing folder is made in it, for its owner. */
async function openOne(path: string, flags: number, parent: FileHandle | null): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ENAMETOOLONG') throw error;
    if (code !== 'ENOENT' || parent === null) throw new Unusable('there is no such file or folder in the workspace.');
  }
  await mkdir(path).catch(ignore('EEXIST'));
  const { uid, gid } = await parent.stat();
  await lchown(path, uid, gid).catch(() => {});
  return open(path, flags);
}

/** The parts of a link's text. An absolute one counts from the workspace, for it is meant as the job sees it. */
async function followed(link: string, way: FileHandle[]): Promise<readonly string[]> {
  const text = await readlink(link).catch(() => {
    throw new Unusable('it changes while it is looked at.');
  });
  if (!text.startsWith('/')) return text.split('/').filter((name) => name !== '' && name !== '.');
  if (text !== WORKSPACE && !text.startsWith(`${WORKSPACE}/`)) throw new Unusable('a link leads out of the workspace.');
  while (way.length > 1) await way.pop()?.close();
  return text
    .slice(WORKSPACE.length)
    .split('/')
    .filter((name) => name !== '' && name !== '.');
}

const ignore = (code: string) => (error: unknown) => {
  if ((error as { code?: string }).code !== code) throw error;
};
