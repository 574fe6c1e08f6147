import { PlatformError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Connection } from './connection.ts';
import { StatusError } from './errors.ts';
import { normal } from './normal.ts';
import type { List, RawRollout, Workload } from './objects.ts';
import { collectionPath, workloadPath } from './paths.ts';

/** A workload where it really is. */
export interface Located {
  /** With the kind and name of what rolls: an Argo Rollout where one owns the Deployment that was named. */
  readonly target: RolloutTarget;
  /** The Deployment that holds the Rollout's template, if it isn't in the Rollout. */
  readonly template: RolloutTarget | null;
  /** As the API answered. */
  readonly raw: unknown;
  readonly referenced: Workload | null;
  readonly workload: Workload;
}

/**
 * Finds the workload. A Deployment that an Argo Rollout refers to, or in whose place there is a Rollout of that name, is
 * rolled by that Rollout. Throws StatusError and the network's error.
 */
export async function locate(connection: Connection, target: RolloutTarget, signal: AbortSignal): Promise<Located> {
  const get = async (what: RolloutTarget): Promise<Workload> => {
    return parse(await connection.request({ method: 'GET', path: workloadPath(what) }, signal)) as Workload;
  };
  if (target.kind === 'rollout') return await rolloutAt(target, await get(target), get);
  if (target.kind !== 'deployment') return located(target, null, await get(target), null);
  const [found, rollouts] = await Promise.allSettled([get(target), rolloutsIn(connection, target, signal)]);
  if (found.status === 'fulfilled') {
    // Without this it isn't known what rolls.
    if (rollouts.status === 'rejected') throw rollouts.reason;
    const owner = rollouts.value?.find(
      ({ spec }) => spec.workloadRef?.kind === 'Deployment' && spec.workloadRef.name === target.name,
    );
    if (!owner) return located(target, null, found.value, null);
    return located({ ...target, kind: 'rollout', name: owner.metadata.name ?? '' }, target, owner, found.value);
  }
  const missing = found.reason instanceof StatusError && found.reason.code === 404 && found.reason.isStatus;
  const instead: RolloutTarget = { ...target, kind: 'rollout' };
  const rollout = missing ? await get(instead).catch(() => null) : null;
  if (!rollout) throw found.reason;
  return await rolloutAt(instead, rollout, get);
}

/** The same workload from objects that a watch told. */
export function relocated(at: Located, raw: unknown, referenced: Workload | null): Workload {
  return located(at.target, at.template, raw, referenced).workload;
}

async function rolloutAt(
  target: RolloutTarget,
  raw: unknown,
  get: (what: RolloutTarget) => Promise<Workload>,
): Promise<Located> {
  const { kind, name } = (raw as Partial<RawRollout> | null)?.spec?.workloadRef ?? {};
  if (kind !== 'Deployment' || name === undefined) return located(target, null, raw, null);
  const template: RolloutTarget = { ...target, kind: 'deployment', name };
  return located(target, template, raw, await get(template));
}

function located(
  target: RolloutTarget,
  template: RolloutTarget | null,
  raw: unknown,
  referenced: Workload | null,
): Located {
  try {
    const workload = normal(target.kind, raw, referenced);
    // Looked at here, so that nothing else has to expect an object without them.
    if (!Array.isArray(workload.spec.template.spec.containers)) throw new TypeError('no containers');
    return { target, template, raw, referenced, workload };
  } catch (error) {
    const what = `${target.kind} ${target.namespace}/${target.name}`;
    const message = `The Kubernetes API described ${what} in a way that is not understood. Check what answers at its address.`;
    throw new PlatformError(message, { cause: error });
  }
}

/** What the API answered. Throws PlatformError if it isn't JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PlatformError(`The cluster's address isn't a Kubernetes API server: it answered ${text.slice(0, 80)}`);
  }
}

/** Where Argo Rollouts aren't installed, or may not be read, that isn't asked again for five minutes. */
const forgetMs = 300_000;
const none = new WeakMap<Connection, Map<string, number>>();

/** The namespace's Argo Rollouts; null where there are none, or they may not be listed. */
async function rolloutsIn(
  connection: Connection,
  target: RolloutTarget,
  signal: AbortSignal,
): Promise<readonly RawRollout[] | null> {
  const known = none.get(connection) ?? new Map<string, number>();
  none.set(connection, known);
  if ((known.get(target.namespace) ?? 0) > performance.now()) return null;
  const path = collectionPath({ ...target, kind: 'rollout' });
  try {
    const { items } = parse(await connection.request({ method: 'GET', path }, signal)) as List<RawRollout>;
    return Array.isArray(items) ? items.filter((it) => typeof it?.spec === 'object' && it.spec !== null) : null;
  } catch (error) {
    if (!(error instanceof StatusError) || ![403, 404].includes(error.code)) throw error;
    known.set(target.namespace, performance.now() + forgetMs);
    return null;
  }
}
