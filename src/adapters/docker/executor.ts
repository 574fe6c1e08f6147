import { randomUUID } from 'node:crypto';
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { ArchiveRef, Clock, Executor } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { openArchives } from './archives.ts';
import { attachJob } from './attach.ts';
import type { CredentialsOf } from './build/registry-name.ts';
import { impatient } from './connection.ts';
import type { JobLimits } from './container.ts';
import type { JobContext } from './course.ts';
import { explain } from './errors.ts';
import { patiently } from './exit.ts';
import { detectHostPaths } from './host.ts';
import { type ImageUses, inspect } from './images.ts';
import { runJob } from './job.ts';
import type { Logger, Site } from './place.ts';
import { createBackground } from './background.ts';
import { createPool } from './pool.ts';
import { createDiskWatch } from './disk.ts';
import { isSeen, measureJobs } from './disk-use.ts';
import { createGuard, type GuardSettings } from './guard.ts';
import { jobsNetwork } from './network.ts';
import { sweep } from './sweep.ts';
import { openWorkspaces } from './workspace.ts';

const PING_DEADLINE = 5000;
/** For a question to the engine; starting twenty containers at once takes it a few seconds. Milliseconds. */
const ANSWER_DEADLINE = 120_000;
/** How long an engine that went away is waited for: a restart takes seconds. Milliseconds. */
const PATIENCE = 60_000;

