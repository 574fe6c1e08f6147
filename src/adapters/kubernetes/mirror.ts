import { setTimeout as sleep } from 'node:timers/promises';
import { PlatformError } from '#src/model/outcome.ts';
import type { Connection } from './connection.ts';
import { isTransient, StatusError } from './errors.ts';
import type { KubernetesObject, List } from './objects.ts';

/**
 * Keeps a copy of what a list contains: list, watch from there, and list again whenever the watch ends, expires (410)
 * or breaks, which is never an outcome. A silent watch is ended by the client after 30 s, so the copy is never older.
 * Resolves when aborted. Throws when the list is refused (401, 403) or can't be had for longer than a request is repeated.
 */
export async function mirror<T extends KubernetesObject>(
  connection: Connection,
  source: { readonly path: string; readonly query: Readonly<Record<string, string>> },
  onChange: (objects: ReadonlyMap<string, T>) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      const text = await connection.request({ method: 'GET', ...source }, signal);
      const list = listOf<T>(text);
      const objects = new Map(list.items.filter(isObject).map((it) => [it.metadata.uid ?? '', it]));
      onChange(objects);
      const opened = performance.now();
      await followWatch(connection, source, list.metadata.resourceVersion ?? '', objects, onChange, signal);
      failures = performance.now() - opened < 1000 ? failures + 1 : 0;
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    if (failures > 0) {
      await sleep(Math.min(5000, 100 * 2 ** failures), undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

function listOf<T>(text: string): List<T> {
  try {
    const list = JSON.parse(text) as List<T>;
    if (Array.isArray(list.items)) return { ...list, metadata: list.metadata ?? {} };
  } catch {
    // Told below.
  }
  throw new PlatformError(`The Kubernetes API answered a list with something else: ${text.slice(0, 80)}`);
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
  // Ended by the server after five minutes: whatever a watch lost is seen then.
  const query = { ...filter, resourceVersion, allowWatchBookmarks: 'true', timeoutSeconds: '300' };
  let seen = Number(resourceVersion);
  try {
    for await (const { type, object } of connection.watch<T>(source.path, query, signal)) {
      // An error (410 Expired) ends the watch, and so does what isn't an event: the next list tells what it was.
      if (!isEvent(type, object)) return;
      const version = Number(object.metadata.resourceVersion);
      // Told twice, or older than what is known.
      if (version <= seen) continue;
      if (!Number.isNaN(version)) seen = version;
      // A bookmark is an empty shell.
      if (type === 'BOOKMARK') continue;
      if (type === 'DELETED') objects.delete(object.metadata.uid ?? '');
      else objects.set(object.metadata.uid ?? '', object);
      onChange(objects);
    }
  } catch (error) {
    // The next list tells whether the server is there: a refusal with its whole message, new credentials where these expired.
    if (!(error instanceof StatusError) && !isTransient(error)) throw error;
  }
}

function isEvent(type: unknown, object: KubernetesObject | null | undefined): boolean {
  return typeof type === 'string' && ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK'].includes(type) && isObject(object);
}

function isObject(object: KubernetesObject | null | undefined): boolean {
  return typeof object?.metadata === 'object' && object.metadata !== null;
}
