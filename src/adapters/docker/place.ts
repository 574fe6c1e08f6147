import { randomBytes } from 'node:crypto';
import { readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type Docker from 'dockerode';
import { removeJobFolders } from './cleanup.ts';
import { createJobContainer, type JobLimits, removeContainer, startContainer } from './container.ts';
import { type Exit, untilExit } from './exit.ts';
import { createFolder, type JobFolder, removeTree } from './folder.ts';
import { BegunElsewhere } from '#src/engine/errors.ts';
import type { HostPaths } from './host.ts';
import type { Background } from './background.ts';
import type { Image } from './images.ts';
import type { DiskWatch } from './disk.ts';
import type { Guard } from './guard.ts';
import { JOBS_NETWORK, type JobsNetwork, lacksNetwork } from './network.ts';
import { networkMode, type Reach } from './reach.ts';
import { readEnd } from './state.ts';
import type { Workspaces } from './workspace.ts';

/** The part of pino's logger that is used. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What all jobs of one executor share. */
export interface Site {
  /** For calls that answer soon. */
  readonly docker: Docker;
  /** The same engine for calls that take their time, without a deadline. */
  readonly patient: Docker;
  /** How long an engine that went away is waited for, milliseconds. */
  readonly patienceMs: number;
  /** Folder of the jobs' folders. */
  readonly jobs: string;
  readonly home: string;
  readonly hostPaths: HostPaths;
  readonly workspaces: Workspaces;
  readonly limits: JobLimits;
  /** The network of the jobs that have none of their own. */
  readonly network: JobsNetwork;
  /** Null: nothing keeps jobs from the host's network. */
  readonly guard: Guard | null;
  /** The guard's rules hold for what BuildKit runs, too. */
  readonly guardsBuilds: boolean;
  readonly disk: DiskWatch;
  /** The engine maps the users of containers to others of the host: their root has no power over the server's files. */
  readonly remaps: boolean;
  readonly logger: Logger;
  /** Names of the folders, containers and networks that this process uses: no sweep touches them. */
  readonly inUse: Set<string>;
  /** Work that goes on after a job is settled. */
  readonly background: Background;
}

/** A started container that waits for `go`, and its folder. */
export interface Place {
  readonly container: Docker.Container;
  readonly folder: JobFolder;
  readonly image: Image;
  /** What stands for it in Site.inUse. */
  readonly names: readonly string[];
  /** Settled once the container has exited, or nobody knows. */
  readonly exited: Promise<Exit>;
  /** Waits for the exit no longer. */
  readonly watching: AbortController;
}

export const idleFolder = () => `.idle-${randomBytes(8).toString('hex')}`;

/** Name of a job's folder. Ids are Slipway's own and safe as file names. */
export function jobFolder(jobId: string, attempt: number): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(jobId)) throw new Error(`${jobId} can't be the id of a job.`);
  return `${jobId}-${attempt}`;
}

/**
 * Where a job's folder lies until the job is told to begin. No other process has one of this name: one that stood still
 * while another server began the job can't come into that one's way.
 */
const draftFolder = (name: string) => `.new-${name}-${randomBytes(4).toString('hex')}`;

/** The job (`jobId-attempt`) that a folder is for; null for one kept ready. */
export function ownerOfFolder(folder: string): string | null {
  if (!folder.startsWith('.')) return folder;
  return /^\.new-(.+-\d+)-[0-9a-f]{8}$/.exec(folder)?.[1] ?? null;
}

/** The container's name tells whose it is, for labels can't change when a container kept ready gets its job. */
export function containerName(owner: string): string {
  return owner.startsWith('.idle-')
    ? `slipway-idle-${owner.slice('.idle-'.length)}`
    : `slipway-job-${owner}-${randomBytes(4).toString('hex')}`;
}

export interface PlaceRequest {
  readonly image: Image;
  /** Of a job, as `jobFolder`, or of a place kept ready, as `idleFolder`. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly reach: Reach;
  /** Name of the job's own network, or null. */
  readonly network: string | null;
}

/** Makes a folder and starts a container on it. Leaves nothing behind if it fails. */
export async function openPlace(site: Site, request: PlaceRequest): Promise<Place> {
  const own = request.name.startsWith('.') ? request.name : draftFolder(request.name);
  const path = join(site.jobs, own);
  let folder: JobFolder | null = null;
  let container: Docker.Container | null = null;
  const name = containerName(request.name);
  site.inUse.add(own).add(name);
  const network = networkMode(request.reach, request.network);
  try {
    [folder] = await Promise.all([
      createFolder(path),
      site.workspaces.prepare(),
      network === JOBS_NETWORK ? site.network.ready() : null,
    ]);
    container = await createJobContainer(site.docker, {
      name,
      image: request.image.id,
      labels: { ...request.labels, 'slipway.home': site.home },
      limits: site.limits,
      controlPath: site.hostPaths.translate(folder.control),
      workspacePath: site.hostPaths.translate(site.workspaces.seen(folder.workspace)),
      seesMounts: site.workspaces.mounts,
      network,
      access: request.reach.access,
      runtime: request.reach.runtime,
      remaps: site.remaps,
    });
    await startIn(site, container, request.image.name);
    return watched(site, { container, folder, image: request.image, names: [own, name] });
  } catch (error) {
    const leftovers = { container, folder, image: request.image.id, names: [own, name] };
    site.background.run('removing what a failed start left', () => clear(site, path, leftovers));
    throw error;
  }
}

