import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { removeJobFolder } from './cleanup.ts';
import { createJobContainer, type JobLimits, removeContainer, startContainer } from './container.ts';
import { createFolder, type JobFolder, removeTree } from './folder.ts';
import type { HostPaths } from './host.ts';
import type { Image } from './images.ts';
import type { Workspaces } from './workspace.ts';

/** The part of pino's logger that is used. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What all jobs of one executor share. */
export interface Site {
  readonly docker: Docker;
  /** Folder of the jobs' folders. */
  readonly jobs: string;
  readonly home: string;
  readonly hostPaths: HostPaths;
  readonly workspaces: Workspaces;
  readonly limits: JobLimits;
  readonly logger: Logger;
  /** Names of the folders, containers and networks that this process uses: no sweep touches them. */
  readonly inUse: Set<string>;
  /** Work that goes on after a job is settled. */
  readonly background: Background;
}

export interface Background {
  /** Does it off the path; failures are logged, and mended by the next sweep. */
  run(what: string, work: () => Promise<unknown>): void;
  /** Waits until nothing is left to do. */
  settled(): Promise<void>;
}

/** A started container that waits for `go`, and its folder. */
export interface Place {
  readonly container: Docker.Container;
  readonly folder: JobFolder;
  readonly image: Image;
  /** What stands for it in Site.inUse. */
  readonly names: readonly string[];
  /** Exit code, once the container has exited. */
  readonly exited: Promise<number>;
}

export const idleFolder = () => `.idle-${randomBytes(8).toString('hex')}`;

/** Name of a job's folder. Ids are Slipway's own and safe as file names. */
export function jobFolder(jobId: string, attempt: number): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(jobId)) throw new Error(`${jobId} can't be the id of a job.`);
  return `${jobId}-${attempt}`;
}

/** The container's name tells whose it is, for labels can't change when a container kept ready gets its job. */
export function containerName(folder: string): string {
  return folder.startsWith('.idle-')
    ? `slipway-idle-${folder.slice('.idle-'.length)}`
    : `slipway-job-${folder}-${randomBytes(4).toString('hex')}`;
}

export interface PlaceRequest {
  readonly image: Image;
  readonly folder: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly network: string | null;
}

/** Makes a folder and starts a container on it. Leaves nothing behind if it fails. */
export async function openPlace(site: Site, request: PlaceRequest): Promise<Place> {
  const path = join(site.jobs, request.folder);
  site.inUse.add(request.folder);
  let folder: JobFolder | null = null;
  let container: Docker.Container | null = null;
  const name = containerName(request.folder);
  site.inUse.add(name);
  try {
    folder = await createFresh(site, path);
    container = await createJobContainer(site.docker, {
      name,
      image: request.image.id,
      labels: { ...request.labels, 'slipway.home': site.home },
      limits: site.limits,
      controlPath: site.hostPaths.translate(folder.control),
      workspacePath: site.hostPaths.translate(site.workspaces.seen(folder.workspace)),
      seesMounts: site.workspaces.mounts,
      network: request.network,
    });
    await startContainer(container, request.image.name);
    const exited = container.wait().then(
      (result: { StatusCode: number }) => result.StatusCode,
      // The engine went away, or somebody removed the container.
      () => -1,
    );
    return { container, folder, image: request.image, names: [request.folder, name], exited };
  } catch (error) {
    const leftovers = { container, folder, image: request.image, names: [request.folder, name] };
    site.background.run('removing what a failed start left', () => clear(site, path, leftovers));
    throw error;
  }
}

async function createFresh(site: Site, path: string): Promise<JobFolder> {
  try {
    return await createFolder(path);
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    // Left by an earlier process that died in this very attempt.
    await site.workspaces.unmount(path);
    await removeTree(path);
    return createFolder(path);
  }
}

/** Gives a place kept ready to a job: its folder gets the job's name. */
export async function adopt(site: Site, place: Place, name: string): Promise<Place> {
  const path = join(site.jobs, name);
  const container = containerName(name);
  site.inUse.add(name).add(container);
  await rename(place.folder.path, path);
  site.background.run('naming a container', () => place.container.rename({ name: container }));
  return { ...place, folder: place.folder.at(path), names: [...place.names, name, container] };
}

/** Removes container, mounts and folder. */
export async function closePlace(site: Site, place: Place): Promise<void> {
  await clear(site, place.folder.path, place);
}

async function clear(
  site: Site,
  path: string,
  left: {
    readonly container: Docker.Container | null;
    readonly folder: JobFolder | null;
    readonly image: Image;
    readonly names: readonly string[];
  },
): Promise<void> {
  if (left.container) await removeContainer(left.container);
  await left.folder?.close();
  await site.workspaces.unmount(path);
  const labels = { 'slipway.home': site.home, 'slipway.kind': 'cleanup' };
  await removeJobFolder(site.docker, left.image.id, path, site.hostPaths.translate(path), labels);
  for (const name of left.names) site.inUse.delete(name);
}
