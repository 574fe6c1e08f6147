/** Kubernetes objects as the stand-in keeps them: JSON, with counters that are zero left out. */
export interface Meta {
  name: string;
  namespace: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  generateName?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  finalizers?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: OwnerReference[];
}

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller: boolean;
  blockOwnerDeletion: boolean;
}

export interface Thing {
  kind: string;
  apiVersion: string;
  metadata: Meta;
}

export interface Condition {
  type: string;
  status: string;
  lastUpdateTime?: string;
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

export interface Container {
  name: string;
  image: string;
  [key: string]: unknown;
}

export interface Template {
  metadata?: { labels?: Record<string, string>; [key: string]: unknown };
  spec: { containers: Container[]; initContainers?: Container[]; [key: string]: unknown };
}

/** Deployment, ReplicaSet, StatefulSet and DaemonSet. */
export interface Workload extends Thing {
  spec: {
    replicas?: number;
    paused?: boolean;
    selector: { matchLabels: Record<string, string> };
    template: Template;
    strategy?: { type?: string; rollingUpdate?: { maxSurge?: number | string; maxUnavailable?: number | string } };
    updateStrategy?: { type?: string; rollingUpdate?: { partition?: number } };
    progressDeadlineSeconds?: number;
    [key: string]: unknown;
  };
  status?: Status;
}

export interface Status {
  observedGeneration?: number | undefined;
  replicas?: number | undefined;
  fullyLabeledReplicas?: number | undefined;
  updatedReplicas?: number | undefined;
  readyReplicas?: number | undefined;
  availableReplicas?: number | undefined;
  unavailableReplicas?: number | undefined;
  currentReplicas?: number | undefined;
  currentRevision?: string | undefined;
  updateRevision?: string | undefined;
  currentNumberScheduled?: number | undefined;
  desiredNumberScheduled?: number | undefined;
  updatedNumberScheduled?: number | undefined;
  numberReady?: number | undefined;
  numberAvailable?: number | undefined;
  numberMisscheduled?: number | undefined;
  conditions?: Condition[] | undefined;
}

export interface Pod extends Thing {
  spec: Template['spec'];
  status: { phase: string; conditions: Condition[]; containerStatuses?: ContainerStatus[] };
}

export interface ContainerStatus {
  name: string;
  state: ContainerState;
  lastState: ContainerState;
  ready: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  started: boolean;
}

export interface ContainerState {
  waiting?: { reason: string; message?: string };
  running?: { startedAt: string };
  terminated?: { reason: string; exitCode: number; startedAt: string; finishedAt: string };
}

export interface ClusterEvent extends Thing {
  involvedObject: { kind: string; namespace: string; name: string; uid: string; fieldPath?: string };
  reason: string;
  message: string;
  type: 'Normal' | 'Warning';
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
}

export interface Quota extends Thing {
  spec: { hard: { pods?: string; [key: string]: string | undefined } };
}

export interface Namespace extends Thing {
  status: { phase: 'Active' | 'Terminating' };
}

/** What is kept as it is: nothing in the stand-in acts on it. */
export interface Kept extends Thing {
  [key: string]: unknown;
}

export interface Service extends Thing {
  spec: { selector?: Record<string, string>; [key: string]: unknown };
}

export interface Autoscaler extends Thing {
  spec: { scaleTargetRef: { apiVersion?: string; kind: string; name: string }; [key: string]: unknown };
}

/** What each resource that the stand-in knows consists of. */
export interface Kinds {
  deployments: Workload;
  replicasets: Workload;
  statefulsets: Workload;
  daemonsets: Workload;
  pods: Pod;
  events: ClusterEvent;
  resourcequotas: Quota;
  services: Service;
  horizontalpodautoscalers: Autoscaler;
  namespaces: Namespace;
  configmaps: Kept;
  persistentvolumeclaims: Kept;
  limitranges: Kept;
  jobs: Kept;
  cronjobs: Kept;
  networkpolicies: Kept;
  ingresses: Kept;
  poddisruptionbudgets: Kept;
}

export type Resource = keyof Kinds;

export type Group = '' | 'apps' | 'autoscaling' | 'batch' | 'networking.k8s.io' | 'policy';

/** Versions under which each group is served. */
export const versions: Readonly<Record<Group, readonly string[]>> = {
  '': ['v1'],
  apps: ['v1'],
  autoscaling: ['v2', 'v1'],
  batch: ['v1'],
  'networking.k8s.io': ['v1'],
  policy: ['v1'],
};

/** API group, kind and singular of each resource that the stand-in knows. */
export const resources: Readonly<Record<Resource, { readonly group: Group; readonly kind: string }>> = {
  deployments: { group: 'apps', kind: 'Deployment' },
  replicasets: { group: 'apps', kind: 'ReplicaSet' },
  statefulsets: { group: 'apps', kind: 'StatefulSet' },
  daemonsets: { group: 'apps', kind: 'DaemonSet' },
  pods: { group: '', kind: 'Pod' },
  events: { group: '', kind: 'Event' },
  resourcequotas: { group: '', kind: 'ResourceQuota' },
  services: { group: '', kind: 'Service' },
  horizontalpodautoscalers: { group: 'autoscaling', kind: 'HorizontalPodAutoscaler' },
  namespaces: { group: '', kind: 'Namespace' },
  configmaps: { group: '', kind: 'ConfigMap' },
  persistentvolumeclaims: { group: '', kind: 'PersistentVolumeClaim' },
  limitranges: { group: '', kind: 'LimitRange' },
  jobs: { group: 'batch', kind: 'Job' },
  cronjobs: { group: 'batch', kind: 'CronJob' },
  networkpolicies: { group: 'networking.k8s.io', kind: 'NetworkPolicy' },
  ingresses: { group: 'networking.k8s.io', kind: 'Ingress' },
  poddisruptionbudgets: { group: 'policy', kind: 'PodDisruptionBudget' },
};

export function isResource(name: string): name is Resource {
  return Object.hasOwn(resources, name);
}

export function ownerOf(owner: Thing): OwnerReference {
  const { kind, apiVersion, metadata } = owner;
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true, blockOwnerDeletion: true };
}

/** 0 -> undefined: the API leaves counters out that are zero. */
export function count(value: number): number | undefined {
  return value === 0 ? undefined : value;
}

/** Seconds only, as Kubernetes writes times. */
export function timestamp(at = Date.now()): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}
