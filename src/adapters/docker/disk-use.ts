import { execFile } from 'node:child_process';
import { access, constants, readdir, readlink, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import type { Use, Watched } from './disk.ts';
import { ownerOf } from './labels.ts';

const run = promisify(execFile);

/** For counting the files of one job, milliseconds. */
const DEADLINE = 20_000;

/** Containers of one job, and the volumes that they or its label name. */
interface Parts {
  readonly containers: Set<string>;
  readonly volumes: Set<string>;
}

/**
 * What each job uses: its folder, the layers of its containers (its own, its services, what it started by an engine of its
 * own) and their volumes. By du where the server sees the files, by the engine's word where it doesn't. `home` is the
 * label of this installation.
 */
export async function measureJobs(
  docker: Docker,
  home: string,
  jobs: readonly Watched[],
  countFiles: boolean,
): Promise<ReadonlyMap<Watched, Use | null>> {
  const parts = await partsOf(docker, home);
  const uses = jobs.map(async (job): Promise<[Watched, Use | null]> => {
    const { containers, volumes } = parts.get(job.name) ?? {
      containers: new Set<string>(),
      volumes: new Set<string>(),
    };
    const own = job.container();
    if (own !== null) containers.add(own);
    return [job, await use(docker, job.folder(), [...containers], [...volumes], countFiles).catch(() => null)];
  });
  return new Map(await Promise.all(uses));
}

async function partsOf(docker: Docker, home: string): Promise<ReadonlyMap<string, Parts>> {
  const filters = { label: [`slipway.home=${home}`] };
  const [containers, { Volumes }] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listVolumes({ filters }),
  ]);
  const parts = new Map<string, Parts>();
  const of = (owner: string) => {
    const found = parts.get(owner) ?? { containers: new Set(), volumes: new Set() };
    parts.set(owner, found);
    return found;
  };
  for (const { Id, Labels, Names, Mounts } of containers) {
    const owner = ownerOf(Labels, (Names[0] ?? '').replace(/^\//, ''));
    if (owner === null) continue;
    of(owner).containers.add(Id);
    // Without a name of somebody's choice: the image's VOLUMEs.
    for (const { Type, Name, Source } of Mounts) {
      if (Type === 'volume' && /^[0-9a-f]{64}$/.test(Name ?? '')) of(owner).volumes.add(Source);
    }
  }
  for (const { Labels, Name, Mountpoint } of Volumes ?? []) {
    const owner = ownerOf(Labels ?? {}, Name);
    if (owner !== null) of(owner).volumes.add(Mountpoint);
  }
  return parts;
}

async function use(
  docker: Docker,
  folder: string | null,
  containers: readonly string[],
  volumes: readonly string[],
  countFiles: boolean,
): Promise<Use> {
  const paths = folder === null ? [] : [folder];
  for (const volume of volumes) if (await isSeen(volume)) paths.push(volume);
  let bytes = 0;
  for (const id of containers) {
    const upper = await layerOf(docker, id);
    if (upper !== null) paths.push(upper);
    else bytes += await layerSize(docker, id);
    bytes += await nameless(docker, id);
  }
  if (paths.length === 0) return { bytes, files: 0 };
  const [kilobytes, files] = await Promise.all([du(['-k'], paths), countFiles ? du(['--inodes'], paths) : null]);
  return { bytes: bytes + kilobytes * 1024, files };
}

/** Sum of the last column's numbers. Files that vanish meanwhile are no failure. Throws if it takes too long. */
async function du(options: readonly string[], paths: readonly string[]): Promise<number> {
  const done = run('du', ['-s', '-x', ...options, '--', ...paths], { timeout: DEADLINE, env: { LC_ALL: 'C' } });
  const { stdout } = await done.catch((error: unknown) => {
    const { killed, stdout: said } = error as { killed?: boolean; stdout?: string };
    if (killed || typeof said !== 'string') throw error;
    return { stdout: said };
  });
  return stdout.split('\n').reduce((sum, line) => sum + (Number.parseInt(line, 10) || 0), 0);
}

/** Where overlay2 keeps what the container wrote, if the server may look there. */
async function layerOf(docker: Docker, id: string): Promise<string | null> {
  const { GraphDriver } = (await docker
    .getContainer(id)
    .inspect()
    .catch(() => ({}))) as {
    readonly GraphDriver?: { readonly Data?: { readonly UpperDir?: string } | null };
  };
  const upper = GraphDriver?.Data?.UpperDir;
  return upper !== undefined && (await isSeen(upper)) ? upper : null;
}

async function layerSize(docker: Docker, id: string): Promise<number> {
  const info = (await docker
    .getContainer(id)
    .inspect({ size: true } as object)
    .catch(() => ({}))) as { readonly SizeRw?: number };
  return info.SizeRw ?? 0;
}

/** Whether the server, as root, sees all that lies there. */
export async function isSeen(path: string): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** Files that are open and were removed: no du finds them. Only where the server sees the container's processes. */
async function nameless(docker: Docker, id: string): Promise<number> {
  try {
    const { Processes } = (await docker.getContainer(id).top({ ps_args: '-eo pid' })) as {
      readonly Processes: readonly (readonly string[])[];
    };
    const seen = new Map<string, number>();
    for (const [pid = ''] of Processes) for (const [file, bytes] of await removedFiles(pid)) seen.set(file, bytes);
    return [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
  } catch {
    return 0;
  }
}

async function removedFiles(pid: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  const folder = `/proc/${pid}/fd`;
  for (const fd of await readdir(folder).catch(() => [])) {
    const path = `${folder}/${fd}`;
    const target = await readlink(path).catch(() => '');
    // Those in memory count as memory.
    if (!target.endsWith(' (deleted)') || /^\/(memfd:|dev\/|run\/slipway\/|SYSV)/.test(target)) continue;
    const info = await stat(path).catch(() => null);
    if (info?.isFile() && info.nlink === 0) found.set(`${info.dev}:${info.ino}`, info.blocks * 512);
  }
  return found;
}
