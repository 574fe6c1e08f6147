import type { Canaries } from '#src/engine/ports-deploy.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import { asking } from './asking.ts';
import { Connection } from './connection.ts';
import type { ClustersOptions } from './clusters.ts';
import { beside, besideOf, isOurs, type Manifest } from './beside.ts';
import { StatusError } from './errors.ts';
import { locate, parse } from './located.ts';
import { normal } from './normal.ts';
import type { KubernetesObject, List } from './objects.ts';
import { collectionPath, labelSelector, versionsPath, workloadPath } from './paths.ts';
import { readSelector, switchSelector } from './services.ts';
import { isAutoscaled, replicasOf, scaleTo } from './scale.ts';
import { stateOf } from './state.ts';

/** One Canaries for all clusters of the operator, as `openClusters`. Nothing is loaded or connected before the first call. */
export function openCanaries({ clusters, logger, patience }: ClustersOptions): Canaries {
  const connections = new Map([...clusters].map(([name, it]) => [name, new Connection(name, it, logger, patience)]));
  const find = (cluster: string | null): Place => {
    const name = cluster ?? 'default';
    const connection = connections.get(name);
    if (!connection) throw new UserError(`There is no cluster ${name}. The operator sets it up.`);
    return { connection, name: `cluster ${name}` };
  };
  return {
    async scaleOf(target, signal) {
      const at = find(target.cluster);
      return await asking(at, target, `get ${target.kind}`, signal, () => scaleOf(at.connection, target, signal));
    },
    async place(target, wish, signal) {
      const at = find(target.cluster);
      const doing = `create or change ${target.kind} ${target.namespace}/${wish.name}`;
      await asking(at, { ...target, name: wish.name }, doing, signal, () => place(at.connection, target, wish, signal));
    },
    async scale(target, name, replicas, signal) {
      const at = find(target.cluster);
      const scaled = { ...target, name };
      const doing = `scale ${target.kind} ${target.namespace}/${name}`;
      await asking(at, scaled, doing, signal, () => scaleTo(at.connection, scaled, replicas, signal));
    },
    async state(target, name, signal) {
      const at = find(target.cluster);
      const asked = { ...target, name };
      const doing = `get ${target.kind} ${target.namespace}/${name}`;
      return await asking(at, asked, doing, signal, () => state(at.connection, asked, signal));
    },
    async remove(target, name, signal) {
      const at = find(target.cluster);
      const gone = { ...target, name };
      const doing = `delete ${target.kind} ${target.namespace}/${name}`;
      await asking(at, gone, doing, signal, () => remove(at.connection, gone, signal));
    },
    async selector(ref, signal) {
      const at = find(ref.cluster);
      return await readSelector(at.connection, at.name, ref, signal);
    },
    async select(ref, from, to, signal) {
      const at = find(ref.cluster);
      await switchSelector(at.connection, at.name, ref, { from, to }, signal);
    },
  };
}

interface Place {
  readonly connection: Connection;
  /** For messages. */
  readonly name: string;
}

type Wish = Parameters<Canaries['place']>[1];

async function scaleOf(
  connection: Connection,
  target: RolloutTarget,
  signal: AbortSignal,
): Promise<{ readonly replicas: number; readonly autoscaled: boolean }> {
  const { target: actual } = await locate(connection, target, signal);
  if (actual.kind !== target.kind) {
    throw new UserError(
      `${target.namespace}/${target.name} is rolled by the Argo Rollout ${actual.name}, which has steps of its own: take steps out of the environment.`,
    );
  }
  const [replicas, autoscaled] = await Promise.all([
    replicasOf(connection, target, signal),
    isAutoscaled(connection, target, signal),
  ]);
  return { replicas, autoscaled };
}

