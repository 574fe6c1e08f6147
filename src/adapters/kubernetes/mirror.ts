import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import { isTransient, StatusError } from './errors.ts';
import type { KubernetesObject, List } from './objects.ts';

/**
 * Keeps a copy of what a list contains: list, watch from there, and list again whenever the watch ends, expires (410)
 * or breaks, which is never an outcome. A silent watch is ended by the client after 30 s, so the copy is never older.
 * Resolves when aborted. Throws StatusError when it is refused (401, 403).
 */
export async function mirror<T extends KubernetesObject>(
  connection: Connection,
  source: { readonly path: string; readonly query: Readonly<Record<string, string>> },
  onChange: (objects: ReadonlyMap<string, T>) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      const list = JSON.parse(await connection.request({ method: 'GET', ...source }, signal)) as List<T>;
      const objects = new Map(list.items.map((it) => [it.metadata.uid ?? '', it]));
      onChange(objects);
      const opened = Date.now();
      await followWatch(connection, source, list.metadata.resourceVersion ?? '', objects, onChange, signal);
      failures = Date.now() - opened < 1000 ? failures + 1 : 0;
    } catch (error) {
      if (signal.aborted) return;
      if (!isTransient(error)) throw error;
      failures += 1;
    }
    if (failures > 0) await sleep(Math.min(5000, 100 * 2 ** failures), undefined, { signal }).catch(() => undefined);
  }
}

async function followWatch<T extends KubernetesObject>(
  connection: Connection,
  source: { readonly path: string; readonly query: Readonly<Record<string, string>> },
  resourceVersion: string,
  objects: Map<string, T>,
  onChange: (objects: ReadonlyMap<string, T>) => void,
  signal: AbortSignal,
): Promise<void> {
  const { limit: _limit, ...filter } = source.query;
  const query = { ...filter, resourceVersion, allowWatchBookmarks: 'true' };
  try {
    for await (const { type, object } of connection.watch<T>(source.path, query, signal)) {
      // A bookmark is an empty shell; an error (410 Expired) ends the watch.
      if (type === 'BOOKMARK') continue;
      if (type === 'ERROR') return;
      if (type === 'DELETED') objects.delete(object.metadata.uid ?? '');
      else objects.set(object.metadata.uid ?? '', object);
      onChange(objects);
    }
  } catch (error) {
    // The next list tells a refusal with its whole message, and gets new credentials where these expired.
    if (!(error instanceof StatusError)) throw error;
  }
}
