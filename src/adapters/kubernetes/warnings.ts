import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Connection } from './connection.ts';
import { listed, ownedBy } from './logs.ts';
import type { ClusterEvent, Workload } from './objects.ts';
import { corePath } from './paths.ts';
import { currentPods } from './state.ts';
import { newestOwned } from './versions.ts';

/** As Cluster.events. */
export async function warnings(
  connection: Connection,
  target: RolloutTarget,
  workload: Workload,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const query = { fieldSelector: 'type=Warning', limit: '500' };
  const [seen, events] = await Promise.all([
    ownedBy(connection, target, workload, signal),
    listed<ClusterEvent>(connection, corePath(target, 'events'), query, signal),
  ]);
  const concerned = [workload, newestOwned(seen), ...currentPods(seen)].map((it) => it?.metadata.uid ?? '');
  return worthTelling((events ?? []).filter((it) => concerned.includes(it.involvedObject.uid ?? '-')));
}

/** Newest first, the same of several pods as one. Pure. */
export function worthTelling(events: readonly ClusterEvent[]): readonly string[] {
  const counted = new Map<string, { text: string; times: number; last: string }>();
  for (const event of events) {
    const { reason = '', message = '' } = event;
    const text = shortened(`${reason}: ${message.replaceAll(/\s+/g, ' ').trim()}`);
    const name = event.involvedObject.name ?? '';
    // Messages name the pod and its uid, which differ from pod to pod.
    const key = text.replaceAll(name === '' ? '\0' : name, '').replaceAll(/\([0-9a-f-]{36}\)/g, '');
    const known = counted.get(key) ?? { text, times: 0, last: '' };
    const last = timeOf(event);
    counted.set(key, {
      text: last >= known.last ? text : known.text,
      times: known.times + (event.series?.count ?? event.count ?? 1),
      last: last >= known.last ? last : known.last,
    });
  }
  const newest = [...counted.values()].toSorted((a, b) => b.last.localeCompare(a.last));
  return newest.slice(0, 10).map(({ text, times }) => (times > 1 ? `${text} (${times} times)` : text));
}

function timeOf(event: ClusterEvent): string {
  const { eventTime, lastTimestamp, series, metadata } = event;
  return series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '';
}

function shortened(text: string): string {
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}