/** Creates it, or takes over the one that is there and brings it to what it shall be. */
async function place(connection: Connection, target: RolloutTarget, wish: Wish, signal: AbortSignal): Promise<void> {
  const stable = await get(connection, target, signal);
  if (!stable) throw new UserError(`There is no ${target.kind} ${target.namespace}/${target.name}.`);
  const made = beside(target, stable, wish);
  const path = workloadPath({ ...target, name: wish.name });
  for (let attempt = 1; ; attempt += 1) {
    const there = await get(connection, { ...target, name: wish.name }, signal);
    if (there) {
      refuseForeign(there, target, wish.name);
      if (there.metadata.deletionTimestamp !== undefined) {
        throw new UserError(
          `${target.namespace}/${wish.name} is being deleted, from an earlier rollout: deploy again when it is gone.`,
        );
      }
      // What the copy is taken from may have changed; its own selector can't.
      const { selector: _selector, ...spec } = made.spec;
      const body = [
        { op: 'test', path: '/metadata/uid', value: there.metadata.uid },
        ...Object.entries(spec).map(([key, value]) => ({ op: 'add', path: `/spec/${key}`, value })),
      ];
      await connection.request(
        { method: 'PATCH', path, query: { fieldManager: 'slipway' }, patch: 'json', body },
        signal,
      );
      return;
    }
    try {
      const query = { fieldManager: 'slipway' };
      await connection.request({ method: 'POST', path: collectionPath(target), query, body: made }, signal);
      return;
    } catch (error) {
      // Another process made it meanwhile, or the answer to the first request was lost.
      const isThere = error instanceof StatusError && error.reason === 'AlreadyExists';
      if (!isThere || attempt >= 3) throw error;
    }
  }
}

async function state(
  connection: Connection,
  target: RolloutTarget,
  signal: AbortSignal,
): Promise<WorkloadState | null> {
  const raw = await get(connection, target, signal);
  if (!raw) return null;
  const workload = normal(target.kind, raw, null);
  // Only what makes its pods knows whether a DeploymentConfig's rollout is complete.
  const path = target.kind === 'deploymentconfig' ? versionsPath(target) : null;
  const query = { labelSelector: labelSelector(workload.spec.selector) };
  const text = path === null ? '{"items":[]}' : await connection.request({ method: 'GET', path, query }, signal);
  const { items: replicaSets } = parse(text) as List<KubernetesObject>;
  return stateOf({ kind: target.kind, container: target.container, workload, replicaSets, pods: [], events: [] });
}

async function remove(connection: Connection, target: RolloutTarget, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const there = await get(connection, target, signal);
    if (!there || there.metadata.deletionTimestamp !== undefined) return;
    refuseForeign(there, null, target.name);
    const { uid } = there.metadata;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      // It is there until its pods are gone, so that its end is theirs.
      propagationPolicy: 'Foreground',
      preconditions: { uid },
    };
    try {
      await connection.request({ method: 'DELETE', path: workloadPath(target), body }, signal);
      return;
    } catch (error) {
      if (error instanceof StatusError && error.code === 404) return;
      // Another one of that name: it is looked at before it is removed.
      const isOther = error instanceof StatusError && error.code === 409;
      if (!isOther || attempt >= 3) throw error;
    }
  }
}

/** Never changes or removes what Slipway didn't make. `target`: what it must stand beside, or null. */
function refuseForeign(there: Manifest, target: RolloutTarget | null, name: string): void {
  const at = `${there.metadata.namespace ?? ''}/${name}`;
  if (!isOurs(there)) {
    throw new UserError(
      `There is a ${there.kind ?? 'workload'} ${at} that Slipway didn't make, so it isn't touched. Rename it, or remove it if nobody needs it.`,
    );
  }
  if (target !== null && besideOf(there) !== target.name) {
    throw new UserError(`${at} stands beside ${besideOf(there)}, not beside ${target.name}: remove it first.`);
  }
}

/** The workload as the API has it, or null if there is none. */
async function get(connection: Connection, target: RolloutTarget, signal: AbortSignal): Promise<Manifest | null> {
  try {
    return parse(await connection.request({ method: 'GET', path: workloadPath(target) }, signal)) as Manifest;
  } catch (error) {
    if (error instanceof StatusError && error.code === 404 && error.isStatus) return null;
    throw error;
  }
}
