import { setTimeout as sleep } from 'node:timers/promises';
import type { PreviewCluster, PreviewRequest } from '#src/engine/ports-deploy.ts';
import { type ManifestKind, manifestKind, manifestKinds } from '#src/model/manifest-kinds.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { ClustersOptions } from './clusters.ts';
import { Connection } from './connection.ts';
import { explained, StatusError } from './errors.ts';
import { parse } from './located.ts';
import type { KubernetesObject, List } from './objects.ts';
import { fences, namespaceObject, ownLabels, type Preview, previewLabel } from './preview-objects.ts';

export interface PreviewOptions extends ClustersOptions {
  /** How long a namespace may take to go. Milliseconds, default two minutes. */
  readonly goneMs?: number;
}

const lookMs = 500;

/** Namespaces of previews. What isn't labelled as Slipway's own for that pull request is never touched. */
export function openPreviews(options: PreviewOptions): PreviewCluster {
  const { clusters, logger, patience, goneMs = 120_000 } = options;
  const connections = new Map([...clusters].map(([name, it]) => [name, new Connection(name, it, logger, patience)]));

  function find(cluster: string | null): { readonly connection: Connection; readonly name: string } {
    const name = cluster ?? 'default';
    const connection = connections.get(name);
    if (connection) return { connection, name: `cluster ${name}` };
    const known = [...connections.keys()].join(', ') || 'none';
    throw new UserError(`There is no cluster ${name} for previews. The operator has set up: ${known}.`);
  }

  return {
    async apply(preview, signal) {
      const at = find(preview.cluster);
      const place: Place = { ...at, preview, signal, goneMs };
      const objects = preview.objects.map((it) => labelled(it as unknown as ManifestObject, preview.namespace));
      const targets = objects.flatMap((it) => targetOf(it, preview));
      await makeNamespace(place);
      for (const { path, body } of fences(preview)) await applyAt(place, path, body, 'set up the namespace');
      for (const object of objects) await applyObject(place, object);
      await prune(place, preview, objects);
      return targets;
    },
    async remove(preview, signal) {
      const place: Place = { ...find(preview.cluster), preview, signal, goneMs };
      const found = await readNamespace(place);
      if (found === null) return;
      refuseOthers(place, found);
      if (found.metadata.deletionTimestamp === undefined) {
        // With its id: another of this name that was made meanwhile stays.
        const body = { preconditions: { uid: found.metadata.uid } };
        await asking(place, 'delete the namespace', () => request(place, 'DELETE', namespacePath(preview), body));
      }
      await gone(place, found.metadata.uid ?? '');
    },
  };
}

interface Place {
  readonly connection: Connection;
  /** For messages. */
  readonly name: string;
  readonly preview: Preview;
  readonly signal: AbortSignal;
  readonly goneMs: number;
}

interface ManifestObject extends KubernetesObject {
  readonly kind: string;
  readonly metadata: KubernetesObject['metadata'] & { readonly name: string };
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly containers?: readonly { readonly name: string }[] } };
  };
}

/** Makes the namespace, or takes the one that is there if it is this preview's. One on its way out is waited for. */
async function makeNamespace(place: Place): Promise<void> {
  const { preview } = place;
  const found = await readNamespace(place);
  if (found) refuseOthers(place, found);
  if (found?.metadata.deletionTimestamp !== undefined) await gone(place, found.metadata.uid ?? '');
  if (found && found.metadata.deletionTimestamp === undefined) {
    return await applyAt(place, namespacePath(preview), namespaceObject(preview), 'set up the namespace');
  }
  try {
    await asking(place, 'create the namespace', () =>
      request(place, 'POST', '/api/v1/namespaces', namespaceObject(preview)),
    );
  } catch (error) {
    // Made meanwhile: by an answer that was lost, or by somebody else.
    const now = await readNamespace(place);
    if (now === null) throw error;
    refuseOthers(place, now);
  }
}

async function readNamespace(place: Place): Promise<KubernetesObject | null> {
  return await asking(place, 'get the namespace', async () => {
    try {
      return parse(await request(place, 'GET', namespacePath(place.preview))) as KubernetesObject;
    } catch (error) {
      if (error instanceof StatusError && error.code === 404 && error.isStatus) return null;
      throw error;
    }
  });
}

function refuseOthers({ name, preview }: Place, { metadata }: KubernetesObject): void {
  const isOurs = Object.entries(ownLabels(preview)).every(([key, value]) => metadata.labels?.[key] === value);
  if (isOurs) return;
  throw new UserError(
    `The namespace ${preview.namespace} in ${name} is not the preview of ${preview.repository}#${preview.number}: it was made by somebody else, and is left alone. The operator chooses another prefix for previews, or removes it.`,
  );
}

async function gone(place: Place, uid: string): Promise<void> {
  const until = performance.now() + place.goneMs;
  for (;;) {
    const found = await readNamespace(place);
    if (found === null || found.metadata.uid !== uid) return;
    if (performance.now() >= until) {
      throw new PlatformError(
        `The namespace ${place.preview.namespace} in ${place.name} is being deleted since ${Math.round(place.goneMs / 1000)} s and still there. See what holds it: kubectl get namespace ${place.preview.namespace} -o yaml`,
      );
    }
    await sleep(lookMs, undefined, { signal: place.signal, ref: false });
  }
}

