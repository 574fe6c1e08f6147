import { type Condition, count, type Status, timestamp, type Workload } from './objects.ts';
import { podsOf } from './pods.ts';
import type { World } from './world.ts';

/** The status that a Deployment has now. Counters that are zero are absent. */
export function deploymentStatus(
  world: World,
  deployment: Workload,
  sets: readonly Workload[],
  current: Workload | null,
): Status {
  const before = deployment.status ?? {};
  const wanted = deployment.spec.replicas ?? 1;
  const sum = (of: (set: Workload) => number) => sets.reduce((total, it) => total + of(it), 0);
  const replicas = sum((it) => podsOf(world, it).filter((pod) => !pod.metadata.deletionTimestamp).length);
  const available = sum((it) => it.status?.availableReplicas ?? 0);
  const spec = sum((it) => it.spec.replicas ?? 0);
  const updated = current?.status?.replicas ?? 0;
  const status: Status = {
    observedGeneration: deployment.metadata.generation,
    replicas: count(replicas),
    updatedReplicas: count(updated),
    readyReplicas: count(available),
    availableReplicas: count(available),
    unavailableReplicas: count(Math.max(0, spec - available)),
    conditions: before.conditions,
  };
  const enough = available >= wanted - limits(deployment).unavailable;
  const withAvailable = withCondition(status, 'Available', enough ? minimum : noMinimum);
  const failure = current?.status?.conditions?.find((it) => it.type === 'ReplicaFailure');
  const withFailure = failure ? withCondition(withAvailable, 'ReplicaFailure', failure) : without(withAvailable);
  if (deployment.spec.paused || !current) return withFailure;
  return withProgress(world, deployment, withFailure, current);
}

/** How many pods may be more than wanted, and how many less, from numbers or percentages (default 25 %). */
export function limits(deployment: Workload): { readonly surge: number; readonly unavailable: number } {
  const wanted = deployment.spec.replicas ?? 1;
  if (deployment.spec.strategy?.type === 'Recreate') return { surge: 0, unavailable: wanted };
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = part(maxSurge, wanted, Math.ceil);
  const unavailable = part(maxUnavailable, wanted, Math.floor);
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function part(value: number | string, of: number, round: (value: number) => number): number {
  return typeof value === 'number' ? value : round((Number.parseFloat(value) / 100) * of);
}

/** The condition's times move as Kubernetes moves them: the transition's only when the status changes. */
export function withCondition(
  status: Status,
  type: string,
  change: { readonly status: string; readonly reason?: string; readonly message?: string },
): Status {
  const before = status.conditions?.find((it) => it.type === type);
  if (before?.status === change.status && before.reason === change.reason && before.message === change.message)
    return status;
  const now = timestamp();
  const transition = before?.status === change.status ? before.lastTransitionTime : now;
  const { reason = '', message = '' } = change;
  const condition: Condition = {
    type,
    status: change.status,
    lastUpdateTime: now,
    lastTransitionTime: transition ?? now,
    reason,
    message,
  };
  const others = (status.conditions ?? []).filter((it) => it.type !== type);
  return { ...status, conditions: [...others, condition] };
}

/**
 * As the deployment controller's syncRolloutStatus: a Deployment that once completed keeps NewReplicaSetAvailable until
 * there is progress of another kind, and then never exceeds a deadline.
 */
function withProgress(world: World, deployment: Workload, status: Status, current: Workload): Status {
  const before = deployment.status ?? {};
  const known = status.conditions?.find((it) => it.type === 'Progressing');
  const { name, uid, annotations } = current.metadata;
  const rollout = `${uid} ${annotations?.['deployment.kubernetes.io/revision']}`;
  const wanted = deployment.spec.replicas ?? 1;
  const full = (status.updatedReplicas ?? 0) === wanted && (status.replicas ?? 0) === wanted;
  if (full && (status.availableReplicas ?? 0) >= wanted) {
    const message = `ReplicaSet "${name}" has successfully progressed.`;
    return withCondition(status, 'Progressing', { status: 'True', reason: 'NewReplicaSetAvailable', message });
  }
  if (isProgress(before, status)) {
    const message = `ReplicaSet "${name}" is progressing.`;
    const others = (status.conditions ?? []).filter((it) => it.type !== 'Progressing');
    // The update time moves with each step, which is what the deadline counts from.
    const moved = withCondition({ ...status, conditions: others }, 'Progressing', {
      status: 'True',
      reason: 'ReplicaSetUpdated',
      message,
    });
    progressedAt.set(rollout, Date.now());
    return moved;
  }
  const seconds = deployment.spec.progressDeadlineSeconds ?? 600;
  const since = progressedAt.get(rollout) ?? Date.now();
  progressedAt.set(rollout, since);
  const late = known?.reason !== 'NewReplicaSetAvailable' && world.unscaled(Date.now() - since) >= seconds * 1000;
  if (!late) return status;
  const message = `ReplicaSet "${name}" has timed out progressing.`;
  return withCondition(status, 'Progressing', { status: 'False', reason: 'ProgressDeadlineExceeded', message });
}

/** When each rollout last made progress, by ReplicaSet and revision: the condition's own time has whole seconds only. */
const progressedAt = new Map<string, number>();

function isProgress(before: Status, now: Status): boolean {
  const old = (it: Status) => (it.replicas ?? 0) - (it.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    (before.observedGeneration === now.observedGeneration && old(now) < old(before)) ||
    (now.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

function without(status: Status): Status {
  return { ...status, conditions: (status.conditions ?? []).filter((it) => it.type !== 'ReplicaFailure') };
}

const minimum = {
  status: 'True',
  reason: 'MinimumReplicasAvailable',
  message: 'Deployment has minimum availability.',
};
const noMinimum = {
  status: 'False',
  reason: 'MinimumReplicasUnavailable',
  message: 'Deployment does not have minimum availability.',
};
