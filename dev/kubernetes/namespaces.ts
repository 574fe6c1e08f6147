import { notFound, Refusal, statusBody } from './answers.ts';
import { isResource, type Namespace, type Resource, resources, type Thing, timestamp } from './objects.ts';
import type { World } from './world.ts';

/** How long the controller takes to empty a namespace. */
const finalizingMs = 2_000;

/** A namespace that is new is active. */
export function startNamespaces(world: World): void {
  world.listen(({ resource, type, object }) => {
    if (resource !== 'namespaces' || type !== 'ADDED' || 'status' in object) return;
    world.put<Namespace>('namespaces', { ...object, status: { phase: 'Active' } });
  });
}

/** Begins to remove a namespace; what is in it goes with it, a while later. What has finalizers keeps it from ending. */
export function terminate(world: World, namespace: Thing): Thing {
  const { name, deletionTimestamp } = namespace.metadata;
  if (deletionTimestamp) return namespace;
  const ending = world.put<Namespace>('namespaces', {
    ...namespace,
    metadata: { ...namespace.metadata, deletionTimestamp: timestamp() },
    status: { phase: 'Terminating' },
  });
  world.after(finalizingMs, () => empty(world, name));
  return ending;
}

function empty(world: World, namespace: string): void {
  let kept = false;
  for (const resource of Object.keys(resources).filter(isResource)) {
    for (const { metadata } of world.list(resource, namespace)) {
      if (metadata.finalizers?.length) kept = true;
      else world.remove(resource, namespace, metadata.name);
    }
  }
  if (kept) world.after(finalizingMs, () => empty(world, namespace));
  else world.remove('namespaces', '', namespace);
}

/** Nothing new comes into a namespace that is going, or was never made. One that a test has put things in counts as made. */
export function refuseMissing(world: World, resource: Resource, namespace: string): void {
  if (resource === 'namespaces') return;
  const found = world.get('namespaces', '', namespace);
  if (found?.metadata.deletionTimestamp) {
    const message = `${resource} is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`;
    throw new Refusal(403, statusBody(403, 'Forbidden', message, {}));
  }
  const used = Object.keys(resources)
    .filter(isResource)
    .some((it) => world.list(it, namespace).length > 0);
  if (!found && !used) throw notFound('namespaces', namespace);
}
