import { createHash, randomUUID } from 'node:crypto';
import { type ClusterEvent, type Kinds, type Resource, resources, type Thing, timestamp, versions } from './objects.ts';

/** A change as watches tell it. */
export interface Change {
  readonly version: number;
  readonly resource: Resource;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Thing;
}

/** What etcd and the clock are to a real cluster: objects by resource, one counter of versions, a history, timers. */
export class World {
  version = 1000;
  /** Changes up to this version are forgotten: watching from an earlier one is answered with 410. */
  forgotten = 1000;
  readonly history: Change[] = [];
  readonly #objects = new Map<Resource, Map<string, Thing>>();
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #scale: number;

  /** `scale`: 1 is the speed of the recorded cluster, 0.1 is ten times as fast. */
  constructor(scale: number) {
    this.#scale = scale;
  }

  list<R extends Resource>(resource: R, namespace: string): Kinds[R][] {
    const all = [...(this.#objects.get(resource)?.values() ?? [])] as Kinds[R][];
    return all.filter((it) => it.metadata.namespace === namespace);
  }

  get<R extends Resource>(resource: R, namespace: string, name: string): Kinds[R] | null {
    return (this.#objects.get(resource)?.get(`${namespace}/${name}`) as Kinds[R] | undefined) ?? null;
  }

  /** Stores a new object or a new version of one. Objects are never changed in place: watchers keep them. */
  put<T extends Thing>(resource: Resource, object: T): T {
    const key = `${object.metadata.namespace}/${object.metadata.name}`;
    const objects = this.#objects.get(resource) ?? new Map<string, Thing>();
    this.#objects.set(resource, objects);
    const before = objects.get(key);
    if (before && same(before, object)) return before as T;
    this.version += 1;
    const metadata = {
      ...object.metadata,
      uid: before?.metadata.uid ?? randomUUID(),
      creationTimestamp: before?.metadata.creationTimestamp ?? timestamp(),
      resourceVersion: String(this.version),
    };
    const stored = { ...object, metadata };
    objects.set(key, stored);
    this.#tell({ version: this.version, resource, type: before ? 'MODIFIED' : 'ADDED', object: stored });
    return stored;
  }

  remove(resource: Resource, namespace: string, name: string): void {
    const object = this.get(resource, namespace, name);
    if (!object) return;
    this.#objects.get(resource)?.delete(`${namespace}/${name}`);
    this.version += 1;
    const metadata = { ...object.metadata, resourceVersion: String(this.version) };
    this.#tell({ version: this.version, resource, type: 'DELETED', object: { ...object, metadata } });
  }

  /** Notes an event, or counts one more of the same. */
  event(about: Thing, type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void {
    const { namespace, name, uid = '' } = about.metadata;
    const hash = createHash('sha1').update(`${uid} ${reason} ${message}`).digest('hex').slice(0, 16);
    const known = this.get('events', namespace, `${name}.${hash}`);
    this.put<ClusterEvent>('events', {
      kind: 'Event',
      apiVersion: 'v1',
      metadata: { name: `${name}.${hash}`, namespace },
      involvedObject: {
        kind: about.kind,
        namespace,
        name,
        uid,
        ...(container ? { fieldPath: `spec.containers{${container}}` } : {}),
      },
      reason,
      message,
      type,
      count: (known?.count ?? 0) + 1,
      firstTimestamp: known?.firstTimestamp ?? timestamp(),
      lastTimestamp: timestamp(),
    });
  }

  listen(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Runs after so many milliseconds of the recorded cluster's time. */
  after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms * this.#scale);
    this.#timers.add(timer);
  }

  /** A real duration in the recorded cluster's milliseconds. */
  unscaled(realMs: number): number {
    return realMs / this.#scale;
  }

  forget(): void {
    this.version += 1;
    this.forgotten = this.version;
    this.history.length = 0;
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#listeners.clear();
  }

  #tell(change: Change): void {
    this.history.push(change);
    if (this.history.length > 10_000) this.forgotten = this.history.shift()?.version ?? this.forgotten;
    for (const listener of this.#listeners) listener(change);
  }
}

/** Short, as the suffixes of ReplicaSets and pods are. */
export function hashOf(value: unknown): string {
  return createHash('sha1').update(JSON.stringify(value)).digest('hex').slice(0, 9);
}

export function kindOf(resource: Resource): { readonly kind: string; readonly apiVersion: string } {
  const { kind, group } = resources[resource];
  const version = versions[group][0] ?? 'v1';
  return { kind, apiVersion: group === '' ? version : `${group}/${version}` };
}

function same(a: Thing, b: Thing): boolean {
  const bare = (it: Thing) => {
    const { resourceVersion: _version, uid: _uid, creationTimestamp: _created, ...metadata } = it.metadata;
    return JSON.stringify({ ...it, metadata });
  };
  return bare(a) === bare(b);
}
