import { foreground, releaseOwner, removeOwned } from './deletion.ts';
import { reconcileDeployment } from './deployments.ts';
import { reconcileDaemonSet, reconcileStatefulSet } from './node-workloads.ts';
import type { Resource, Workload } from './objects.ts';
import { reconcileReplicaSet } from './replica-sets.ts';
import type { Change, World } from './world.ts';

/** Starts the controllers: whatever changes, the objects that it concerns get a turn a moment later, once for a burst. */
export function startControllers(world: World): void {
  const due = new Set<string>();
  const failures = new Map<string, number>();
  const turns: Partial<Record<Resource, (object: Workload) => void>> = {
    deployments: (it) => reconcileDeployment(world, it),
    replicasets: (it) => reconcileReplicaSet(world, it, failures),
    statefulsets: (it) => reconcileStatefulSet(world, it),
    daemonsets: (it) => reconcileDaemonSet(world, it),
  };
  const enqueue = (resource: Resource, namespace: string, name: string) => {
    const key = `${resource}/${namespace}/${name}`;
    const turn = turns[resource];
    if (!turn || due.has(key)) return;
    due.add(key);
    world.after(resource === 'replicasets' ? 5 : 20, () => {
      due.delete(key);
      const object = world.get(resource, namespace, name) as Workload | null;
      // What is being deleted makes no pods any more.
      if (object && object.metadata.deletionTimestamp === undefined) turn(object);
    });
  };
  world.listen(({ resource, type, object }: Change) => {
    const { namespace, name, ownerReferences } = object.metadata;
    if (type === 'DELETED') {
      removeOwned(world, resource, object);
      releaseOwner(world, object);
    } else if (object.metadata.finalizers?.includes(foreground)) removeOwned(world, resource, object);
    else enqueue(resource, namespace, name);
    const owner = ownerReferences?.[0];
    const kinds: Record<string, Resource> = {
      Deployment: 'deployments',
      ReplicaSet: 'replicasets',
      StatefulSet: 'statefulsets',
      DaemonSet: 'daemonsets',
    };
    const owning = kinds[owner?.kind ?? ''];
    if (owner && owning) enqueue(owning, namespace, owner.name);
    if (resource === 'deployments') lookAgainAtDeadline(world, object as Workload, enqueue);
  });
}

function lookAgainAtDeadline(
  world: World,
  deployment: Workload,
  enqueue: (resource: Resource, namespace: string, name: string) => void,
): void {
  const { namespace, name } = deployment.metadata;
  world.after((deployment.spec.progressDeadlineSeconds ?? 600) * 1000 + 100, () =>
    enqueue('deployments', namespace, name),
  );
}
