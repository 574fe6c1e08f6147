import { count, type Pod, type Status, type Workload } from './objects.ts';
import { createPod, deletePod, isReady, podsOf } from './pods.ts';
import { hashOf, type World } from './world.ts';

const hashKey = 'controller-revision-hash';

/** The StatefulSet controller: one pod after the other, the highest ordinal first, down to the partition. */
export function reconcileStatefulSet(world: World, set: Workload): void {
  const wanted = set.spec.replicas ?? 1;
  const update = `${set.metadata.name}-${hashOf(set.spec.template)}`;
  const current = set.status?.currentRevision ?? update;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const replaces = set.spec.updateStrategy?.type !== 'OnDelete';
  const pods = podsOf(world, set);
  const at = (ordinal: number) => pods.find((it) => it.metadata.name === `${set.metadata.name}-${ordinal}`);
  const ordinals = Array.from({ length: wanted }, (_, ordinal) => ordinal);
  const missing = ordinals.find((it) => !at(it));
  // A pod that isn't ready holds up all others, also a broken one of a version that was given up.
  const unready = pods.find((it) => !isReady(it));
  if (missing !== undefined && !unready) {
    const revision = missing >= partition && replaces ? update : current;
    createPod(world, set, { [hashKey]: revision }, `${set.metadata.name}-${missing}`);
  }
  const stale = ordinals.toReversed().find((it) => it >= partition && at(it)?.metadata.labels?.[hashKey] !== update);
  const old = stale === undefined ? undefined : at(stale);
  if (replaces && missing === undefined && !unready && old) deletePod(world, set, old);
  for (const pod of pods.filter((it) => !it.metadata.deletionTimestamp && ordinalOf(it) >= wanted))
    deletePod(world, set, pod);

  const now = podsOf(world, set);
  const updated = now.filter((it) => it.metadata.labels?.[hashKey] === update && !it.metadata.deletionTimestamp).length;
  const ready = now.filter((it) => isReady(it) && !it.metadata.deletionTimestamp).length;
  const settled = updated === wanted && ready === wanted;
  const status: Status = {
    observedGeneration: set.metadata.generation,
    replicas: now.length,
    readyReplicas: count(ready),
    availableReplicas: count(ready),
    currentReplicas: count(settled ? wanted : now.length - updated),
    updatedReplicas: count(updated),
    currentRevision: settled ? update : current,
    updateRevision: update,
  };
  world.put('statefulsets', { ...set, status });
}

/** The DaemonSet controller on the one node that there is: the old pod goes before the new one comes. */
export function reconcileDaemonSet(world: World, set: Workload): void {
  const update = hashOf(set.spec.template);
  const pods = podsOf(world, set);
  const pod = pods[0];
  const replaces = set.spec.updateStrategy?.type !== 'OnDelete';
  if (!pod) createPod(world, set, { [hashKey]: update });
  if (pod && replaces && pod.metadata.labels?.[hashKey] !== update && !pod.metadata.deletionTimestamp) {
    deletePod(world, set, pod);
  }
  const now = podsOf(world, set).filter((it) => !it.metadata.deletionTimestamp);
  const ready = now.filter(isReady).length;
  const status: Status = {
    observedGeneration: set.metadata.generation,
    currentNumberScheduled: now.length,
    desiredNumberScheduled: 1,
    numberMisscheduled: 0,
    numberReady: ready,
    updatedNumberScheduled: count(now.filter((it) => it.metadata.labels?.[hashKey] === update).length),
    numberAvailable: count(ready),
  };
  world.put('daemonsets', { ...set, status });
}

function ordinalOf(pod: Pod): number {
  return Number(pod.metadata.name.split('-').at(-1));
}
