import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeContainer } from './container.ts';
import { restoreNames } from './job-engine.ts';
import {
  type Found,
  type FoundContainer,
  findContainers,
  findMade,
  findNetworks,
  removeFoundNetwork,
  removeImage,
  removeVolume,
} from './left.ts';
import { clear, ownerOfFolder, type Site } from './place.ts';
import { readState } from './state.ts';

/** What nobody claims and has no container may be on its way to one for so long, milliseconds. */
const STARTING = 5 * 60_000;
/** A shell that reads the end of its pipe exits within this time, milliseconds; otherwise the next sweep finds it. */
const WAKING = 300;
/** No removal of files takes longer, milliseconds. */
const CLEANING = 10 * 60_000;

/**
 * Removes what this installation made for jobs that aren't running: first everything is listed, then `running` is asked.
 * What other processes on the same home keep ready for themselves stays. Returns how many things went; what can't be
 * removed is logged and found again by the next sweep. PlatformError if the engine can't tell what there is.
 */
export async function sweep(
  site: Site,
  running: (names: readonly string[]) => Promise<ReadonlySet<string>>,
): Promise<number> {
  const folders = await findFolders(site);
  const forgotten = await wakeForgotten(site, folders);
  const [containers, networks, made] = await Promise.all([findContainers(site), findNetworks(site), findMade(site)]);
  // A container that was kept ready, and whose server died before it was named after its job.
  const owners = new Map(folders.flatMap(({ container, owner }) => (container === null ? [] : [[container, owner]])));
  const ownerOf = (found: Found) => owners.get(found.id) ?? found.owner;
  const others = [...networks, ...made.volumes, ...made.images, ...folders];
  const all = [...containers.map(ownerOf), ...others.map(({ owner }) => owner)];
  const names = [...new Set(all.filter((name) => name !== null))];
  const alive = await running(names);
  // Read when it is used: jobs start meanwhile.
  const isUsed = (found: { readonly name: string }, owner: string | null) =>
    site.inUse.has(found.name) || (owner !== null && (site.inUse.has(owner) || alive.has(owner)));

  const now = Date.now();
  let removed = 0;
  async function remove(
    what: string,
    found: { readonly name: string },
    owner: string | null,
    work: () => Promise<void>,
  ) {
    if (isUsed(found, owner)) return;
    try {
      await work();
      removed++;
    } catch (error) {
      site.logger.warn({ err: error, name: found.name }, `${what} can't be removed; the next sweep tries again`);
    }
  }
  const kept = new Set<string>();
  for (const found of containers) {
    const owner = ownerOf(found);
    const folder = found.name.replace('slipway-idle-', '.idle-');
    if (owner === null && !isIdleOver(found, now) && !forgotten.has(folder)) kept.add(folder);
    else await remove('A container', found, owner, () => removeContainer(site.docker.getContainer(found.id)));
  }
  for (const found of networks) {
    await remove('A network', found, found.owner, () => removeFoundNetwork(site.docker, found));
  }
  for (const found of made.volumes) {
    await remove('A volume', found, found.owner, () => removeVolume(site.docker, found));
  }
  for (const found of made.images) {
    await remove('An image', found, found.owner, () => removeImage(site.docker, found));
  }
  for (const found of folders) {
    const isYoung = now - found.changedAt < STARTING && !forgotten.has(found.name);
    if (found.owner === null && (kept.has(found.name) || isYoung)) continue;
    const path = join(site.jobs, found.name);
    const left = { container: null, folder: null, image: found.image, names: [] };
    await remove('A folder', found, found.owner, async () => {
      await restoreNames(site, path);
      await clear(site, path, left);
    });
  }
  return removed;
}

/**
 * A container whose server died before the shell in it had opened the pipe waits for a writer for ever: it gets one for a
 * moment, and exits. Where a server lives, or the shell has opened it, that changes nothing. Answers the folders of which
 * nobody holds the pipe: their servers died before their containers ran.
 */
async function wakeForgotten(site: Site, folders: readonly FoundFolder[]): Promise<ReadonlySet<string>> {
  const idle = folders.filter(({ name }) => name.startsWith('.') && !site.inUse.has(name));
  const forgotten = new Set<string>();
  const woken = await Promise.all(
    idle.map(async ({ name }) => {
      const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
      try {
        await (await open(join(site.jobs, name, 'control', 'go'), flags)).close();
        return true;
      } catch (error) {
        if ((error as { code?: string }).code === 'ENXIO') forgotten.add(name);
        return false;
      }
    }),
  );
  if (woken.includes(true)) await sleep(WAKING);
  return forgotten;
}

/** Whether a container that belongs to no job is of no use to any process: one that waits would exit with its server. */
function isIdleOver({ kind, state, createdAt }: FoundContainer, now: number): boolean {
  if (state === 'running' || state === 'paused') return kind === 'cleanup' && now - createdAt > CLEANING;
  return state !== 'created' || now - createdAt > STARTING;
}

interface FoundFolder {
  readonly name: string;
  /** Its own name, unless it is kept ready. */
  readonly owner: string | null;
  readonly changedAt: number;
  /** Ids of the container that runs its job and of its image, if it was told to begin. */
  readonly container: string | null;
  readonly image: string | null;
}

async function findFolders(site: Site): Promise<readonly FoundFolder[]> {
  const names = await readdir(site.jobs);
  return Promise.all(
    names.map(async (name) => {
      const path = join(site.jobs, name);
      const [state, changedAt] = await Promise.all([
        readState(path).catch(() => null),
        stat(path).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        ),
      ]);
      const owner = ownerOfFolder(name);
      return { name, owner, changedAt, container: state?.container ?? null, image: state?.image.id ?? null };
    }),
  );
}
