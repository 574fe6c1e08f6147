import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Connection } from './connection.ts';
import { StatusError } from './errors.ts';
import type { KubernetesObject, List, Pod, Workload } from './objects.ts';
import { corePath, labelSelector, versionsPath } from './paths.ts';
import { currentPods, stateOf } from './state.ts';
import type { Seen } from './versions.ts';

/** The last lines of the new version's failing container, or '' if there are none or they may not be read. At most 64 KB. */
export async function lastLines(
  connection: Connection,
  target: RolloutTarget,
  workload: Workload,
  lines: number,
  signal: AbortSignal,
): Promise<string> {
  const seen = await ownedBy(connection, target, workload, signal);
  const current = currentPods(seen);
  const crash = stateOf(seen).troubles.find((it) => it.kind === 'crash');
  const pod = current.find((it) => it.metadata.name === crash?.pod) ?? current.find((it) => isUnready(it, target));
  if (!pod) return '';
  const container = crash?.container ?? target.container;
  const status = pod.status?.containerStatuses?.find((it) => it.name === container);
  // While it waits to be restarted, what it said is in the log of the previous container.
  const first = status?.state?.waiting?.reason === 'CrashLoopBackOff';
  for (const previous of [first, !first]) {
    const text = await log(connection, target, pod.metadata.name ?? '', container, previous, lines, signal);
    if (text !== '') return text;
  }
  return '';
}

/** What belongs to the workload now. Null where it may not be read. */
export async function ownedBy(
  connection: Connection,
  target: RolloutTarget,
  workload: Workload,
  signal: AbortSignal,
): Promise<Seen> {
  const query = { labelSelector: labelSelector(workload.spec.selector) };
  const versions = versionsPath(target);
  const [pods, replicaSets] = await Promise.all([
    listed<Pod>(connection, corePath(target, 'pods'), query, signal),
    versions === null ? [] : listed<KubernetesObject>(connection, versions, query, signal),
  ]);
  return { kind: target.kind, container: target.container, workload, replicaSets, pods, events: [] };
}

async function log(
  connection: Connection,
  target: RolloutTarget,
  pod: string,
  container: string,
  previous: boolean,
  lines: number,
  signal: AbortSignal,
): Promise<string> {
  const path = `${corePath(target, 'pods')}/${encodeURIComponent(pod)}/log`;
  const query = { container, tailLines: String(lines), limitBytes: '65536', ...(previous ? { previous: 'true' } : {}) };
  try {
    return await connection.request({ method: 'GET', path, query }, signal);
  } catch (error) {
    // 400: it hasn't started, or none ended yet; 403: may not be read; 404: gone meanwhile.
    if (error instanceof StatusError && [400, 403, 404].includes(error.code)) return '';
    throw error;
  }
}

export async function listed<T>(
  connection: Connection,
  path: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<readonly T[] | null> {
  try {
    return (JSON.parse(await connection.request({ method: 'GET', path, query }, signal)) as List<T>).items;
  } catch (error) {
    if (error instanceof StatusError && error.code === 403) return null;
    throw error;
  }
}

function isUnready(pod: Pod, target: RolloutTarget): boolean {
  return pod.status?.containerStatuses?.some((it) => it.name === target.container && !it.ready) ?? false;
}
