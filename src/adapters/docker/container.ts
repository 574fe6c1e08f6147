import { availableParallelism } from 'node:os';
import type Docker from 'dockerode';
import type { ContainerCreateOptions } from 'dockerode';
import { engineFailure, explain, isMissing } from './errors.ts';
import { WORKSPACE } from '#src/model/workspace.ts';
import { BOOT, CONTROL, SECRETS } from './script.ts';

export interface JobLimits {
  /** Bytes; there is no swap beyond it. */
  readonly memory: number;
  /** CPUs, fractions are fine; null: all. */
  readonly cpus: number | null;
  /** Processes and threads. */
  readonly pids: number;
}

/**
 * What a build needs of root's powers, and no more. apt-get and package managers: CHOWN, FOWNER, FSETID, DAC_OVERRIDE
 * (files of other users), SETUID and SETGID (apt's sandbox, su, gosu, database servers), MKNOD isn't among them.
 * KILL: stop processes of other users. NET_BIND_SERVICE: a test server on port 80. SETFCAP: packages that install
 * file capabilities (ping). SYS_CHROOT: sshd, some sandboxes. NET_RAW, AUDIT_WRITE and all else are gone.
 */
const CAPABILITIES = [
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETUID',
  'SYS_CHROOT',
];

/** Safety for everything that runs a user's code: jobs and their services. */
export function confinement(limits: JobLimits): NonNullable<ContainerCreateOptions['HostConfig']> {
  return {
    Memory: limits.memory,
    MemorySwap: limits.memory,
    ...(limits.cpus === null || limits.cpus >= availableParallelism()
      ? {}
      : { NanoCpus: Math.round(limits.cpus * 1e9) }),
    PidsLimit: limits.pids,
    Privileged: false,
    CapDrop: ['ALL'],
    CapAdd: CAPABILITIES,
    SecurityOpt: ['no-new-privileges'],
    // Descriptors stay at the engine's limit: an engine without CAP_SYS_RESOURCE couldn't start with a higher one.
    Ulimits: [{ Name: 'core', Soft: 0, Hard: 0 }],
    RestartPolicy: { Name: 'no' },
    AutoRemove: false,
  };
}

export interface JobContainer {
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: JobLimits;
  /** As the engine sees them. */
  readonly controlPath: string;
  readonly workspacePath: string;
  /** What the server mounts on the workspace afterwards shall be seen. Its path must lie in a shared mount. */
  readonly seesMounts: boolean;
  /** Name of a network, or null for the default bridge. */
  readonly network: string | null;
}

/** Creates the container that waits for its job's `go`. The folders must exist. */
export async function createJobContainer(docker: Docker, spec: JobContainer): Promise<Docker.Container> {
  try {
    return await docker.createContainer({
      name: spec.name,
      Image: spec.image,
      Entrypoint: ['/bin/sh', '-c', BOOT],
      Cmd: [],
      WorkingDir: '/',
      Labels: { ...spec.labels },
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        ...confinement(spec.limits),
        // The shell that waits for `go` is PID 1 and reaps, so that an init of its own isn't needed.
        Init: false,
        LogConfig: { Type: 'none', Config: {} },
        // Memory, for secrets: never on the host's disk. For whatever user the image has; each file is its owner's alone.
        Tmpfs: { [SECRETS]: 'size=2m,mode=1777,noexec,nosuid,nodev' },
        Mounts: [
          { Type: 'bind', Source: spec.controlPath, Target: CONTROL },
          {
            Type: 'bind',
            Source: spec.workspacePath,
            Target: WORKSPACE,
            ...(spec.seesMounts ? { BindOptions: { Propagation: 'rslave' as const } } : {}),
          },
        ],
        ...(spec.network === null ? {} : { NetworkMode: spec.network }),
      },
    });
  } catch (error) {
    throw explain(error, 'making a container', spec.image);
  }
}

export async function startContainer(container: Docker.Container, image: string): Promise<void> {
  try {
    await container.start();
  } catch (error) {
    throw explain(error, 'starting a container', image);
  }
}

/** SIGTERM to everything in the container but its first process: a shell alone wouldn't hand it on. */
export async function terminateAll(container: Docker.Container): Promise<void> {
  const exec = await container.exec({ Cmd: ['/bin/sh', '-c', 'kill -TERM -1'], User: '0' });
  const answer = await exec.start({ Detach: true });
  // Empty; unread it would hold its connection open.
  answer.destroy();
}

export async function kill(container: Docker.Container): Promise<void> {
  try {
    await container.kill({ signal: 'SIGKILL' });
  } catch (error) {
    const { status } = engineFailure(error);
    if (status !== 404 && status !== 409) throw error;
  }
}

/** Removes the container, running or not, with its anonymous volumes. */
export async function removeContainer(container: Docker.Container): Promise<void> {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    // 409: a removal is under way.
    if (!isMissing(error) && engineFailure(error).status !== 409) throw explain(error, 'removing a container');
  }
}
