import { randomUUID } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';
import { removeContainer } from './container.ts';
import { removeTree } from './folder.ts';

const deadlineMs = 5 * 60_000;

/** The engine that removes what the server may not, and the image it does so with (an id; null: none is known). */
export interface Cleaner {
  readonly docker: Docker;
  /** The same engine without a deadline. */
  readonly patient: Docker;
  readonly image: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Removes folders of a job. Files that the job made belong to its container's user, often root: where the server isn't
 * root they are removed by a container of the job's own image, which sees nothing but that folder.
 * `toHost` tells how the engine knows a folder.
 */
export async function removeJobFolders(
  cleaner: Cleaner,
  paths: readonly string[],
  toHost: (path: string) => string,
): Promise<void> {
  try {
    await removeTree(...paths);
  } catch (error) {
    if (process.getuid?.() === 0 || cleaner.image === null) throw error;
    for (const path of paths) {
      if (!(await isFolder(path))) continue;
      await emptyByContainer(cleaner.docker, cleaner.image, toHost(path), cleaner.labels, cleaner.patient);
    }
    await removeTree(...paths);
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => null);
  return found?.isDirectory() ?? false;
}

/** Removes everything in a folder of the host as the container's root. */
export async function emptyByContainer(
  docker: Docker,
  image: string,
  hostPath: string,
  labels: Readonly<Record<string, string>>,
  patient: Docker = docker,
): Promise<void> {
  const container = await docker.createContainer({
    name: `slipway-cleanup-${randomUUID()}`,
    Image: image,
    User: '0:0',
    Entrypoint: ['/bin/sh', '-c', 'cd /job && rm -rf -- ..?* .[!.]* *'],
    Cmd: [],
    Labels: { ...labels },
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      LogConfig: { Type: 'none', Config: {} },
      CapDrop: ['ALL'],
      CapAdd: ['DAC_OVERRIDE', 'FOWNER'],
      SecurityOpt: ['no-new-privileges'],
      Mounts: [{ Type: 'bind', Source: hostPath, Target: '/job' }],
    },
  });
  const timer = setTimeout(() => void container.kill().catch(() => {}), deadlineMs);
  try {
    await container.start();
    const { StatusCode } = (await patient.getContainer(container.id).wait()) as { StatusCode: number };
    if (StatusCode !== 0)
      throw new PlatformError(`The files that a job made in ${hostPath} can't be removed (exit code ${StatusCode}).`);
  } finally {
    clearTimeout(timer);
    await removeContainer(container);
  }
}
