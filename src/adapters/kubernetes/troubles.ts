import { bySeverity, type Trouble } from '#src/model/rollout-trouble.ts';
import type { ClusterEvent, ContainerStatus, Pod } from './objects.ts';
import { isOfTemplate, newestOwned, phaseOf, type Seen } from './versions.ts';

/** Why the new version's pods aren't ready, or aren't there, worst first; at most five. */
export function troublesOf(seen: Seen, pods: readonly Pod[]): readonly Trouble[] {
  const events = seen.events ?? [];
  const found = [
    ...ended(seen),
    ...creationTroubles(seen, pods),
    ...pods.flatMap((pod) => podTroubles(pod, seen.container, events)),
  ];
  const distinct = new Map<string, Trouble>();
  for (const trouble of found.sort(bySeverity)) {
    const key = `${trouble.kind} ${trouble.reason} ${trouble.container}`;
    if (!distinct.has(key)) distinct.set(key, trouble);
  }
  return [...distinct.values()].slice(0, 5);
}

/** The waiting reasons of the kubelet (pkg/kubelet/images, pkg/kubelet/container) that are about the image. */
const imageReasons = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
]);

const configReasons = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'PreCreateHookError',
  'PreStartHookError',
  'PostStartHookError',
]);

/** Events that say why a pod doesn't get as far as its containers. They often pass. */
const startReasons = new Set(['FailedMount', 'FailedAttachVolume', 'FailedCreatePodSandBox']);

/** That the cluster itself has ended the rollout, which a DeploymentConfig and an Argo Rollout can. */
function ended(seen: Seen): readonly Trouble[] {
  const { kind, workload } = seen;
  const nothing = { kind: 'ended', pod: '', container: seen.container, restarts: 0, exitCode: null } as const;
  if (kind === 'deploymentconfig') {
    const newest = newestOwned(seen);
    if (newest === null || phaseOf(newest) !== 'Failed' || !isOfTemplate(newest, workload)) return [];
    const message = newest.metadata.annotations?.['openshift.io/deployment.status-reason'] ?? '';
    return [{ ...nothing, reason: 'DeploymentFailed', message }];
  }
  if (kind !== 'rollout') return [];
  const { abort, conditions = [], message = '' } = workload.status ?? {};
  if (abort === true) return [{ ...nothing, reason: 'RolloutAborted', message }];
  const invalid = conditions.find((it) => it.type === 'InvalidSpec' && it.status === 'True');
  return invalid ? [{ ...nothing, reason: 'InvalidSpec', message: invalid.message ?? message }] : [];
}

function creationTroubles(seen: Seen, pods: readonly Pod[]): readonly Trouble[] {
  const nowhere = { pod: '', container: seen.container, restarts: 0, exitCode: null };
  const failure = seen.workload.status?.conditions?.find((it) => it.type === 'ReplicaFailure' && it.status === 'True');
  if (failure) {
    return [{ kind: 'create', reason: failure.reason ?? 'ReplicaFailure', message: failure.message ?? '', ...nowhere }];
  }
  if (seen.kind === 'deployment' || pods.length > 0) return [];
  // A ReplicationController or ReplicaSet says it of itself, the others of the workload.
  const uid = newestOwned(seen)?.metadata.uid ?? seen.workload.metadata.uid;
  const event = seen.events?.findLast((it) => it.reason === 'FailedCreate' && it.involvedObject.uid === uid);
  return event ? [{ kind: 'create', reason: 'FailedCreate', message: event.message ?? '', ...nowhere }] : [];
}

function podTroubles(pod: Pod, mainContainer: string, events: readonly ClusterEvent[]): readonly Trouble[] {
  const own = events.filter((it) => it.involvedObject.uid === pod.metadata.uid);
  const name = pod.metadata.name ?? '';
  const scheduled = pod.status?.conditions?.find((it) => it.type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    const { reason = 'Unschedulable', message = '' } = scheduled;
    return [{ kind: 'schedule', reason, message, pod: name, container: mainContainer, restarts: 0, exitCode: null }];
  }
  const init = (pod.status?.initContainerStatuses ?? []).filter((it) => it.state?.terminated?.exitCode !== 0);
  const statuses = [...init, ...(pod.status?.containerStatuses ?? [])].filter((it) => !it.ready);
  return statuses.map((it) => containerTrouble(name, it, own)).filter((it) => it !== null);
}

/**
 * The reason alternates while a container fails: ErrImagePull and ImagePullBackOff; terminated, waiting in
 * CrashLoopBackOff and running again. All of a round count as the same trouble.
 */
function containerTrouble(pod: string, status: ContainerStatus, events: readonly ClusterEvent[]): Trouble | null {
  const { name: container, restartCount: restarts, state = {}, lastState = {} } = status;
  const ended = state.terminated ?? lastState.terminated;
  const base = { pod, container, restarts, exitCode: ended?.exitCode ?? null };
  const { reason = '', message = '' } = state.waiting ?? {};
  if (imageReasons.has(reason)) return { kind: 'image', reason, message, ...base };
  if (configReasons.has(reason)) return { kind: 'config', reason, message, ...base };
  if (ended) {
    const why = ended.reason === 'OOMKilled' ? 'OOMKilled' : reason || ended.reason || 'Error';
    return { kind: 'crash', reason: why, message, ...base };
  }
  if (state.running) {
    const unhealthy = events.findLast((it) => it.reason === 'Unhealthy' && concerns(it, container));
    return unhealthy ? { kind: 'unready', reason: 'Unhealthy', message: unhealthy.message ?? '', ...base } : null;
  }
  const start = events.findLast((it) => startReasons.has(it.reason ?? ''));
  return start ? { kind: 'start', reason: start.reason ?? '', message: start.message ?? '', ...base } : null;
}

function concerns(event: ClusterEvent, container: string): boolean {
  const { fieldPath } = event.involvedObject;
  return fieldPath === undefined || fieldPath.endsWith(`{${container}}`);
}
