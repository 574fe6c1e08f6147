import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { removeContainer } from './container.ts';
import { explain, isMissing } from './errors.ts';
import { ownerOf } from './labels.ts';
import { clear, ownerOfFolder, type Site } from './place.ts';

/** Something that this installation made on the engine. */
export interface Found {
  readonly id: string;
  readonly name: string;
  /** Name of the job's folder, or null. */
  readonly owner: string | null;
}

export interface FoundContainer extends Found {
  readonly kind: string;
  /** `created`, `running`, `exited` ... */
  readonly state: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Id. */
  readonly image: string;
}

export async function findContainers(site: Site): Promise<readonly FoundContainer[]> {
  const filters = { label: [`slipway.home=${site.home}`] };
  const all = await site.docker.listContainers({ all: true, filters }).catch((error: unknown) => {
    throw explain(error, 'looking for containers that were left behind');
  });
  return all.map((info) => {
    const name = (info.Names[0] ?? '').replace(/^\//, '');
    return {
      id: info.Id,
      name,
      owner: ownerOf(info.Labels, name),
      kind: info.Labels['slipway.kind'] ?? '',
      state: info.State,
      createdAt: info.Created * 1000,
      image: info.ImageID,
    };
  });
}

export async function findNetworks(site: Site): Promise<readonly Found[]> {
  const filters = { label: [`slipway.home=${site.home}`] };
  const all = await site.docker.listNetworks({ filters }).catch((error: unknown) => {
    throw explain(error, 'looking for networks that were left behind');
  });
  return all.map((info) => ({ id: info.Id, name: info.Name, owner: ownerOf(info.Labels ?? {}, info.Name) }));
}

export async function removeFoundNetwork(docker: Docker, network: Found): Promise<void> {
  try {
    await docker.getNetwork(network.id).remove();
  } catch (error) {
    if (!isMissing(error)) throw explain(error, 'removing a network that was left behind');
  }
}

/** Removes what an earlier process made for an attempt of a job: containers, networks, and its folder if asked for. */
export async function removeLeft(site: Site, name: string, withFolder: boolean): Promise<void> {
  const [containers, networks] = await Promise.all([findContainers(site), findNetworks(site)]);
  const own = containers.filter(({ owner }) => owner === name);
  await Promise.all(own.map(({ id }) => removeContainer(site.docker.getContainer(id))));
  for (const network of networks) if (network.owner === name) await removeFoundNetwork(site.docker, network);
  for (const folder of await readdir(site.jobs)) {
    const draft = folder !== name && ownerOfFolder(folder) === name && !site.inUse.has(folder);
    if (draft) await clear(site, join(site.jobs, folder), { container: null, folder: null, image: null, names: [] });
  }
  if (!withFolder) return;
  const image = own.find(({ kind }) => kind !== 'service')?.image ?? null;
  await clear(site, join(site.jobs, name), { container: null, folder: null, image, names: [name] });
}
