import { availableParallelism } from 'node:os';
import type Docker from 'dockerode';
import type { ContainerCreateOptions } from 'dockerode';
import { engineFailure, explain, isMissing } from './errors.ts';
import type { HostAccess } from '#src/model/pipeline.ts';
import { WORKSPACE } from '#src/model/workspace.ts';
import { BOOT, CONTROL } from './script.ts';
import { SECRETS } from './script-secrets.ts';

export interface JobLimits {
  /** Bytes; there is no swap beyond it. */
  readonly memory: number;
  /** CPUs, fractions are fine; null: all. */
  readonly cpus: number | null;
  /** Processes and threads. */
  readonly pids: number;
  /** Open files of a process; null: as the engine has it. */
  readonly files: number | null;
  /** Bytes of disk; null: no limit. The watch (disk.ts) sees to it, and the engine where its storage driver can. */
  readonly disk: number | null;
}

/**
 * What a build needs of root's powers, and no more. apt-get and package managers: CHOWN, FOWNER, FSETID, DAC_OVERRIDE
 * (files of other users), SETUID and SETGID (apt's sandbox, su, gosu, database servers), MKNOD isn't among them.
 * KILL: stop processes of other users. NET_BIND_SERVICE: a test server on port 80. SETFCAP: packages that install
 * file capabilities (ping). SYS_CHROOT: sshd, some sandboxes. NET_RAW, AUDIT_WRITE and all else are gone.
 */
export const CAPABILITIES = [
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
    Ulimits: [
      { Name: 'core', Soft: 0, Hard: 0 },
      // By default at the engine's limit: an engine without CAP_SYS_RESOURCE couldn't start with a higher one.
      ...(limits.files === null ? [] : [{ Name: 'nofile', Soft: limits.files, Hard: limits.files }]),
    ],
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
  /** Name of a network, `host` or `none`. */
  readonly network: string;
  /** What reaches into the host; null: nothing. */
  readonly access: Omit<HostAccess, 'network'> | null;
  /** Null: the engine's default. */
  readonly runtime: string | null;
  /** As Site.remaps. */
  readonly remaps: boolean;
}

/** Creates the container that waits for its job's `go`. The folders must exist. */
export async function createJobContainer(docker: Docker, spec: JobContainer): Promise<Docker.Container> {
  const { access } = spec;
  try {
    return await createLimited(docker, spec.limits, {
      name: spec.name,
      Image: spec.image,
      Entrypoint: ['/bin/sh', '-c', BOOT],
      Cmd: [],
      WorkingDir: '/',
      Labels: { ...spec.labels },
      Healthcheck: { Test: ['NONE'] },
      HostConfig: {
        ...confinement(spec.limits),
        ...(access?.privileged ? PRIVILEGED : {}),
        // These two are the host's own users' or nobody's, says the engine.
        ...(spec.remaps && (access?.privileged || spec.network === 'host') ? { UsernsMode: 'host' } : {}),
        ...(spec.runtime === null ? {} : { Runtime: spec.runtime }),
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
          ...(access?.volumes ?? []).map(({ source, target, readOnly }) => ({
            Type: source.startsWith('/') ? ('bind' as const) : ('volume' as const),
            Source: source,
            Target: target,
            ReadOnly: readOnly,
          })),
        ],
        Devices: (access?.devices ?? []).map((path) => ({
          PathOnHost: path,
          PathInContainer: path,
          CgroupPermissions: 'rwm',
        })),
        NetworkMode: spec.network,
      },
    });
  } catch (error) {
    throw explain(error, 'making a container', spec.image);
  }
}

/** A container that may do anything anyway; what it starts in it may be programs with the setuid bit. */
const PRIVILEGED = { Privileged: true, CapDrop: [], CapAdd: [], SecurityOpt: [] };

/** Engines whose storage can't limit a container's layer, as found by trying. */
const unlimited = new Set<object>();

/** Creates a container whose layer has a limit where the engine's storage driver can set one. */
export async function createLimited(
  docker: Docker,
  { disk }: JobLimits,
  options: ContainerCreateOptions,
): Promise<Docker.Container> {
  if (disk === null || unlimited.has(docker)) return docker.createContainer(options);
  try {
    const HostConfig = { ...options.HostConfig, StorageOpt: { size: String(disk) } };
    return await docker.createContainer({ ...options, HostConfig });
  } catch (error) {
    if (!/storage-opt|storage opt|quota/i.test(engineFailure(error).message)) throw error;
    unlimited.add(docker);
    return docker.createContainer(options);
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
