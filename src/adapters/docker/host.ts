import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';
import { engineFailure } from './errors.ts';

export interface OwnMount {
  /** On the engine's host. */
  readonly source: string;
  /** In the server's container. */
  readonly destination: string;
}

/** How the engine names the files that the server sees. */
export interface HostPaths {
  /** The server runs in a container of this engine. */
  readonly inContainer: boolean;
  /** Id of that container's image. */
  readonly image: string | null;
  translate(path: string): string;
}

/** Finds out whether the server itself is one of the engine's containers, and what is mounted in it. */
export async function detectHostPaths(docker: Docker): Promise<HostPaths> {
  const read = (path: string) => readFile(path, 'utf8').catch(() => '');
  const [cgroup, mountinfo] = await Promise.all([read('/proc/self/cgroup'), read('/proc/self/mountinfo')]);
  for (const id of candidateIds(hostname(), cgroup, mountinfo)) {
    try {
      const info = await docker.getContainer(id).inspect();
      // A host may be called like a container: only a container that runs this very process counts.
      if (!info.State.Running || !info.Id.startsWith(id)) continue;
      const mounts = info.Mounts.map((mount) => ({ source: mount.Source, destination: mount.Destination }));
      return { inContainer: true, image: info.Image, translate: (path) => toHostPath(mounts, path) };
    } catch (error) {
      if (engineFailure(error).status === 0) break;
    }
  }
  return { inContainer: false, image: null, translate: (path) => path };
}

/** Ids of containers that this process may be in, likeliest first. Empty on a host. */
export function candidateIds(host: string, cgroup: string, mountinfo: string): readonly string[] {
  const ids = new Set<string>();
  // Files that Docker mounts into each container; on a host they don't appear.
  for (const match of mountinfo.matchAll(/\/containers\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) \/etc\//g)) {
    if (match[1]) ids.add(match[1]);
  }
  for (const match of cgroup.matchAll(/(?:\/docker\/|\/docker-)([0-9a-f]{64})/g)) if (match[1]) ids.add(match[1]);
  if (ids.size > 0 && /^[0-9a-f]{12}$/.test(host)) ids.add(host);
  return [...ids];
}

/** The path on the engine's host. PlatformError if it isn't in a mounted folder. */
export function toHostPath(mounts: readonly OwnMount[], path: string): string {
  let best: OwnMount | null = null;
  for (const mount of mounts) {
    const inside = path === mount.destination || path.startsWith(`${mount.destination.replace(/\/$/, '')}/`);
    if (inside && mount.destination.length > (best?.destination.length ?? 0)) best = mount;
  }
  if (best === null) {
    throw new PlatformError(
      `${path} lies in Slipway's own container, where the engine can't reach it. Mount a volume or a folder of the host there.`,
    );
  }
  const rest = path.slice(best.destination.replace(/\/$/, '').length);
  return `${best.source.replace(/\/$/, '')}${rest}` || '/';
}
