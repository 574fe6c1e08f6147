import { execFile } from 'node:child_process';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LIMITS = { timeout: 60_000 };

/**
 * One process at a time: two that mounted at once would lay one view over the other, or take it from each other.
 * The lock goes with the process that holds it.
 */
const withLock = (script: string, jobs: string, mounts: string) =>
  run('flock', ['-w', '30', `${mounts}.lock`, '/bin/sh', '-c', script, jobs, mounts], LIMITS);

/** A view that is there is left as it is: running containers see through it. */
const BIND = `
[ "$0" -ef "$1" ] || { mountpoint -q -- "$1" && umount -l -- "$1"; }
[ "$0" -ef "$1" ] || mount --bind -- "$0" "$1"
mount --make-shared -- "$1"`;

/** Every place that is in use or kept ready has a folder. */
const UNBIND = '[ -n "$(ls -A -- "$0")" ] || umount -- "$1"';

/** Makes `to` a view of `from` whose mounts containers receive, unless it is one. False if that can't be done here. */
export async function bindShared(from: string, to: string): Promise<boolean> {
  try {
    await mkdir(to, { recursive: true, mode: 0o700 });
    await withLock(BIND, from, to);
    return true;
  } catch {
    return false;
  }
}

/** Takes the view back if nothing is in it. */
export async function unbind(from: string, to: string): Promise<void> {
  if (await isSame(from, to)) await withLock(UNBIND, from, to).catch(() => {});
}

/** Whether two paths name one folder. */
export async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other)].map((found) => found.catch(() => null)));
  return a != null && b != null && a.ino === b.ino && a.dev === b.dev;
}

export async function detach(point: string): Promise<void> {
  await run('umount', ['-l', '--', point], LIMITS).catch(() => {});
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

export async function readMounts(): Promise<readonly Mount[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''));
}

/** What is mounted in the folder, innermost first. */
export async function mountPointsUnder(folder: string): Promise<readonly string[]> {
  const mounts = await readMounts();
  return mounts
    .map((mount) => mount.point)
    .filter((point) => point.startsWith(`${folder}/`))
    .toReversed();
}
