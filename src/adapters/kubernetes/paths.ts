import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget, WorkloadKind } from '#src/model/pipeline.ts';
import type { Selector } from './objects.ts';

/** Group, version and plural of each kind. */
const collections: Record<WorkloadKind, readonly [group: string, plural: string]> = {
  deployment: ['apps/v1', 'deployments'],
  statefulset: ['apps/v1', 'statefulsets'],
  daemonset: ['apps/v1', 'daemonsets'],
  deploymentconfig: ['apps.openshift.io/v1', 'deploymentconfigs'],
  rollout: ['argoproj.io/v1alpha1', 'rollouts'],
};

/** Path of all workloads of the target's kind in its namespace. The names come from a repository: nothing else may get into the path. */
export function collectionPath(target: RolloutTarget): string {
  const [group, plural] = collections[target.kind];
  return `/apis/${group}/namespaces/${namespaceOf(target)}/${plural}`;
}

export function workloadPath(target: RolloutTarget): string {
  if (!isName(target.name)) throw new UserError(`${target.name} is no name of a ${target.kind}.`);
  return `${collectionPath(target)}/${target.name}`;
}

/** Path of what makes the pods of each version of a workload of this kind, or null if it makes them itself. */
export function versionsPath(target: RolloutTarget): string | null {
  if (target.kind === 'statefulset' || target.kind === 'daemonset') return null;
  if (target.kind === 'deploymentconfig') return corePath(target, 'replicationcontrollers');
  return `/apis/apps/v1/namespaces/${namespaceOf(target)}/replicasets`;
}

/** Path in the core group. */
export function corePath(target: RolloutTarget, resource: 'pods' | 'events' | 'replicationcontrollers'): string {
  return `/api/v1/namespaces/${namespaceOf(target)}/${resource}`;
}

/** HorizontalPodAutoscalers of the target's namespace. */
export function autoscalersPath(target: RolloutTarget): string {
  return `/apis/autoscaling/v2/namespaces/${namespaceOf(target)}/horizontalpodautoscalers`;
}

export function servicePath(at: { readonly namespace: string; readonly name: string }): string {
  if (!isName(at.name)) throw new UserError(`${at.name} is no name of a Service.`);
  return `/api/v1/namespaces/${namespaceOf(at)}/services/${at.name}`;
}

/** A selector as the API's query wants it: `app=api,tier in (a,b)`. */
export function labelSelector(selector: Selector): string {
  const parts = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    if (operator === 'In') parts.push(`${key} in (${values.join(',')})`);
    if (operator === 'NotIn') parts.push(`${key} notin (${values.join(',')})`);
    if (operator === 'Exists') parts.push(key);
    if (operator === 'DoesNotExist') parts.push(`!${key}`);
  }
  return parts.join(',');
}

function namespaceOf(target: { readonly namespace: string }): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(target.namespace)) {
    throw new UserError(`${target.namespace} is no name of a namespace.`);
  }
  return target.namespace;
}

/** A DNS subdomain, as RFC 1123 and Kubernetes have it. */
function isName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);
}
