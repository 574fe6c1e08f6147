import { PlatformError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { besideName } from '#src/model/steps.ts';
import { besideOf, isOurs, type Manifest, replicasBefore } from './beside.ts';
import type { Connection } from './connection.ts';
import { StatusError } from './errors.ts';
import { parse } from './located.ts';
import type { KubernetesObject, List } from './objects.ts';
import { autoscalersPath, workloadPath } from './paths.ts';

/**
 * How many replicas the workload shall have. While a canary of an earlier rollout is left beside it, which nobody could put
 * back, it has fewer than before that: then those count. Throws StatusError and the network's error.
 */
export async function replicasOf(connection: Connection, target: RolloutTarget, signal: AbortSignal): Promise<number> {
  const read = async (name: string): Promise<Manifest> => {
    return parse(
      await connection.request({ method: 'GET', path: workloadPath({ ...target, name }) }, signal),
    ) as Manifest;
  };
  // Forbidden by name is as good as none: it will be said when it is to be made.
  const left = read(besideName(target.name, 'canary')).catch((error: unknown) => {
    if (error instanceof StatusError && (error.code === 404 || error.code === 403)) return null;
    throw error;
  });
  const [{ spec }, canary] = await Promise.all([read(target.name), left]);
  const { replicas = 1 } = spec;
  if (!canary || !isOurs(canary) || besideOf(canary) !== target.name) return replicas;
  return replicas === 0 ? 0 : Math.max(replicas, replicasBefore(canary));
}

/** Whether an autoscaler decides on the replicas, or that can't be seen. */
export async function isAutoscaled(
  connection: Connection,
  target: RolloutTarget,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const text = await connection.request({ method: 'GET', path: autoscalersPath(target) }, signal);
    const { items } = parse(text) as List<Autoscaler>;
    if (!Array.isArray(items)) return true;
    const kind = target.kind === 'deploymentconfig' ? 'DeploymentConfig' : 'Deployment';
    return items.some(({ spec }) => spec?.scaleTargetRef?.kind === kind && spec.scaleTargetRef.name === target.name);
  } catch (error) {
    if (error instanceof StatusError && (error.code === 403 || error.code === 404)) return true;
    throw error;
  }
}

interface Autoscaler extends KubernetesObject {
  readonly spec?: { readonly scaleTargetRef?: { readonly kind?: string; readonly name?: string } };
}

/** Sets the replicas and nothing else. Throws StatusError and the network's error. */
export async function scaleTo(
  connection: Connection,
  target: RolloutTarget,
  replicas: number,
  signal: AbortSignal,
): Promise<void> {
  const query = { fieldManager: 'slipway' };
  const path = workloadPath(target);
  const text = await connection.request(
    { method: 'PATCH', path, query, patch: 'merge', body: { spec: { replicas } } },
    signal,
  );
  const { spec } = parse(text) as Manifest;
  if (spec?.replicas !== replicas) {
    throw new PlatformError(
      `${target.namespace}/${target.name} was scaled to ${replicas}, but the cluster made it ${spec?.replicas ?? 'nothing'}. Look at its admission webhooks.`,
    );
  }
}
