import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, lstat, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The folder of one job on the host. Its parent is closed to everybody but the server, so that what lies in it may be
 * open to whatever user the image has:
 *
 *     control/    log: written by the job. go: FIFO through which it is told to start. script, inputs and results.
 *     workspace/
 *     state.json, ended.json: what a process needs that follows the job on (state.ts).
 *
 * Only the two folders are mounted in the container. `control` is flat: a job may put a link in the place of any file in
 * it, so files there are made with O_EXCL and opened with O_NOFOLLOW, and there are no folders on the way.
 */
export interface JobFolder {
  readonly path: string;
  readonly control: string;
  readonly workspace: string;
  /** Opened before the container runs, so that the job can't put another file in its place. */
  readonly log: FileHandle;
  /** Makes a file in `control` that wasn't there. */
  write(name: string, text: string): Promise<void>;
  /** Copies a file into `control`, sharing its blocks if the file system can. */
  copy(from: string, name: string): Promise<void>;
  /** Sends the message to the container's shell. */
  go(message: string): Promise<void>;
  /** The same folder after it was renamed. */
  at(path: string): JobFolder;
  /** False once another server began the job anew: at this path is its folder then. */
  isOurs(): Promise<boolean>;
  /** Closes the files. The folder stays. */
  close(): Promise<void>;
}

export async function createFolder(path: string): Promise<JobFolder> {
  const control = join(path, 'control');
  const workspace = join(path, 'workspace');
  await mkdir(path, { recursive: true, mode: 0o700 });
  await Promise.all([mkdir(control), mkdir(workspace)]);
  // mkfifo(1), for Node can't make one.
  const fifo = run('mkfifo', ['-m', '644', join(control, 'go')]);
  // The umask may have narrowed them.
  await Promise.all([control, workspace].map((folder) => chmod(folder, 0o777)));
  const log = await open(join(control, 'log'), constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o666);
  let pipe: FileHandle;
  try {
    await log.chmod(0o666);
    await fifo;
    // Read and write: opening doesn't wait for the container, and what was written waits for it.
    pipe = await open(join(control, 'go'), constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    await log.close();
    throw error;
  }
  return openedAt(path, log, pipe);
}

/** The folder of a job that was told to begin by another process. Null if it or its log isn't there any more. */
export async function reopenFolder(path: string): Promise<JobFolder | null> {
  // Neither followed nor waited for: the job may have put a link or a pipe in its place.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const log = await open(join(path, 'control', 'log'), flags).catch(() => null);
  if (log === null) return null;
  if ((await log.stat()).isFile()) return openedAt(path, log, null);
  await log.close();
  return null;
}

function openedAt(path: string, log: FileHandle, pipe: FileHandle | null): JobFolder {
  const control = join(path, 'control');
  return {
    path,
    control,
    workspace: join(path, 'workspace'),
    log,
    write: (name, text) => writeFile(join(control, name), text, { flag: 'wx', mode: 0o644 }),
    copy: (from, name) => copyFile(from, join(control, name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE),
    async go(message) {
      if (pipe === null) throw new Error('The job has begun already.');
      await writeAll(pipe, Buffer.from(message));
    },
    at: (moved) => openedAt(moved, log, pipe),
    async isOurs() {
      const there = await lstat(join(control, 'log')).catch(() => null);
      return there?.ino === (await log.stat()).ino;
    },
    async close() {
      await Promise.allSettled([log.close(), pipe?.close()]);
    },
  };
}

/** A pipe holds 64 KB; what is more waits until the container has read. */
async function writeAll(pipe: FileHandle, bytes: Buffer): Promise<void> {
  let rest = bytes;
  const deadline = performance.now() + 60_000;
  while (rest.length > 0) {
    try {
      const { bytesWritten } = await pipe.write(rest, 0, Math.min(rest.length, 65_536));
      rest = rest.subarray(bytesWritten);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN' || performance.now() > deadline) throw error;
      await sleep(5);
    }
  }
}

/** Removes trees of a hostile job: `rm` follows no link and has no limit of depth. Needs no container in them. */
export async function removeTree(...paths: readonly string[]): Promise<void> {
  await run('rm', ['-rf', '--', ...paths], { timeout: 600_000 });
}
