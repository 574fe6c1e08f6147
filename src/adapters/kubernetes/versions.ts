import type { WorkloadKind } from '#src/model/pipeline.ts';
import type { ClusterEvent, KubernetesObject, Pod, Workload } from './objects.ts';

/** What was seen of a workload and what belongs to it. Null: may not be read. */
export interface Seen {
  readonly kind: WorkloadKind;
  readonly container: string;
  readonly workload: Workload;
  readonly replicaSets: readonly KubernetesObject[] | null;
  readonly pods: readonly Pod[] | null;
  readonly events: readonly ClusterEvent[] | null;
}

/** What makes the newest version's pods for the workload, if it doesn't make them itself. */
export function newestOwned({
  kind,
  workload,
  replicaSets,
}: Pick<Seen, 'kind' | 'workload' | 'replicaSets'>): KubernetesObject | null {
  const owned = (replicaSets ?? []).filter((it) => isOwned(it, workload.metadata.uid ?? ''));
  if (kind === 'rollout') {
    const hash = workload.status?.currentPodHash ?? '';
    return owned.find((it) => it.metadata.labels?.['rollouts-pod-template-hash'] === hash) ?? null;
  }
  return owned.toSorted((a, b) => revisionOf(b) - revisionOf(a))[0] ?? null;
}

/** Whether what makes pods makes them of the images that the workload has now. */
export function isOfTemplate(version: KubernetesObject, workload: Workload): boolean {
  const containers = (version as Partial<Workload>).spec?.template.spec.containers ?? [];
  return workload.spec.template.spec.containers.every(({ name, image }) =>
    containers.some((it) => it.name === name && it.image === image),
  );
}

/** How far the deployment of a ReplicationController got: New, Pending, Running, Complete or Failed. */
export function phaseOf(version: KubernetesObject): string {
  return version.metadata.annotations?.['openshift.io/deployment.phase'] ?? '';
}

export function isOwned(object: KubernetesObject, uid: string): boolean {
  return uid !== '' && (object.metadata.ownerReferences ?? []).some((it) => it.controller === true && it.uid === uid);
}

function revisionOf(object: KubernetesObject): number {
  const { annotations } = object.metadata;
  const openshift = annotations?.['openshift.io/deployment-config.latest-version'];
  return Number(annotations?.['deployment.kubernetes.io/revision'] ?? openshift ?? 0);
}
