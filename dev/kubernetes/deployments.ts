import { deploymentStatus, limits, withCondition } from './deployment-status.ts';
import { ownerOf, type Workload } from './objects.ts';
import { hashOf, type World } from './world.ts';

const revisionKey = 'deployment.kubernetes.io/revision';

/**
 * The Deployment controller, one turn: finds or makes the ReplicaSet of the template, scales new and old within surge
 * and unavailability, writes the status. The order of the writes is the recorded one: the revision comes before the
 * counters, and the condition of the last rollout stays until there is news.
 */
export function reconcileDeployment(world: World, deployment: Workload): void {
  const sets = replicaSetsOf(world, deployment);
  const current = sets.find((it) => hashOfTemplate(it) === hashOfTemplate(deployment)) ?? null;
  const progressing = deployment.status?.conditions?.find((it) => it.type === 'Progressing');
  if (deployment.spec.paused) {
    const status = deploymentStatus(world, deployment, sets, current);
    const paused = { status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' };
    write(world, { ...deployment, status: withCondition(status, 'Progressing', paused) });
    return;
  }
  if (progressing?.reason === 'DeploymentPaused') {
    const resumed = { status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' };
    write(world, { ...deployment, status: withCondition(deployment.status ?? {}, 'Progressing', resumed) });
    return;
  }
  const newest = Math.max(0, ...sets.map(revisionOf));
  if (current === null) {
    const set = makeReplicaSet(world, deployment, sets, newest + 1);
    const created = {
      status: 'True',
      reason: 'NewReplicaSetCreated',
      message: `Created new replica set "${set.metadata.name}"`,
    };
    const status = withCondition(deployment.status ?? {}, 'Progressing', created);
    write(world, { ...annotated(deployment, newest + 1), status });
    return;
  }
  if (revisionOf(current) < newest) {
    world.put('replicasets', annotated(current, newest + 1));
    write(world, annotated(deployment, newest + 1));
    return;
  }
  scale(world, deployment, current, sets);
  const now = replicaSetsOf(world, deployment);
  const own = now.find((it) => it.metadata.uid === current.metadata.uid) ?? current;
  write(world, { ...deployment, status: deploymentStatus(world, deployment, now, own) });
}

function replicaSetsOf(world: World, deployment: Workload): Workload[] {
  const sets = world.list('replicasets', deployment.metadata.namespace);
  return sets.filter((it) => it.metadata.ownerReferences?.[0]?.uid === deployment.metadata.uid);
}

function scale(world: World, deployment: Workload, current: Workload, sets: readonly Workload[]): void {
  const wanted = deployment.spec.replicas ?? 1;
  const { surge, unavailable } = limits(deployment);
  const total = sets.reduce((sum, it) => sum + (it.spec.replicas ?? 0), 0);
  const own = current.spec.replicas ?? 0;
  const old = sets.filter((it) => it.metadata.uid !== current.metadata.uid && (it.spec.replicas ?? 0) > 0);
  const recreate = deployment.spec.strategy?.type === 'Recreate';
  const oldGone = old.every((it) => (it.status?.replicas ?? 0) === 0);
  const room = recreate && !oldGone ? 0 : Math.max(0, wanted + surge - total);
  const grown = own > wanted ? wanted : Math.min(wanted, own + room);
  if (grown !== own) setReplicas(world, deployment, current, grown);
  // Pods of old versions that never became ready serve nobody: they go first and freely.
  let healthy = 0;
  for (const set of old) {
    const ready = set.status?.availableReplicas ?? 0;
    const unready = Math.max(0, (set.spec.replicas ?? 0) - ready);
    if (unready > 0) setReplicas(world, deployment, set, ready);
    healthy += ready;
  }
  const available = healthy + (current.status?.availableReplicas ?? 0);
  let spare = recreate ? healthy : Math.max(0, available - (wanted - unavailable));
  for (const set of old) {
    const ready = set.status?.availableReplicas ?? 0;
    const take = Math.min(spare, ready, set.spec.replicas ?? 0);
    if (take > 0) setReplicas(world, deployment, set, ready - take);
    spare -= take;
  }
}

function setReplicas(world: World, deployment: Workload, set: Workload, replicas: number): void {
  const before = world.get('replicasets', set.metadata.namespace, set.metadata.name) ?? set;
  const from = before.spec.replicas ?? 0;
  if (from === replicas) return;
  const generation = (before.metadata.generation ?? 0) + 1;
  const metadata = { ...before.metadata, generation };
  world.put('replicasets', { ...before, metadata, spec: { ...before.spec, replicas } });
  const how = replicas > from ? 'up' : 'down';
  const text = `Scaled ${how} replica set ${set.metadata.name} from ${from} to ${replicas}`;
  world.event(deployment, 'Normal', 'ScalingReplicaSet', text);
}

function makeReplicaSet(world: World, deployment: Workload, sets: readonly Workload[], revision: number): Workload {
  const hash = hashOfTemplate(deployment);
  const labels = { ...deployment.spec.template.metadata?.labels, 'pod-template-hash': hash };
  const wanted = deployment.spec.replicas ?? 1;
  const running = sets.reduce((sum, it) => sum + (it.spec.replicas ?? 0), 0);
  const recreate = deployment.spec.strategy?.type === 'Recreate' && running > 0;
  const replicas = recreate ? 0 : Math.max(0, Math.min(wanted, wanted + limits(deployment).surge - running));
  const { metadata } = deployment;
  const set = world.put<Workload>('replicasets', {
    kind: 'ReplicaSet',
    apiVersion: 'apps/v1',
    metadata: {
      name: `${metadata.name}-${hash}`,
      namespace: metadata.namespace,
      generation: 1,
      labels,
      annotations: { ...metadata.annotations, [revisionKey]: String(revision) },
      ownerReferences: [ownerOf(deployment)],
    },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { ...deployment.spec.template, metadata: { labels } },
    },
    status: { replicas: 0 },
  });
  if (replicas > 0) {
    const text = `Scaled up replica set ${set.metadata.name} from 0 to ${replicas}`;
    world.event(deployment, 'Normal', 'ScalingReplicaSet', text);
  }
  return set;
}

function hashOfTemplate(workload: Workload): string {
  const { 'pod-template-hash': _hash, ...labels } = workload.spec.template.metadata?.labels ?? {};
  return hashOf([labels, workload.spec.template.spec]);
}

function annotated(workload: Workload, revision: number): Workload {
  const annotations = { ...workload.metadata.annotations, [revisionKey]: String(revision) };
  return { ...workload, metadata: { ...workload.metadata, annotations } };
}

function revisionOf(set: Workload): number {
  return Number(set.metadata.annotations?.[revisionKey] ?? 0);
}

/** Unless somebody wrote in between: then the next turn sees it. */
function write(world: World, deployment: Workload): void {
  const now = world.get('deployments', deployment.metadata.namespace, deployment.metadata.name);
  if (now?.metadata.generation === deployment.metadata.generation) world.put('deployments', deployment);
}
