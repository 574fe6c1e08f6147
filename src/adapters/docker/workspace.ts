import { execFile } from 'node:child_process';
import { chown, lstat, mkdir, readdir, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { bindShared, detach, isSame, mountPointsUnder, readMounts, sharedAt, unbind } from './mounts.ts';

const run = promisify(execFile);

/** Longest copy of a tree before something must be wrong with the disk. */
const COPY_DEADLINE = 10 * 60_000;

/** Gives jobs their own copy of a tree that others use too. */
export interface Workspaces {
  /** True as long as trees are laid under the workspace by mounts instead of being copied. */
  readonly mounts: boolean;
  /** The path under which a container must be given a workspace, so that it sees what is mounted later. */
  seen(path: string): string;
  /** To be called once a job's folder is there and before its container is made. */
  prepare(): Promise<void>;
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
  /** Takes back the view of the jobs' folder if no job is left in it, of this process or another. */
  close(): Promise<void>;
}

/**
 * `jobs` is the folder of all jobs' folders, `mounts` an empty one beside it. `mayMount` says whether the server shares
 * its mounts with the engine: it isn't in a container of its own. Whether it has the right is found out by trying.
 */
export async function openWorkspaces(jobs: string, mounts: string, mayMount: boolean): Promise<Workspaces> {
  let works = mayMount && process.platform === 'linux' && process.getuid?.() === 0;
  let proven = false;
  const shared = works && sharedAt(await readMounts(), jobs);
  // A second view of the jobs, for the first can't be shared without cutting it off from its surroundings.
  const bound = works && !shared && (await bindShared(jobs, mounts));
  if (works && !shared && !bound) works = false;
  const root = bound ? mounts : jobs;
  const seen = (path: string) => root + path.slice(jobs.length);

  async function unmount(jobFolder: string): Promise<void> {
    for (const point of await mountPointsUnder(seen(jobFolder))) await detach(point);
  }

  return {
    seen,
    async prepare() {
      // Another process on the same home may have ended, and taken the view with it.
      if (bound && !(await isSame(jobs, mounts))) await bindShared(jobs, mounts);
    },
    get mounts() {
      return works;
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
        await run('mount', ['-t', 'overlay', '-o', options, 'overlay', 'workspace'], { cwd: seen(jobFolder) });
        return true;
      } catch {
        works = false;
        return false;
      }
    },
    async giveUpMounts(jobFolder) {
      works = false;
      await unmount(jobFolder);
    },
    copy: copyTree,
    unmount,
    async close() {
      if (bound) await unbind(jobs, mounts);
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
