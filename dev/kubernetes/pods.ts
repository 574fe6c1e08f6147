import { randomBytes } from 'node:crypto';
import { ownerOf, type Pod, timestamp, type Workload } from './objects.ts';
import type { World } from './world.ts';

/** Pods that the workload owns, those on their way out included. */
export function podsOf(world: World, owner: Workload): Pod[] {
  const pods = world.list('pods', owner.metadata.namespace);
  return pods.filter((it) => it.metadata.ownerReferences?.[0]?.uid === owner.metadata.uid);
}

export function isReady(pod: Pod): boolean {
  return pod.status.conditions.some((it) => it.type === 'Ready' && it.status === 'True');
}

/** Answers with why the pod can't be made, or null. */
export function createPod(world: World, owner: Workload, labels: Record<string, string>, name?: string): string | null {
  const { namespace } = owner.metadata;
  const podName = name ?? `${owner.metadata.name}-${suffix()}`;
  const refused = overQuota(world, namespace) ?? invalid(owner);
  if (refused) {
    const message = `pods "${podName}" is ${refused}`;
    world.event(owner, 'Warning', 'FailedCreate', `Error creating: ${message}`);
    return message;
  }
  world.put<Pod>('pods', {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: podName,
      generateName: `${owner.metadata.name}-`,
      namespace,
      labels: { ...owner.spec.template.metadata?.labels, ...labels },
      ownerReferences: [ownerOf(owner)],
    },
    spec: owner.spec.template.spec,
    status: { phase: 'Pending', conditions: [] },
  });
  world.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${podName}`);
  return null;
}

/** Begins a pod's end; the kubelet removes it. */
export function deletePod(world: World, owner: Workload, pod: Pod): void {
  world.put('pods', { ...pod, metadata: { ...pod.metadata, deletionTimestamp: timestamp(Date.now() + 2000) } });
  world.event(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
}

function overQuota(world: World, namespace: string): string | null {
  const used = world.list('pods', namespace).length;
  for (const { metadata, spec } of world.list('resourcequotas', namespace)) {
    const { pods } = spec.hard;
    if (used + 1 > Number(pods)) {
      return `forbidden: exceeded quota: ${metadata.name}, requested: pods=1, used: pods=${used}, limited: pods=${pods}`;
    }
  }
  return null;
}

function invalid(owner: Workload): string | null {
  const index = owner.spec.template.spec.containers.findIndex((it) => it.image !== it.image.trim());
  if (index < 0) return null;
  const image = JSON.stringify(owner.spec.template.spec.containers[index]?.image);
  return `invalid: spec.containers[${index}].image: Invalid value: ${image}: must not have leading or trailing whitespace`;
}

function suffix(): string {
  return randomBytes(4).toString('hex').slice(0, 5);
}
