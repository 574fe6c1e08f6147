import { execFile } from 'node:child_process';
import { chown, lstat, mkdir, readdir, readFile, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PlatformError, UserError } from '#src/model/outcome.ts';

const run = promisify(execFile);

/** Longest copy of a tree before something must be wrong with the disk. */
const COPY_DEADLINE = 10 * 60_000;

/** Gives jobs their own copy of a tree that others use too. */
export interface Workspaces {
  /** True as long as trees are laid under the workspace by mounts instead of being copied. */
  readonly mounts: boolean;
  /** A container has seen what was mounted: it needn't be asked again. */
  readonly proven: boolean;
  prove(): void;
  /** Lays an overlay over the tree. False if that can't be done here (then nothing has changed). */
  mount(jobFolder: string, tree: string): Promise<boolean>;
  /** Undoes `mount`, for good: from now on trees are copied. */
  giveUpMounts(jobFolder: string): Promise<void>;
  /** Copies the tree into the workspace, for the user if one is given. */
  copy(jobFolder: string, tree: string, owner: { readonly uid: number; readonly gid: number } | null): Promise<void>;
  /** Removes what is mounted under a job's folder. */
  unmount(jobFolder: string): Promise<void>;
  close(): Promise<void>;
}

/**
 * `jobs` is the folder of all jobs' folders. `mayMount` says whether the server shares its mounts with the engine:
 * it isn't in a container of its own. Whether it has the right is found out by trying.
 */
export async function openWorkspaces(jobs: string, mayMount: boolean): Promise<Workspaces> {
  let bound = false;
  let proven = false;
  let mounts = mayMount && process.platform === 'linux' && process.getuid?.() === 0;
  if (mounts && !(await isShared(jobs))) {
    try {
      await run('mount', ['--bind', '--', jobs, jobs]);
      bound = true;
      await run('mount', ['--make-rshared', '--', jobs]);
    } catch {
      mounts = false;
      if (bound) await run('umount', ['-l', '--', jobs]).catch(() => {});
      bound = false;
    }
  }

  async function unmount(jobFolder: string): Promise<void> {
    for (const point of await mountPointsUnder(jobFolder)) await run('umount', ['-l', '--', point]).catch(() => {});
  }

  return {
    get mounts() {
      return mounts;
    },
    get proven() {
      return proven;
    },
    prove() {
      proven = true;
    },
    async mount(jobFolder, tree) {
      try {
        await Promise.all([
          symlink(tree, join(jobFolder, 'lower')),
          mkdir(join(jobFolder, 'upper')).then(() => chownLike(join(jobFolder, 'upper'), tree)),
          mkdir(join(jobFolder, 'work')),
        ]);
        // Relative names only: a path with a comma or colon would end the option.
        const options = 'lowerdir=lower,upperdir=upper,workdir=work';
        await run('mount', ['-t', 'overlay', '-o', options, 'overlay', 'workspace'], { cwd: jobFolder });
        return true;
      } catch {
        mounts = false;
        return false;
      }
    },
    async giveUpMounts(jobFolder) {
      mounts = false;
      await unmount(jobFolder);
    },
    copy: copyTree,
    unmount,
    async close() {
      if (bound) await run('umount', ['-l', '--', jobs]).catch(() => {});
    },
  };
}

async function chownLike(path: string, model: string): Promise<void> {
  const { uid, gid } = await lstat(model);
  await chown(path, uid, gid);
}

/**
 * First to where the container can't reach, then renamed into place: a hostile image's shell may have put links into
 * the workspace already, and a copy would follow them.
 */
async function copyTree(
  jobFolder: string,
  tree: string,
  owner: { readonly uid: number; readonly gid: number } | null,
): Promise<void> {
  const copy = join(jobFolder, 'copy');
  const limits = { timeout: COPY_DEADLINE };
  try {
    const reflink = process.platform === 'linux' ? ['--reflink=auto'] : [];
    await run('cp', ['-a', ...reflink, '--', tree, copy], limits);
    if (owner && process.getuid?.() === 0) await run('chown', ['-hR', '--', `${owner.uid}:${owner.gid}`, copy], limits);
    else if (owner) await run('chmod', ['-R', '--', 'a+rwX', copy], limits);
  } catch (error) {
    throw new PlatformError(`The source can't be copied into the workspace: ${messageOf(error)} Is the disk full?`, {
      cause: error,
    });
  }
  const workspace = join(jobFolder, 'workspace');
  if (owner && process.getuid?.() === 0) await chown(workspace, owner.uid, owner.gid);
  for (const entry of await readdir(copy)) {
    try {
      await rename(join(copy, entry), join(workspace, entry));
    } catch (error) {
      throw new UserError(
        `The image's shell wrote ${entry} into the workspace before the job began: use another image.`,
        {
          cause: error,
        },
      );
    }
  }
}

function messageOf(error: unknown): string {
  const { stderr, message } = error as { stderr?: unknown; message?: unknown };
  return typeof stderr === 'string' && stderr.trim() !== '' ? stderr.trim() : String(message);
}

/** A line of /proc/self/mountinfo, reduced. See proc(5). */
export interface Mount {
  readonly point: string;
  readonly shared: boolean;
}

export function parseMountInfo(text: string): readonly Mount[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      const dash = fields.indexOf('-');
      return {
        point: (fields[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) =>
          String.fromCharCode(Number.parseInt(octal, 8)),
        ),
        shared: fields.slice(6, dash === -1 ? 6 : dash).some((field) => field.startsWith('shared:')),
      };
    });
}

/** Whether what is mounted in this folder is seen by other mount namespaces that receive from it. */
export function sharedAt(mounts: readonly Mount[], folder: string): boolean {
  let best: Mount | null = null;
  for (const mount of mounts) {
    const inside = mount.point === '/' || folder === mount.point || folder.startsWith(`${mount.point}/`);
    if (inside && mount.point.length >= (best?.point.length ?? 0)) best = mount;
  }
  return best?.shared ?? false;
}

async function readMounts(): Promise<readonly Mount[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''));
}

async function isShared(folder: string): Promise<boolean> {
  return sharedAt(await readMounts(), folder);
}

/** Innermost first. */
async function mountPointsUnder(folder: string): Promise<readonly string[]> {
  const mounts = await readMounts();
  return mounts
    .map((mount) => mount.point)
    .filter((point) => point.startsWith(`${folder}/`))
    .toReversed();
}
