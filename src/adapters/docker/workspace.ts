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
  /** The path under which a container must be given a workspace, so that it sees what is mounted later. */
  seen(path: string): string;
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
      if (bound) await detach(mounts);
    },
  };
}

async function bindShared(from: string, to: string): Promise<boolean> {
  try {
    await mkdir(to, { recursive: true, mode: 0o700 });
    // Left by a process that was killed.
    while ((await readMounts()).some((mount) => mount.point === to)) await run('umount', ['-l', '--', to]);
    await run('mount', ['--bind', '--', from, to]);
    await run('mount', ['--make-shared', '--', to]);
    return true;
  } catch {
    await detach(to);
    return false;
  }
}

async function detach(point: string): Promise<void> {
  await run('umount', ['-l', '--', point]).catch(() => {});
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

/** Innermost first. */
async function mountPointsUnder(folder: string): Promise<readonly string[]> {
  const mounts = await readMounts();
  return mounts
    .map((mount) => mount.point)
    .filter((point) => point.startsWith(`${folder}/`))
    .toReversed();
}