export interface DockerExecutorOptions {
  readonly docker: Docker;
  /** The server's data folder. Jobs' folders and artifacts are kept in it. */
  readonly home: string;
  /** Default: 4 GiB, all CPUs, 2048 processes, the engine's limit of open files, no limit of disk. */
  readonly limits?: Partial<JobLimits>;
  /** Bytes of log after which a job is stopped. Default 64 MB. */
  readonly logLimit?: number;
  /** Largest archive of artifacts, bytes. Default 1 GiB. */
  readonly artifactLimit?: number;
  /** Containers kept started ahead, in all. Default 2; 0: none. */
  readonly warm?: number;
  /** How the workspace is made; default: mounts where they work, otherwise copies. */
  readonly workspace?: 'auto' | 'copy';
  /** How long an engine that goes away while a job runs is waited for, milliseconds. Default a minute. */
  readonly patienceMs?: number;
  /** The operator's credentials by registry. */
  readonly credentialsOf: CredentialsOf;
  /** Told which images were pulled and used; nobody by default. */
  readonly uses?: ImageUses;
  /** Keeps jobs from the host's network by its firewall. Null, the default: nothing does, and strangers' jobs have no network. */
  readonly guard?: GuardSettings | null;
  /** Bytes of the disk that jobs may not use up; null, the default: no such limit. */
  readonly reserve?: number | null;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface DockerExecutor extends Executor {
  /** Reads the tar archive that a job left. */
  readonly openArchive: (ref: ArchiveRef) => Promise<Readable>;
  /** Null if what builds run is kept from the host's network as jobs are, or why not. */
  readonly unguardedBuilds: () => Promise<string | null>;
}

/**
 * Runs jobs in containers of a Docker engine that sees the same files as the server. The engine is looked at when it is
 * first needed, so that a server starts while Docker is down.
 */
export function openDockerExecutor(options: DockerExecutorOptions): DockerExecutor {
  const { docker } = options;
  let opening: Promise<JobContext> | null = null;

  function opened(): Promise<JobContext> {
    opening ??= open(options).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  }

  return {
    async run(request, tree, listener, ends) {
      // It is awaited later: a failure must not count as unhandled meanwhile.
      tree.catch(() => {});
      return runJob(await opened(), request, tree, listener, ends);
    },
    async attach(request, listener, ends) {
      // The engine may be starting like the server, after the machine's update: the job isn't lost for that.
      const context = await patiently(options.patienceMs ?? PATIENCE, ends.leave, opened);
      return attachJob(context, request, listener, ends);
    },
    expect(name) {
      void opened()
        .then(({ site, pool }) =>
          site.background.run('starting a container ahead', async () => {
            const image = await inspect(docker, name);
            if (image) pool.expect(image);
          }),
        )
        .catch((error: unknown) => options.logger.debug({ err: error }, 'no container can be started ahead'));
    },
    sweep: async (running) => sweep((await opened()).site, running),
    ping: async () => void (await ping(docker)),
    engine: () => ping(docker),
    async close() {
      if (opening === null) return;
      const { site, pool } = await opening;
      await pool.close();
      await site.background.settled();
      await site.workspaces.close();
      opening = null;
    },
    openArchive: async (ref) => (await opened()).archives.open(ref),
    async unguardedBuilds() {
      const { guard } = (await opened()).site;
      if (!options.guard?.bridges.length || guard === null) return 'SLIPWAY_GUARD_BRIDGES names no network of builds';
      return guard.refusal();
    },
  };
}

async function open(options: DockerExecutorOptions): Promise<JobContext> {
  const { logger, clock, credentialsOf } = options;
  const docker = impatient(options.docker, ANSWER_DEADLINE);
  await ping(docker);
  await mkdir(join(options.home, 'jobs'), { recursive: true, mode: 0o700 });
  const home = await realpath(options.home);
  const jobs = join(home, 'jobs');
  const hostPaths = await detectHostPaths(docker);
  const network = jobsNetwork(docker);
  const id = await installationId(home);
  const own = { docker, patient: options.docker, network, ownImage: hostPaths.image, home: id, logger };
  const guard = options.guard ? createGuard({ ...options.guard, ...own }) : null;
  // Told at start, not with the first job.
  void guard?.known();
  const limits = { memory: 4 * 1024 ** 3, cpus: null, pids: 2048, files: null, disk: null, ...options.limits };
  const { root: layers, remaps } = await lookAt(docker);
  // Told once, so that the operator sees what keeps jobs apart from the host.
  logger.info(
    { remaps },
    remaps ? 'the engine maps the users of jobs' : 'root in a job is root of the host, without its powers',
  );
  const seesLayers = layers !== null && (await isSeen(layers));
  const disk = createDiskWatch({
    limit: limits.disk,
    reserve: options.reserve ?? null,
    disks: seesLayers ? [jobs, layers] : [jobs],
    blind: !seesLayers,
    measure: (watched, countFiles) => measureJobs(docker, id, watched, countFiles),
    logger,
  });
  const site: Site = {
    docker,
    patient: options.docker,
    patienceMs: options.patienceMs ?? PATIENCE,
    jobs,
    home: id,
    hostPaths,
    workspaces: await openWorkspaces(
      jobs,
      join(home, 'mounts'),
      // Files of the server's users are nobody's where users are mapped.
      options.workspace !== 'copy' && !hostPaths.inContainer && !remaps,
    ),
    limits,
    network,
    guard,
    guardsBuilds: (options.guard?.bridges.length ?? 0) > 0,
    disk,
    remaps,
    logger,
    inUse: new Set(),
    background: createBackground(logger),
  };
  return {
    site,
    pool: createPool(site, options.warm ?? 2),
    archives: await openArchives(join(home, 'artifacts'), options.artifactLimit ?? 1024 ** 3),
    credentialsOf,
    uses: options.uses ?? { pulled() {}, used() {} },
    logLimit: options.logLimit ?? 64 * 1024 * 1024,
    clock,
  };
}

interface EngineFacts {
  /** Folder in which the engine keeps images and containers, on its host. */
  readonly root: string | null;
  /** User namespace remapping is on. */
  readonly remaps: boolean;
}

async function lookAt(docker: Docker): Promise<EngineFacts> {
  const { DockerRootDir, SecurityOptions } = (await docker.info()) as {
    readonly DockerRootDir?: string;
    readonly SecurityOptions?: readonly string[] | null;
  };
  return { root: DockerRootDir ?? null, remaps: SecurityOptions?.includes('name=userns') ?? false };
}

/** The engine's id. PlatformError if it doesn't answer, or no job could run on it. */
async function ping(docker: Docker): Promise<string> {
  const deadline = new AbortController();
  try {
    const late = sleep(PING_DEADLINE, null, { signal: deadline.signal }).then(() => {
      throw new PlatformError('Docker did not answer within 5 s. See that the engine is well.');
    });
    const { OperatingSystem, ID } = (await Promise.race([docker.info(), late])) as {
      readonly OperatingSystem?: string;
      readonly ID: string;
    };
    const refusal = refuseMachine(process.platform, OperatingSystem ?? '');
    if (refusal !== null) throw new PlatformError(refusal);
    return ID;
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw explain(error, 'asking whether it is there');
  } finally {
    deadline.abort();
  }
}

/**
 * Why jobs can't run here, or null. Where the engine runs in a virtual machine, folders are shared with it, but a pipe
 * doesn't lead into it: a job would wait for its start until its time is up.
 */
export function refuseMachine(platform: string, engine: string): string | null {
  if (platform === 'linux' && !engine.includes('Docker Desktop')) return null;
  return 'Jobs run only where Docker runs on Linux itself, not in a virtual machine of its own as Docker Desktop has it. Run Slipway on a Linux machine, or within such a virtual machine.';
}

/** Tells the installations apart that use one engine. Made once. */
async function installationId(home: string): Promise<string> {
  const path = join(home, 'installation');
  await writeFile(path, randomUUID(), { flag: 'wx' }).catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
  });
  return (await readFile(path, 'utf8')).trim();
}
