import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';
import { removeContainer } from './container.ts';
import { removeTree } from './folder.ts';

const deadlineMs = 5 * 60_000;

/**
 * Removes a job's folder. Files that the job made belong to its container's user, often root: where the server isn't
 * root they are removed by a container of the job's own image, which sees nothing but that folder.
 * `hostPath` is the folder as the engine knows it.
 */
export async function removeJobFolder(
  docker: Docker,
  image: string,
  path: string,
  hostPath: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  try {
    await removeTree(path);
  } catch (error) {
    if (process.getuid?.() === 0) throw error;
    await emptyByContainer(docker, image, hostPath, labels);
    await removeTree(path);
  }
}

/** Removes everything in a folder of the host as the container's root. */
export async function emptyByContainer(
  docker: Docker,
  image: string,
  hostPath: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const container = await docker.createContainer({
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
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    if (StatusCode !== 0)
      throw new PlatformError(`The files that a job made in ${hostPath} can't be removed (exit code ${StatusCode}).`);
  } finally {
    clearTimeout(timer);
    await removeContainer(container);
  }
}
