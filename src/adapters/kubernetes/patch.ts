import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Connection } from './connection.ts';
import { StatusError } from './errors.ts';
import { type Located, parse, relocated } from './located.ts';
import type { Workload } from './objects.ts';
import { workloadPath } from './paths.ts';
import { imageOf, imagesOf } from './state.ts';

type Images = Readonly<Record<string, string>>;

/**
 * As Cluster.setImages. A strategic merge patch adds a container under a name that isn't there, silently and first in the
 * list: so the names are looked up before. An Argo Rollout knows no such patch: its containers are replaced by their places,
 * with their names tested, so that a list that changed meanwhile is refused, and looked at again. Throws StatusError and the
 * network's error.
 */
export async function setImages(
  connection: Connection,
  read: () => Promise<Located>,
  target: RolloutTarget,
  images: Images,
  signal: AbortSignal,
): Promise<{ readonly generation: number; readonly images: Images }> {
  for (const image of Object.values(images)) {
    if (!/^[\w.:/@-]+$/.test(image)) throw new UserError(`${JSON.stringify(image)} is no image reference.`);
  }
  for (let attempt = 1; ; attempt += 1) {
    const found = await read();
    for (const container of Object.keys(images)) refuseMissing(found.workload, target, container);
    try {
      return await patch(connection, found, images, signal);
    } catch (error) {
      const changed = error instanceof StatusError && error.code === 422 && usesPlaces(found);
      if (!changed || attempt >= 3) throw error;
    }
  }
}

export function refuseMissing(workload: Workload, target: RolloutTarget, container: string): void {
  if (imageOf(workload, container) !== null) return;
  const { containers, initContainers = [] } = workload.spec.template.spec;
  const names = containers.map((it) => it.name).join(', ');
  const isInit = initContainers.some((it) => it.name === container);
  throw new UserError(
    `${target.kind} ${target.namespace}/${target.name} has no container ${container}${isInit ? ' (it is an init container)' : ''}; it has ${names}.`,
  );
}

/** Whether containers are told by their places in the list. */
function usesPlaces({ target, template }: Located): boolean {
  return target.kind === 'rollout' && template === null;
}

async function patch(
  connection: Connection,
  found: Located,
  images: Images,
  signal: AbortSignal,
): Promise<{ readonly generation: number; readonly images: Images }> {
  const { workload, target, template, raw } = found;
  const query = { fieldManager: 'slipway', fieldValidation: 'Strict' };
  const path = workloadPath(template ?? target);
  const change = usesPlaces(found)
    ? ({ patch: 'json', body: byPlaces(workload, images) } as const)
    : ({ patch: 'strategic', body: byNames(images) } as const);
  const answer = parse(await connection.request({ method: 'PATCH', path, query, ...change }, signal));
  const after = template ? relocated(found, raw, answer as Workload) : relocated(found, answer, null);
  const now = Object.entries(imagesOf(after)).filter(([name]) => Object.hasOwn(images, name));
  return { generation: after.metadata.generation ?? 0, images: { ...images, ...Object.fromEntries(now) } };
}

function byNames(images: Images): object {
  const said = Object.entries(images).map(([container, image]) => `${container} to ${image}`);
  const containers = Object.entries(images).map(([name, image]) => ({ name, image }));
  return {
    metadata: { annotations: { 'kubernetes.io/change-cause': `Slipway set ${said.join(', ')}` } },
    spec: { template: { spec: { containers } } },
  };
}

function byPlaces(workload: Workload, images: Images): readonly object[] {
  return workload.spec.template.spec.containers.flatMap(({ name }, place) => {
    const path = `/spec/template/spec/containers/${place}`;
    const test = { op: 'test', path: `${path}/name`, value: name };
    const image = images[name];
    return image === undefined ? [] : [test, { op: 'replace', path: `${path}/image`, value: image }];
  });
}
