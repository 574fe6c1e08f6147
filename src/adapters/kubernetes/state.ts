import { PlatformError } from '#src/model/outcome.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { Pod, Workload } from './objects.ts';
import { troublesOf } from './troubles.ts';
import { isOfTemplate, isOwned, newestOwned, phaseOf, type Seen } from './versions.ts';

/** The facts that decisions need. Pure. Throws PlatformError where an object isn't what the API documents. */
export function stateOf(seen: Seen): WorkloadState {
  try {
    return factsOf(seen);
  } catch (error) {
    const message =
      'The Kubernetes API described the workload, or what belongs to it, in a way that is not understood.';
    throw new PlatformError(`${message} Check what answers at its address.`, { cause: error });
  }
}

function factsOf(seen: Seen): WorkloadState {
  const { kind, workload } = seen;
  const { metadata, spec, status = {} } = workload;
  const daemon = kind === 'daemonset';
  const replicas = daemon ? status.currentNumberScheduled : status.replicas;
  const type = (kind === 'statefulset' || daemon ? spec.updateStrategy : spec.strategy)?.type;
  const partition = kind === 'statefulset' ? (spec.updateStrategy?.rollingUpdate?.partition ?? 0) : 0;
  return {
    kind,
    namespace: textOf(metadata.namespace),
    name: textOf(metadata.name),
    generation: numberOf(metadata.generation),
    observedGeneration: numberOf(status.observedGeneration),
    wanted: daemon ? numberOf(status.desiredNumberScheduled) : numberOf(spec.replicas ?? 1),
    updated: numberOf(daemon ? status.updatedNumberScheduled : status.updatedReplicas),
    available: numberOf(daemon ? status.numberAvailable : status.availableReplicas),
    replicas: numberOf(replicas),
    paused: spec.paused === true,
    strategy: type === 'Recreate' || type === 'OnDelete' ? type : 'RollingUpdate',
    partition: numberOf(partition),
    settled: isSettled(seen),
    image: textOf(imageOf(workload, seen.container)),
    images: imagesOf(workload),
    restarts: currentPods(seen).reduce((sum, pod) => sum + restartsOf(pod), 0),
    held: heldBy(seen),
    conditions: (status.conditions ?? []).map((it) => ({
      type: textOf(it.type),
      status: textOf(it.status),
      reason: textOf(it.reason),
      message: textOf(it.message),
    })),
    troubles: troublesOf(seen, currentPods(seen)).map((it) => ({
      ...it,
      pod: textOf(it.pod),
      container: textOf(it.container),
      restarts: numberOf(it.restarts),
      exitCode: it.exitCode === null ? null : numberOf(it.exitCode),
      reason: textOf(it.reason),
      message: textOf(it.message),
    })),
    hidden: seen.pods === null ? 'pods' : '',
  };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Images in the pod template by container. */
export function imagesOf(workload: Workload): Readonly<Record<string, string>> {
  return Object.fromEntries(workload.spec.template.spec.containers.map((it) => [textOf(it.name), textOf(it.image)]));
}

/** Whether the newest version is the current one, where counters don't say it. */
function isSettled(seen: Seen): boolean {
  const { kind, workload } = seen;
  const { status = {} } = workload;
  if (kind === 'statefulset') return status.currentRevision === status.updateRevision;
  if (kind === 'rollout') {
    const { stableRS = '', currentPodHash, phase = 'Healthy' } = status;
    return stableRS !== '' && stableRS === currentPodHash && phase === 'Healthy';
  }
  if (kind !== 'deploymentconfig') return true;
  // The counters are those of the ReplicationController before, until there is one for the new template.
  const newest = newestOwned(seen);
  return newest !== null && isOfTemplate(newest, workload) && phaseOf(newest) === 'Complete';
}

/** An Argo Rollout stops at steps of its own: some go on by themselves, some don't. */
function heldBy({ kind, workload }: Seen): string {
  const { phase, pauseConditions } = workload.status ?? {};
  if (kind !== 'rollout' || phase !== 'Paused' || !Array.isArray(pauseConditions)) return '';
  const why = textOf(pauseConditions[0]?.reason);
  const where = `${textOf(workload.metadata.name)} -n ${textOf(workload.metadata.namespace)}`;
  return `waits at a step of its own${why === '' ? '' : ` (${why})`}; to promote it: kubectl argo rollouts promote ${where}`;
}

function restartsOf(pod: Pod): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, it) => sum + numberOf(it.restartCount), 0);
}

/** Image of the container in the pod template, or null if there is no such container. */
export function imageOf(workload: Workload, container: string): string | null {
  return workload.spec.template.spec.containers.find((it) => it.name === container)?.image ?? null;
}

/**
 * Pods of the newest version that aren't on their way out. They are told by owner, not by label: the pods of a canary
 * match the same selector. A Deployment's newest ReplicaSet is the one with the highest revision, for going back to an
 * earlier image takes the old ReplicaSet up again.
 */
export function currentPods(
  seen: Pick<Seen, 'kind' | 'container' | 'workload' | 'replicaSets' | 'pods'>,
): readonly Pod[] {
  const { kind, workload, replicaSets, pods } = seen;
  const living = (pods ?? []).filter((it) => it.metadata.deletionTimestamp === undefined);
  const uid = workload.metadata.uid ?? '';
  if (kind === 'statefulset') {
    const revision = workload.status?.updateRevision;
    return living.filter((it) => isOwned(it, uid) && it.metadata.labels?.['controller-revision-hash'] === revision);
  }
  if (kind === 'daemonset') return living.filter((it) => isOwned(it, uid) && hasImage(it, seen));
  if (replicaSets === null) {
    return living.filter((it) => it.metadata.name?.startsWith(`${workload.metadata.name}-`) && hasImage(it, seen));
  }
  const newest = newestOwned(seen);
  return living.filter((it) => isOwned(it, newest?.metadata.uid ?? ''));
}

function hasImage(pod: Pod, seen: Pick<Seen, 'container' | 'workload'>): boolean {
  const image = imageOf(seen.workload, seen.container);
  return pod.spec.containers.some((it) => it.name === seen.container && it.image === image);
}
