import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeContainer } from './container.ts';
import { explain, isMissing } from './errors.ts';
import { removeTree } from './folder.ts';
import type { Site } from './place.ts';

/** Removes what this installation made for jobs that aren't alive. Returns how many things went. */
export async function sweep(site: Site, alive: ReadonlySet<string>): Promise<number> {
  const containers = await sweepContainers(site, alive);
  const [networks, folders] = await Promise.all([sweepNetworks(site, alive), sweepFolders(site, alive)]);
  return containers + networks + folders;
}

/** The job that a container kept ready was given to is told by its name only. */
export function jobOfName(name: string): string | null {
  return /^slipway-job-(.+)-\d+-[0-9a-f]{8}$/.exec(name)?.[1] ?? null;
}

/** The job that a folder belongs to, or null for one kept ready. */
export function jobOfFolder(name: string): string | null {
  return name.startsWith('.') ? null : (/^(.+)-\d+$/.exec(name)?.[1] ?? null);
}

async function sweepContainers(site: Site, alive: ReadonlySet<string>): Promise<number> {
  const filters = { label: [`slipway.home=${site.home}`] };
  const all = await site.docker.listContainers({ all: true, filters }).catch((error: unknown) => {
    throw explain(error, 'looking for containers that were left behind');
  });
  const dead = all.filter((info) => {
    const name = (info.Names[0] ?? '').replace(/^\//, '');
    const job = info.Labels['slipway.job'] ?? jobOfName(name);
    return !site.inUse.has(name) && !(job !== null && alive.has(job));
  });
  await Promise.all(dead.map((info) => removeContainer(site.docker.getContainer(info.Id))));
  return dead.length;
}

async function sweepNetworks(site: Site, alive: ReadonlySet<string>): Promise<number> {
  const filters = { label: [`slipway.home=${site.home}`] };
  const all = await site.docker.listNetworks({ filters });
  const dead = all.filter((info) => !site.inUse.has(info.Name) && !alive.has(info.Labels?.['slipway.job'] ?? ''));
  for (const info of dead) {
    await site.docker
      .getNetwork(info.Id)
      .remove()
      .catch((error: unknown) => {
        if (!isMissing(error)) throw explain(error, 'removing a network that was left behind');
      });
  }
  return dead.length;
}

async function sweepFolders(site: Site, alive: ReadonlySet<string>): Promise<number> {
  const names = await readdir(site.jobs);
  const dead = names.filter((name) => !site.inUse.has(name) && !alive.has(jobOfFolder(name) ?? ''));
  for (const name of dead) {
    const path = join(site.jobs, name);
    await site.workspaces.unmount(path);
    await removeTree(path);
  }
  return dead.length;
}
