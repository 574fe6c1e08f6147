import { count, type Condition, type Status, timestamp, type Workload } from './objects.ts';
import { createPod, deletePod, isReady, podsOf } from './pods.ts';
import type { World } from './world.ts';

/** The ReplicaSet controller: as many pods as wanted. Where creating fails it tries again, further and further apart. */
export function reconcileReplicaSet(world: World, set: Workload, failures: Map<string, number>): void {
  const uid = set.metadata.uid ?? '';
  const pods = podsOf(world, set).filter((it) => !it.metadata.deletionTimestamp);
  const missing = (set.spec.replicas ?? 1) - pods.length;
  let failure: string | null = null;
  for (let i = 0; i < missing && failure === null; i += 1) {
    failure = createPod(world, set, { 'pod-template-hash': set.metadata.labels?.['pod-template-hash'] ?? '' });
  }
  const unreadyFirst = pods.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)));
  for (const pod of unreadyFirst.slice(0, Math.max(0, -missing))) deletePod(world, set, pod);
  if (failure === null) {
    failures.delete(uid);
  } else {
    const times = (failures.get(uid) ?? 0) + 1;
    failures.set(uid, times);
    world.after(Math.min(20_000, 10 * 2 ** times), () => {
      const now = world.get('replicasets', set.metadata.namespace, set.metadata.name);
      if (now?.metadata.uid === uid) reconcileReplicaSet(world, now, failures);
    });
  }
  const now = podsOf(world, set).filter((it) => !it.metadata.deletionTimestamp);
  const ready = now.filter(isReady).length;
  const status: Status = {
    replicas: now.length,
    fullyLabeledReplicas: count(now.length),
    readyReplicas: count(ready),
    availableReplicas: count(ready),
    observedGeneration: set.metadata.generation,
    conditions: failure === null ? undefined : [failureOf(set, failure)],
  };
  world.put('replicasets', { ...set, status });
}

function failureOf(set: Workload, message: string): Condition {
  const known = set.status?.conditions?.find((it) => it.type === 'ReplicaFailure');
  return (
    known ?? {
      type: 'ReplicaFailure',
      status: 'True',
      lastTransitionTime: timestamp(),
      reason: 'FailedCreate',
      message,
    }
  );
}