async function applyObject(place: Place, object: ManifestObject): Promise<void> {
  const kind = kindOf(object);
  const path = objectPath(place.preview, kind, object.metadata.name);
  const doing = `apply ${object.kind} ${object.metadata.name}`;
  try {
    await applyAt(place, path, object, doing);
  } catch (error) {
    // A Job can't be changed: the new one takes the place of the old.
    const cause = error instanceof Error ? error.cause : null;
    const isFixed = cause instanceof StatusError && cause.code === 422 && /immutable/i.test(cause.message);
    if (!isFixed || kind.kind !== 'Job') throw error;
    await deleteAt(place, path, doing);
    await applyAt(place, path, object, doing);
  }
}

async function applyAt(place: Place, path: string, body: object, doing: string): Promise<void> {
  const query = { fieldManager: 'slipway', force: 'true', fieldValidation: 'Strict' };
  await asking(place, doing, () =>
    place.connection.request({ method: 'PATCH', path, query, body, patch: 'apply' }, place.signal),
  );
}

/** Removes what was applied before and is no more. */
async function prune(place: Place, preview: PreviewRequest, applied: readonly ManifestObject[]): Promise<void> {
  const query = { labelSelector: `${previewLabel}=${preview.namespace}` };
  const keep = new Set(applied.map((it) => `${it.kind}/${it.metadata.name}`));
  for (const kind of manifestKinds.filter((it) => preview.rule.kinds.includes(it.kind))) {
    const path = collectionPath(preview, kind);
    const text = await asking(place, `list ${kind.plural}`, () =>
      place.connection.request({ method: 'GET', path, query }, place.signal),
    );
    for (const { metadata } of (parse(text) as List<KubernetesObject>).items ?? []) {
      const name = metadata.name ?? '';
      const isOurs = metadata.labels?.[previewLabel] === preview.namespace;
      if (!isOurs || keep.has(`${kind.kind}/${name}`)) continue;
      await deleteAt(place, objectPath(preview, kind, name), `delete ${kind.kind} ${name}`);
    }
  }
}

/** With its pods, in the background; fine if it is gone. */
async function deleteAt(place: Place, path: string, doing: string): Promise<void> {
  await asking(place, doing, async () => {
    try {
      await request(place, 'DELETE', path, { propagationPolicy: 'Background' });
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 404) throw error;
    }
  });
}

async function request(place: Place, method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<string> {
  return await place.connection.request({ method, path, ...(body === undefined ? {} : { body }) }, place.signal);
}

async function asking<T>(place: Place, doing: string, ask: () => Promise<T>): Promise<T> {
  const { name, preview, signal } = place;
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof StatusError)) throw explained(error, name, noTarget(preview), doing);
    const what = `${doing} in the namespace ${preview.namespace} of ${name}`;
    const said = error.message;
    if (error.code === 403 && /being terminated/i.test(said)) {
      throw new PlatformError(`Slipway could not ${what}, for it is being deleted.`, { cause: error });
    }
    if (error.code === 403 && /quota|exceeded|violates PodSecurity|denied the request/i.test(said)) {
      throw new UserError(`The cluster doesn't allow to ${what}: ${said}`, { cause: error });
    }
    if (error.code === 403) {
      throw new PlatformError(
        `Slipway may not ${what} (403). Its ServiceAccount needs the rights that docs/previews.md lists. The cluster says: ${said}`,
        { cause: error, retry: 'never' },
      );
    }
    if (error.code === 400 || error.code === 422) {
      throw new UserError(`The cluster refuses to ${what}: ${said}`, { cause: error });
    }
    throw explained(error, name, noTarget(preview), doing);
  }
}

/** For words that all errors have in common. */
function noTarget({ namespace }: Preview): RolloutTarget {
  return { kind: 'deployment', cluster: null, namespace, name: '', container: '', image: '' };
}

function labelled(object: ManifestObject, namespace: string): ManifestObject {
  const { metadata } = object;
  return {
    ...object,
    metadata: { ...metadata, namespace, labels: { ...metadata.labels, [previewLabel]: namespace } },
  };
}

/** The workload, by its first container, if Slipway can follow it. */
function targetOf({ kind, metadata, spec }: ManifestObject, { cluster, namespace }: PreviewRequest): RolloutTarget[] {
  const kinds = { Deployment: 'deployment', StatefulSet: 'statefulset', DaemonSet: 'daemonset' } as const;
  if (!Object.hasOwn(kinds, kind)) return [];
  const container = spec?.template?.spec?.containers?.[0]?.name ?? '';
  return [{ kind: kinds[kind as keyof typeof kinds], cluster, namespace, name: metadata.name, container, image: '' }];
}

function kindOf({ kind }: ManifestObject): ManifestKind {
  const known = manifestKind(kind);
  if (!known) throw new UserError(`A preview may not hold ${kind}.`);
  return known;
}

function namespacePath({ namespace }: Preview): string {
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) {
    throw new UserError(`${namespace} is no name of a namespace: the prefix of previews is too long.`);
  }
  return `/api/v1/namespaces/${namespace}`;
}

function collectionPath(preview: Preview, { apiVersion, plural }: ManifestKind): string {
  namespacePath(preview);
  const group = apiVersion.includes('/') ? `apis/${apiVersion}` : `api/${apiVersion}`;
  return `/${group}/namespaces/${preview.namespace}/${plural}`;
}

function objectPath(preview: Preview, kind: ManifestKind, name: string): string {
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name))
    throw new UserError(`${name} is no name of a ${kind.kind}.`);
  return `${collectionPath(preview, kind)}/${name}`;
}
