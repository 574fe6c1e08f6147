import { imagesIn, withImages } from './manifest-images.ts';
import { type ManifestKind, manifestKind, manifestKinds } from './manifest-kinds.ts';
import { claimProblems, claimTemplateProblems, podProblems } from './manifest-pods.ts';
import { ingressProblems, serviceProblems, withHosts } from './manifest-traffic.ts';
import {
  type Fields,
  fieldsOf,
  isFields,
  isSet,
  join,
  listOf,
  type Problem,
  unknownKeys,
  type Value,
  valueAt,
  withValueAt,
} from './manifest-value.ts';
import { list, suggestion } from './suggest.ts';
import { readDocuments } from './yaml-documents.ts';

/** What a preview is made of. */
export interface ManifestRequest {
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly namespace: string;
  /** Kinds that the operator allows. */
  readonly kinds: readonly string[];
  /** `repository@sha256:...` by the name that images have in the manifests. */
  readonly images: Readonly<Record<string, string>>;
}

export type Manifests =
  | { readonly kind: 'objects'; readonly objects: readonly Fields[] }
  /** Each with the file, the object and the field. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

const mostObjects = 100;
const mostCharacters = 1024 * 1024;
const mostAliases = 100;
const mostProblems = 20;

/**
 * Reads Kubernetes manifests (YAML or JSON, several documents, Lists), puts the images in and the namespace, and refuses what a
 * preview may not have before anything of it reaches a cluster. The objects come in the order in which they are to be applied.
 */
export function readManifests(request: ManifestRequest): Manifests {
  const { files, namespace, kinds, images } = request;
  const size = files.reduce((sum, it) => sum + it.text.length, 0);
  if (size > mostCharacters)
    return refused([`The manifests have ${size} characters in all; at most ${mostCharacters} are taken.`]);
  const read = files.map(({ path, text }) => readFile(path, text));
  const broken = read.flatMap((it) => it.problems);
  if (broken.length > 0) return refused(broken);
  const found = read.flatMap((it) => it.found);
  if (found.length === 0) return refused([`There is no object in ${list(files.map((it) => it.path))}.`]);
  if (found.length > mostObjects)
    return refused([`The manifests hold ${found.length} objects; at most ${mostObjects} are taken.`]);
  const problems = found.flatMap((it) => objectProblems(it.object, namespace, kinds).map((one) => told(it, one)));
  problems.push(...twice(found), ...unused(found, images));
  if (problems.length > 0) return refused(problems);
  const order = (it: Found): number => manifestKinds.findIndex(({ kind }) => kind === it.object['kind']);
  const objects = found.toSorted((a, b) => order(a) - order(b)).map((it) => prepared(it.object, namespace, images));
  return { kind: 'objects', objects };
}

interface Found {
  /** `k8s/api.yaml, document 2`. */
  readonly where: string;
  readonly object: Fields;
}

function readFile(
  path: string,
  text: string,
): { readonly found: readonly Found[]; readonly problems: readonly string[] } {
  const documents = readDocuments(text, '1.1');
  if (typeof documents === 'string') return { found: [], problems: [`${path}: ${documents}`] };
  const found: Found[] = [];
  const problems: string[] = [];
  for (const [index, document] of documents.entries()) {
    const where = documents.length === 1 ? path : `${path}, document ${index + 1}`;
    const value = plain(document.toJS.bind(document, { maxAliasCount: mostAliases }));
    if (value === null) continue;
    if (typeof value === 'string') problems.push(`${where}: ${value}`);
    else if (value.fields['kind'] === 'List' && value.fields['apiVersion'] === 'v1') {
      const items = listOf(value.fields['items']).map((it, at) => ({
        where: `${where}, items[${at}]`,
        object: fieldsOf(it),
      }));
      found.push(...items);
    } else found.push({ where, object: value.fields });
  }
  return { found, problems };
}

