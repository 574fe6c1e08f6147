import { precondition } from './answers.ts';
import { type Pod, type Resource, resources, type Thing, timestamp } from './objects.ts';
import type { World } from './world.ts';

/** The finalizer of what waits for its dependents to go first. */
export const foreground = 'foregroundDeletion';

/**
 * Deletes as the DeleteOptions in the body say, and answers as the API server does: in the background (the object goes at
 * once, what it owns after it), or in the foreground (it stays, on its way out, until what it owns is gone).
 */
export function remove(world: World, resource: Resource, object: Thing, body: string): object {
  const { name, namespace, uid = '' } = object.metadata;
  const options = (body === '' ? {} : JSON.parse(body)) as {
    readonly propagationPolicy?: string;
    readonly preconditions?: { readonly uid?: string };
  };
  const wanted = options.preconditions?.uid ?? uid;
  if (wanted !== uid) throw precondition(resource, name, wanted, uid);
  const ownsOthers = resources[resource].group === 'apps';
  if (options.propagationPolicy === 'Foreground' && ownsOthers) {
    return { ...world.put(resource, onItsWayOut(object)) };
  }
  world.remove(resource, namespace, name);
  const { group } = resources[resource];
  const details = { name, ...(group === '' ? {} : { group }), kind: resource, uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

/** Garbage collection. Pods get their time to end, so they outlive what owned them. */
export function removeOwned(world: World, resource: Resource, owner: Thing): void {
  if (resource === 'pods' || resource === 'events') return;
  const { namespace, uid, name, deletionTimestamp, finalizers } = owner.metadata;
  const inForeground = deletionTimestamp !== undefined && (finalizers?.includes(foreground) ?? false);
  for (const set of owned(world, 'replicasets', owner)) {
    world.after(5, () => {
      const now = world.get('replicasets', namespace, set.metadata.name);
      if (!now) return;
      if (inForeground) world.put('replicasets', onItsWayOut(now));
      else world.remove('replicasets', namespace, set.metadata.name);
    });
  }
  for (const pod of owned(world, 'pods', owner) as Pod[]) {
    world.after(5, () => {
      const now = world.get('pods', namespace, pod.metadata.name);
      if (now && now.metadata.deletionTimestamp === undefined) world.put('pods', ending(now));
    });
  }
  if (!inForeground) return;
  // It may own nothing, or no longer.
  world.after(10, () => {
    const now = world.get(resource, namespace, name);
    if (now?.metadata.uid === uid && now) finish(world, resource, now);
  });
}

/** Something went: if its owner only waited for that, it goes too. */
export function releaseOwner(world: World, gone: Thing): void {
  const reference = gone.metadata.ownerReferences?.[0];
  const kinds = Object.entries(resources) as [Resource, { readonly kind: string }][];
  const resource = kinds.find(([, it]) => it.kind === reference?.kind)?.[0];
  if (!reference || !resource) return;
  const owner = world.get(resource, gone.metadata.namespace, reference.name);
  if (owner?.metadata.uid === reference.uid && owner.metadata.finalizers?.includes(foreground)) {
    world.after(5, () => finish(world, resource, owner));
  }
}

function finish(world: World, resource: Resource, owner: Thing): void {
  const { namespace, name } = owner.metadata;
  const left = [...owned(world, 'replicasets', owner), ...owned(world, 'pods', owner)];
  if (left.length === 0) world.remove(resource, namespace, name);
}

function owned(world: World, resource: 'replicasets' | 'pods', owner: Thing): Thing[] {
  const all: Thing[] = world.list(resource, owner.metadata.namespace);
  return all.filter((it) => it.metadata.ownerReferences?.[0]?.uid === owner.metadata.uid);
}

function onItsWayOut<T extends Thing>(object: T): T {
  const finalizers = [...new Set([...(object.metadata.finalizers ?? []), foreground])];
  return { ...object, metadata: { ...object.metadata, finalizers, deletionTimestamp: timestamp() } };
}

function ending(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: timestamp(Date.now() + 2000) } };
}