/** Somebody may have removed the network while no container was on it. */
async function startIn(site: Site, container: Docker.Container, image: string): Promise<void> {
  try {
    await startContainer(container, image);
  } catch (error) {
    if (!lacksNetwork(error)) throw error;
    site.network.forget();
    await site.network.ready();
    await startContainer(container, image);
  }
}

/** The place, with its container waited for. */
export function watched(site: Site, place: Omit<Place, 'exited' | 'watching'>, exit: Exit | null = null): Place {
  const watching = new AbortController();
  const exited =
    exit === null
      ? untilExit(site.patient, place.container.id, site.patienceMs, watching.signal)
      : Promise.resolve(exit);
  return { ...place, exited, watching };
}

/** Gives a place kept ready to a job. */
export async function adopt(site: Site, place: Place, name: string): Promise<Place> {
  const own = draftFolder(name);
  const path = join(site.jobs, own);
  const container = containerName(name);
  site.inUse.add(own).add(container);
  await rename(place.folder.path, path);
  site.background.run('naming a container', () => place.container.rename({ name: container }));
  return { ...place, folder: place.folder.at(path), names: [...place.names, own, container] };
}

/**
 * Gives a job's folder the job's name, by which another process finds it: the job may begin. BegunElsewhere if another
 * server has begun it.
 */
export async function publish(site: Site, place: Place, name: string): Promise<Place> {
  const path = join(site.jobs, name);
  site.inUse.add(name);
  await rename(place.folder.path, path).catch(async (error: unknown) => {
    if (!['EEXIST', 'ENOTEMPTY'].includes((error as { code?: string }).code ?? '')) throw error;
    // What is kept of an attempt that has ended may go.
    if ((await readEnd(path).catch(() => null)) === null) {
      throw new BegunElsewhere({ cause: error });
    }
    site.background.forget(path);
    await site.workspaces.unmount(path);
    await removeTree(path);
    await rename(place.folder.path, path);
  });
  return { ...place, folder: place.folder.at(path), names: [...place.names, name] };
}

/** A result may be stored only a while after a job has settled; a process that dies before is to find it, milliseconds. */
const KEEP = 60_000;

/**
 * Removes container, mounts and folder. Of a job that has begun, what another process needs to tell its end is kept for a
 * while, so that a result isn't lost that was told and not yet stored.
 */
export async function closePlace(site: Site, place: Place, begun = false): Promise<void> {
  const { container, folder, names } = place;
  place.watching.abort();
  await clear(site, folder.path, { container, folder, image: place.image.id, names, keep: begun });
}

/** Lets go of a job that goes on by itself. */
export async function leavePlace(place: Place): Promise<void> {
  place.watching.abort();
  await place.folder.close();
}

/** Parts of a job's folder that nobody needs after its end. */
const HEAVY = ['workspace', 'upper', 'work', 'copy', 'lower'];

export interface Leftovers {
  readonly container: Docker.Container | null;
  readonly folder: JobFolder | null;
  /** Id of an image that is here, for removals as root; null: unknown. */
  readonly image: string | null;
  /** Freed in Site.inUse. */
  readonly names: readonly string[];
  readonly keep?: boolean;
}

export async function clear(site: Site, path: string, left: Leftovers): Promise<void> {
  let names = left.names;
  try {
    // Who stood still for so long that another server has the job must not touch what that one made at this path.
    const ours = left.folder === null || (await left.folder.isOurs());
    // A shell that still waits for its job reads the end of the pipe, and ends even if the engine can't remove it now.
    await left.folder?.close();
    if (left.container) await removeContainer(left.container);
    if (!ours) return;
    await site.workspaces.unmount(path);
    if (!left.keep) return await removeFolders(site, left.image, [path]);
    const own = basename(path);
    names = names.filter((name) => name !== own);
    await removeFolders(site, left.image, [...HEAVY.map((part) => join(path, part)), ...(await archivesIn(path))]);
    site.background.later(path, KEEP, "removing a job's last files", async () => {
      await removeFolders(site, left.image, [path]);
      site.inUse.delete(own);
    });
  } finally {
    for (const name of names) site.inUse.delete(name);
  }
}

async function archivesIn(path: string): Promise<readonly string[]> {
  const control = join(path, 'control');
  const names = (await readdir(control).catch(() => [])).filter((name) =>
    /^(input-\d{1,3}|artifacts)\.tar$/.test(name),
  );
  return names.map((name) => join(control, name));
}

function removeFolders(site: Site, image: string | null, paths: readonly string[]): Promise<void> {
  const labels = { 'slipway.home': site.home, 'slipway.kind': 'cleanup' };
  const { docker, patient } = site;
  return removeJobFolders({ docker, patient, image, labels }, paths, (path) => site.hostPaths.translate(path));
}
