import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type Docker from 'dockerode';
import { removeContainer } from './container.ts';
import { engineFailure, explain, isMissing } from './errors.ts';
import { ownerOf } from './labels.ts';
import { clear, ownerOfFolder, type Site } from './place.ts';
import { imageOwner } from './proxy/made.ts';

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
  return all.flatMap((info) => {
    const name = nameOf(info);
    // Labels come with an image, too: one that a job committed has them all, and the operator may run it.
    if (!name.startsWith('slipway-')) return [];
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

/** A container's own name: those that links give it have a second slash. */
function nameOf({ Names }: Docker.ContainerInfo): string {
  return Names.map((name) => name.slice(1)).find((name) => !name.includes('/')) ?? '';
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

interface Made {
  readonly volumes: readonly Found[];
  readonly images: readonly Found[];
}

/** Volumes and images that jobs made through engines of their own. Of an image each name, and the id of one without. */
export async function findMade(site: Site): Promise<Made> {
  const [{ Volumes }, images] = await Promise.all([
    site.docker.listVolumes({ filters: { label: [`slipway.home=${site.home}`] } }),
    site.docker.listImages(),
  ]).catch((error: unknown) => {
    throw explain(error, 'looking for what jobs left behind');
  });
  return {
    volumes: (Volumes ?? []).flatMap(({ Name, Labels }) => made(Name, ownerOf(Labels ?? {}, ''))),
    images: images.flatMap(({ Id, RepoTags, RepoDigests, Labels }) => {
      const tags = (RepoTags ?? []).filter((tag) => !tag.startsWith('<none>'));
      const digests = (RepoDigests ?? []).filter((digest) => !digest.startsWith('<none>'));
      // A name that isn't a job's own keeps an image, whatever its labels say: they go with it to registries and back.
      if (tags.length + digests.length === 0 && Labels?.['slipway.home'] === site.home) {
        return made(Id, ownerOf(Labels, ''));
      }
      return tags.flatMap((tag) => made(tag, imageOwner(site.home, tag)));
    }),
  };
}

function made(id: string, owner: string | null): readonly Found[] {
  return owner === null ? [] : [{ id, name: id, owner }];
}

export async function removeVolume(docker: Docker, volume: Found): Promise<void> {
  await docker
    .getVolume(volume.id)
    .remove({ force: true })
    .catch((error: unknown) => {
      if (!isMissing(error)) throw explain(error, 'removing a volume that a job made');
    });
}

/** Takes a name off an image; it goes with its last one. */
export async function removeImage(docker: Docker, image: Found): Promise<void> {
  await docker
    .getImage(image.id)
    .remove()
    .catch((error: unknown) => {
      // 409: another image is built on one without a name.
      if (!isMissing(error) && engineFailure(error).status !== 409)
        throw explain(error, 'removing an image that a job made');
    });
}

/** Removes what a job made through its own engine. Its own container must be gone. */
export async function removeMade(site: Site, name: string): Promise<void> {
  const filters = { label: [`slipway.home=${site.home}`, 'slipway.kind=inner'] };
  const infos = await site.docker.listContainers({ all: true, filters });
  const containers = infos.filter(
    (info) => ownerOf(info.Labels, '') === name && nameOf(info).startsWith(`slipway-${name}-`),
  );
  await Promise.all(containers.map(({ Id }) => removeContainer(site.docker.getContainer(Id))));
  const networks = await site.docker.listNetworks({ filters });
  for (const { Id, Name, Labels } of networks) {
    if (ownerOf(Labels ?? {}, '') === name) await removeFoundNetwork(site.docker, { id: Id, name: Name, owner: name });
  }
  const { volumes, images } = await findMade(site);
  for (const volume of volumes) if (volume.owner === name) await removeVolume(site.docker, volume);
  for (const image of images) if (image.owner === name) await removeImage(site.docker, image);
}

/** Removes what an earlier process made for an attempt of a job: containers, networks, and its folder if asked for. */
export async function removeLeft(site: Site, name: string, withFolder: boolean): Promise<void> {
  const [containers, networks] = await Promise.all([findContainers(site), findNetworks(site)]);
  const own = containers.filter(({ owner }) => owner === name);
  await Promise.all(own.map(({ id }) => removeContainer(site.docker.getContainer(id))));
  for (const network of networks) if (network.owner === name) await removeFoundNetwork(site.docker, network);
  const { volumes, images } = await findMade(site);
  for (const volume of volumes) if (volume.owner === name) await removeVolume(site.docker, volume);
  for (const image of images) if (image.owner === name) await removeImage(site.docker, image);
  for (const folder of await readdir(site.jobs)) {
    const draft = folder !== name && ownerOfFolder(folder) === name && !site.inUse.has(folder);
    if (draft) await clear(site, join(site.jobs, folder), { container: null, folder: null, image: null, names: [] });
  }
  if (!withFolder) return;
  const image = own.find(({ kind }) => kind !== 'service' && kind !== 'inner')?.image ?? null;
  await clear(site, join(site.jobs, name), { container: null, folder: null, image, names: [name] });
}
