import { PlatformError } from '#src/model/outcome.ts';
import { type JobFacts, keyOf, type Ref, type Refusal, type Rules, type Thing } from './contract.ts';
import type { Engine } from './engine.ts';

/** What a job may name. The truth is the engine: it is asked anew for each request. */
export interface Owned {
  /** What the refs stand for, by `keyOf`; or why the request goes no further. */
  find(refs: readonly Ref[]): Promise<ReadonlyMap<string, Thing> | Refusal>;
  /** Names of the job's containers, networks and volumes that there are now. */
  count(kind: 'container' | 'network' | 'volume'): Promise<number>;
}

export interface OwnedOptions {
  readonly engine: Engine;
  readonly rules: Pick<Rules, 'visibleImage' | 'missing'>;
  readonly facts: JobFacts;
  /** Id of the job's own container. */
  readonly self: string;
}

/** Names and ids of the job's own things, and of images that it may see, among all that the engine has. */
export function openOwned({ engine, rules, facts, self }: OwnedOptions): Owned {
  // All labels, not one: a container has the labels of its image too, but for those that its maker gave it.
  const label = Object.entries(facts.labels).map(([name, value]) => `${name}=${value}`);
  const filter = encodeURIComponent(JSON.stringify({ label }));

  const list: Record<'container' | 'network' | 'volume', () => Promise<readonly Thing[]>> = {
    async container() {
      const found = await ask<readonly { Id: string; Names: readonly string[] | null }[]>(
        `/containers/json?all=1&filters=${filter}`,
      );
      // Names of links from other containers have a second slash.
      return found.flatMap(({ Id, Names }) => {
        const name = (Names ?? []).map((text) => text.replace(/^\//, '')).find((text) => !text.includes('/'));
        // An image may bring all the labels: one that the job committed. A name it can't.
        return name?.startsWith(facts.namePrefix) ? [{ id: Id, name }] : [];
      });
    },
    async network() {
      const found = await ask<readonly { Id: string; Name: string }[]>(`/networks?filters=${filter}`);
      return found.map(({ Id, Name }) => ({ id: Id, name: Name }));
    },
    async volume() {
      const found = await ask<{ Volumes: readonly { Name: string }[] | null }>(`/volumes?filters=${filter}`);
      return (found.Volumes ?? []).map(({ Name }) => ({ id: Name, name: Name }));
    },
  };

  async function ask<T>(path: string): Promise<T> {
    const { status, json } = await engine.ask('GET', path);
    if (status !== 200 || json === null) throw new PlatformError(`The Docker engine answered ${status} to ${path}.`);
    return json as T;
  }

  async function find(refs: readonly Ref[]): Promise<ReadonlyMap<string, Thing> | Refusal> {
    const lists = new Map<string, Promise<readonly Thing[]>>();
    const all = (kind: 'container' | 'network' | 'volume') => {
      const asked = lists.get(kind) ?? list[kind]();
      lists.set(kind, asked);
      return asked;
    };
    const things = new Map<string, Thing>();
    for (const ref of refs) {
      const thing = await one(ref, all);
      if (thing) things.set(keyOf(ref), thing);
      else if (ref.missing === 'refuse') return rules.missing(ref);
    }
    return things;
  }

  async function one(
    ref: Ref,
    all: (kind: 'container' | 'network' | 'volume') => Promise<readonly Thing[]>,
  ): Promise<Thing | null> {
    if (ref.kind === 'image') return image(ref);
    if (ref.kind === 'exec') return exec(ref, await all('container'));
    if (ref.self && isIdOf(ref.name, self, 12)) return { id: self, name: self };
    return pick(ref, await all(ref.kind));
  }

  async function exec(ref: Ref, containers: readonly Thing[]): Promise<Thing | null> {
    if (!/^[0-9a-f]{64}$/.test(ref.name)) return null;
    const { status, json } = await engine.ask('GET', `/exec/${ref.name}/json`);
    const { ID, ContainerID } = (json ?? {}) as { ID?: unknown; ContainerID?: unknown };
    const isOwn = status === 200 && ID === ref.name && containers.some(({ id }) => id === ContainerID);
    return isOwn ? { id: ref.name, name: ref.name } : null;
  }

  async function image(ref: Ref): Promise<Thing | null> {
    for (const candidate of ref.candidates) {
      const found = await inspectImage(candidate);
      // A name that looks like a shortened id would find an image that it doesn't name.
      if (found && !isIdOf(candidate, found.id, 4) && rules.visibleImage(found.json, facts)) {
        return { id: found.id, name: candidate, tags: found.tags };
      }
    }
    if (!/^(sha256:)?[0-9a-f]{4,64}$/.test(ref.name)) return null;
    const found = await inspectImage(ref.name);
    const isIt = found && isIdOf(ref.name, found.id, 4) && rules.visibleImage(found.json, facts);
    return isIt ? { id: found.id, name: found.id, tags: found.tags } : null;
  }

  async function inspectImage(name: string): Promise<FoundImage | null> {
    const { status, json } = await engine.ask('GET', `/images/${encodeURIComponent(name)}/json`);
    const { Id, RepoTags } = (json ?? {}) as { Id?: unknown; RepoTags?: readonly string[] | null };
    return status === 200 && typeof Id === 'string' ? { id: Id, tags: RepoTags ?? [], json } : null;
  }

  return { find, count: async (kind) => (await list[kind]()).length };
}

interface FoundImage {
  readonly id: string;
  readonly tags: readonly string[];
  readonly json: unknown;
}

/** By the names in their order, then by the whole id, then by the beginning of one id. */
function pick(ref: Ref, things: readonly Thing[]): Thing | null {
  for (const candidate of ref.candidates) {
    const named = things.find(({ name }) => name === candidate);
    if (named) return named;
  }
  if (ref.kind === 'volume') return null;
  const begin = things.filter(({ id }) => isIdOf(ref.name, id, 1));
  return things.find(({ id }) => id === ref.name) ?? (begin.length === 1 ? (begin[0] ?? null) : null);
}

/** Whether the text is an id's beginning of at least so many digits. */
function isIdOf(text: string, id: string, least: number): boolean {
  const plain = text.replace(/^sha256:/, '');
  return plain.length >= least && /^[0-9a-f]+$/.test(plain) && id.replace(/^sha256:/, '').startsWith(plain);
}