/** The document as plain data, null if there is nothing in it, or what is wrong with it. */
function plain(read: () => unknown): { readonly fields: Fields } | string | null {
  let value: unknown;
  try {
    value = read();
  } catch (error) {
    return `it can't be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (value === null || value === undefined) return null;
  if (!isPlain(value, 0))
    return 'it holds values that JSON has not (dates, binary data, infinite numbers), or is nested too deeply.';
  return isFields(value)
    ? { fields: value }
    : 'it is no Kubernetes object: there must be apiVersion, kind and metadata.';
}

function isPlain(value: unknown, depth: number): value is Value {
  if (depth > 60) return false;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every((it) => isPlain(it, depth + 1));
  if (typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).every((it) => isPlain(it, depth + 1));
}

const metadataKeys = new Set(['name', 'namespace', 'labels', 'annotations', 'creationTimestamp']);
const templateKeys = new Set(['name', 'labels', 'annotations', 'creationTimestamp']);
const objectName = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

function objectProblems(object: Fields, namespace: string, kinds: readonly string[]): readonly Problem[] {
  const known = kindProblem(object, kinds);
  if (typeof known === 'string') return [{ path: 'kind', message: known }];
  const metadata = fieldsOf(object['metadata']);
  const problems: Problem[] = [
    ...unknownKeys(metadata, metadataKeys, 'metadata'),
    ...markProblems(metadata, 'metadata'),
  ];
  if (object['apiVersion'] !== known.apiVersion) {
    problems.push({ path: 'apiVersion', message: `must be ${known.apiVersion} for the kind ${known.kind}` });
  }
  if (typeof metadata['name'] !== 'string' || !objectName.test(metadata['name'])) {
    problems.push({ path: 'metadata.name', message: 'must be a name of small letters, digits, - and .' });
  }
  if (isSet(metadata['namespace']) && metadata['namespace'] !== namespace) {
    const message = `it names another namespace (${JSON.stringify(metadata['namespace'])}): leave it out, a preview has one of its own`;
    problems.push({ path: 'metadata.namespace', message });
  }
  if (known.template) problems.push(...templateProblems(object, known.template));
  return [...problems, ...ownProblems(known.kind, object, namespace)];
}

function kindProblem(object: Fields, kinds: readonly string[]): ManifestKind | string {
  const { kind } = object;
  if (typeof kind !== 'string') return 'there is none: an object has apiVersion, kind and metadata';
  const known = manifestKind(kind);
  if (known && kinds.includes(kind)) return known;
  if (kind === 'Kustomization') return 'Slipway runs no kustomize: name the manifests themselves';
  return `a preview may not hold ${JSON.stringify(kind)}. Allowed are ${list(kinds.filter((it) => manifestKind(it) !== null))}; the operator's file says which (previews: kinds)`;
}

function templateProblems(object: Fields, keys: readonly string[]): readonly Problem[] {
  return [
    ...metadataProblems(object, [...keys, 'metadata']),
    ...podProblems(valueAt(object, [...keys, 'spec']), join(keys.join('.'), 'spec')),
  ];
}

function metadataProblems(object: Fields, keys: readonly string[]): readonly Problem[] {
  const metadata = fieldsOf(valueAt(object, keys));
  const path = keys.join('.');
  return [...unknownKeys(metadata, templateKeys, path), ...markProblems(metadata, path)];
}

function ownProblems(kind: string, object: Fields, namespace: string): readonly Problem[] {
  switch (kind) {
    case 'Service':
      return serviceProblems(fieldsOf(object['spec']));
    case 'Ingress':
      return ingressProblems(object, namespace);
    case 'PersistentVolumeClaim':
      return claimProblems(object['spec'], 'spec');
    case 'CronJob':
      return metadataProblems(object, ['spec', 'jobTemplate', 'metadata']);
    case 'StatefulSet':
      return listOf(valueAt(object, ['spec', 'volumeClaimTemplates'])).flatMap((it, index) =>
        claimTemplateProblems(it, `spec.volumeClaimTemplates[${index}]`),
      );
    default:
      return [];
  }
}

/** Annotations with these in front are read by nothing that would give a preview more than it has. */
const harmlessMarks = [
  'app.kubernetes.io/',
  'kubectl.kubernetes.io/',
  'prometheus.io/',
  'checksum/',
  'helm.sh/',
  'meta.helm.sh/',
];
const ingressMarks = [
  'nginx.ingress.kubernetes.io/rewrite-target',
  'nginx.ingress.kubernetes.io/use-regex',
  'nginx.ingress.kubernetes.io/ssl-redirect',
  'nginx.ingress.kubernetes.io/force-ssl-redirect',
  'nginx.ingress.kubernetes.io/proxy-body-size',
  'nginx.ingress.kubernetes.io/proxy-read-timeout',
  'nginx.ingress.kubernetes.io/proxy-send-timeout',
  'nginx.ingress.kubernetes.io/backend-protocol',
  'kubernetes.io/ingress.class',
  'kubernetes.io/tls-acme',
  'cert-manager.io/cluster-issuer',
];

/** Controllers of all sorts obey annotations (roles of a cloud, names in the DNS, networks): what isn't known is refused. */
function markProblems(metadata: Fields, path: string): readonly Problem[] {
  const annotations = Object.keys(fieldsOf(metadata['annotations']))
    .filter(
      (key) => key.includes('/') && !ingressMarks.includes(key) && !harmlessMarks.some((it) => key.startsWith(it)),
    )
    .map((key) => ({ path: `${path}.annotations["${key}"]`, message: 'this annotation is not allowed in a preview' }));
  const labels = Object.keys(fieldsOf(metadata['labels']))
    .filter((key) => key.startsWith('slipway.dev/'))
    .map((key) => ({ path: `${path}.labels["${key}"]`, message: 'labels of slipway.dev are set by Slipway' }));
  return [...annotations, ...labels];
}

function twice(found: readonly Found[]): readonly string[] {
  const seen = new Map<string, string>();
  return found.flatMap((it) => {
    const key = nameOf(it.object);
    const before = seen.get(key);
    seen.set(key, it.where);
    return before === undefined ? [] : [`${it.where}: ${key} is there already (${before}).`];
  });
}

function unused(found: readonly Found[], images: Readonly<Record<string, string>>): readonly string[] {
  const named = new Set(found.flatMap((it) => imagesIn(it.object)));
  return Object.keys(images)
    .filter((name) => !named.has(name))
    .map((name) =>
      `No container has the image "${name}", which \`images\` of the preview names. ${suggestion(name, [...named])}`.trim(),
    );
}

function prepared(object: Fields, namespace: string, images: Readonly<Record<string, string>>): Fields {
  const { status: _status, ...rest } = object;
  const { creationTimestamp: _created, ...metadata } = fieldsOf(rest['metadata']);
  const placed = { ...rest, metadata: { ...metadata, namespace } };
  const template = manifestKind(object['kind'])?.template;
  if (object['kind'] === 'Ingress') return fieldsOf(withHosts(placed, namespace));
  if (!template) return placed;
  const quiet = withValueAt(placed, [...template, 'spec'], (spec) => ({
    ...fieldsOf(spec),
    automountServiceAccountToken: false,
  }));
  return fieldsOf(withImages(fieldsOf(quiet), images));
}

function told({ where, object }: Found, { path, message }: Problem): string {
  return `${where} (${nameOf(object)}): ${path}: ${message}.`;
}

function nameOf(object: Fields): string {
  const { kind } = object;
  const { name } = fieldsOf(object['metadata']);
  return [kind, name].filter((it) => typeof it === 'string').join(' ') || 'no kind';
}

function refused(problems: readonly string[]): Manifests {
  const more = problems.length - mostProblems;
  return {
    kind: 'refused',
    problems: more > 0 ? [...problems.slice(0, mostProblems), `... and ${more} more.`] : problems,
  };
}
