import {
  type Fields,
  fieldsOf,
  isSet,
  listOf,
  type Problem,
  unknownKeys,
  type Value,
  withValueAt,
} from './manifest-value.ts';

/** In the host of an Ingress this stands for the preview's namespace. */
const placeholder = 'NAMESPACE';

const serviceKeys = new Set([
  'type',
  'selector',
  'ports',
  'clusterIP',
  'clusterIPs',
  'sessionAffinity',
  'sessionAffinityConfig',
  'publishNotReadyAddresses',
  'internalTrafficPolicy',
  'ipFamilies',
  'ipFamilyPolicy',
]);

/** A Service of a preview is reached within its cluster only. */
export function serviceProblems(spec: Fields): readonly Problem[] {
  const problems: Problem[] = [...unknownKeys(spec, serviceKeys, 'spec')];
  const { type, clusterIP } = spec;
  if (isSet(type) && type !== 'ClusterIP') {
    const message = `must be ClusterIP, not ${JSON.stringify(type)}: an Ingress leads to a preview from outside`;
    problems.push({ path: 'spec.type', message });
  }
  if (isSet(clusterIP) && clusterIP !== 'None' && clusterIP !== '') {
    problems.push({ path: 'spec.clusterIP', message: 'the cluster chooses the address; only None may be said' });
  }
  if (listOf(spec['clusterIPs']).some((it) => it !== 'None')) {
    problems.push({ path: 'spec.clusterIPs', message: 'the cluster chooses the address; only None may be said' });
  }
  return problems;
}

const ingressKeys = new Set(['ingressClassName', 'rules', 'tls']);

/**
 * An Ingress of a preview has hosts of its own only: one label of each is the namespace, which is nobody else's. So no pull
 * request takes over another's address, or production's.
 */
export function ingressProblems(object: Fields, namespace: string): readonly Problem[] {
  const spec = fieldsOf(object['spec']);
  const hosts = [
    ...listOf(spec['rules']).map((it, index) => [fieldsOf(it)['host'], `spec.rules[${index}].host`] as const),
    ...listOf(spec['tls']).flatMap((it, index) =>
      listOf(fieldsOf(it)['hosts']).map((host, at) => [host, `spec.tls[${index}].hosts[${at}]`] as const),
    ),
  ];
  return [
    ...unknownKeys(spec, ingressKeys, 'spec'),
    ...(listOf(spec['rules']).length === 0
      ? [{ path: 'spec.rules', message: 'there must be a rule with a host' }]
      : []),
    ...hosts
      .filter(([host]) => !isOwn(host, namespace))
      .map(([host, path]) => ({ path, message: notOwn(host, namespace) })),
    ...strangeTexts(object),
    ...listOf(spec['rules']).flatMap((it, index) =>
      listOf(fieldsOf(fieldsOf(it)['http'])['paths']).flatMap((one, at) =>
        isSet(fieldsOf(fieldsOf(one)['backend'])['resource'])
          ? [{ path: `spec.rules[${index}].http.paths[${at}].backend.resource`, message: 'must be a service' }]
          : [],
      ),
    ),
  ];
}

/** Proxies put paths and annotations into their own files: nothing that ends a line or a statement there passes. */
function strangeTexts(object: Fields): readonly Problem[] {
  const paths = listOf(fieldsOf(object['spec'])['rules']).flatMap((it, index) =>
    listOf(fieldsOf(fieldsOf(it)['http'])['paths']).map(
      (one, at) => [fieldsOf(one)['path'], `spec.rules[${index}].http.paths[${at}].path`] as const,
    ),
  );
  const annotations = fieldsOf(fieldsOf(object['metadata'])['annotations']);
  const marks = Object.entries(annotations).map(([key, value]) => [value, `metadata.annotations["${key}"]`] as const);
  return [...paths, ...marks]
    .filter(([text]) => typeof text === 'string' && /[\s;{}"'`#]/.test(text))
    .map(([, path]) => ({ path, message: 'must hold no spaces, quotes, braces, ; or #' }));
}

/** The Ingress with the namespace in its hosts. */
export function withHosts(object: Fields, namespace: string): Value {
  const filled = (host: Value | undefined): Value =>
    typeof host === 'string' ? fill(host, namespace) : (host ?? null);
  return withValueAt(object, ['spec'], (value) => {
    const spec = fieldsOf(value);
    return {
      ...spec,
      rules: listOf(spec['rules']).map((it) => ({ ...fieldsOf(it), host: filled(fieldsOf(it)['host']) })),
      ...(Array.isArray(spec['tls'])
        ? {
            tls: spec['tls'].map((it: Value) => ({
              ...fieldsOf(it),
              hosts: listOf(fieldsOf(it)['hosts']).map(filled),
            })),
          }
        : {}),
    };
  });
}

function isOwn(host: Value | undefined, namespace: string): boolean {
  if (typeof host !== 'string') return false;
  const name = fill(host, namespace);
  return /^[a-z0-9.-]+$/.test(name) && name.split('.').includes(namespace);
}

function notOwn(host: Value | undefined, namespace: string): string {
  const said = typeof host === 'string' ? JSON.stringify(host) : 'none';
  return `the host (${said}) must have ${placeholder} as one of its parts, such as ${placeholder}.preview.example.com; here that is ${namespace}`;
}

function fill(host: string, namespace: string): string {
  return host
    .split('.')
    .map((label) => (label === placeholder ? namespace : label))
    .join('.');
}
