/** Kinds of Kubernetes objects that previews can hold, in the order in which they are applied. All live in a namespace. */
export interface ManifestKind {
  readonly kind: string;
  /** The only version that is taken. */
  readonly apiVersion: string;
  /** As in the API's paths. */
  readonly plural: string;
  /** Keys that lead to the template of pods; null: it has none. */
  readonly template: readonly string[] | null;
}

export const manifestKinds: readonly ManifestKind[] = [
  { kind: 'NetworkPolicy', apiVersion: 'networking.k8s.io/v1', plural: 'networkpolicies', template: null },
  { kind: 'ConfigMap', apiVersion: 'v1', plural: 'configmaps', template: null },
  { kind: 'PersistentVolumeClaim', apiVersion: 'v1', plural: 'persistentvolumeclaims', template: null },
  { kind: 'Service', apiVersion: 'v1', plural: 'services', template: null },
  { kind: 'Deployment', apiVersion: 'apps/v1', plural: 'deployments', template: ['spec', 'template'] },
  { kind: 'StatefulSet', apiVersion: 'apps/v1', plural: 'statefulsets', template: ['spec', 'template'] },
  { kind: 'DaemonSet', apiVersion: 'apps/v1', plural: 'daemonsets', template: ['spec', 'template'] },
  { kind: 'Job', apiVersion: 'batch/v1', plural: 'jobs', template: ['spec', 'template'] },
  {
    kind: 'CronJob',
    apiVersion: 'batch/v1',
    plural: 'cronjobs',
    template: ['spec', 'jobTemplate', 'spec', 'template'],
  },
  { kind: 'HorizontalPodAutoscaler', apiVersion: 'autoscaling/v2', plural: 'horizontalpodautoscalers', template: null },
  { kind: 'PodDisruptionBudget', apiVersion: 'policy/v1', plural: 'poddisruptionbudgets', template: null },
  { kind: 'Ingress', apiVersion: 'networking.k8s.io/v1', plural: 'ingresses', template: null },
];

/** Null: it can't be part of a preview. */
export function manifestKind(kind: unknown): ManifestKind | null {
  return manifestKinds.find((it) => it.kind === kind) ?? null;
}
