import { parse, stringify } from 'yaml';
import { readManifests } from '#src/model/manifest.ts';
import type { Fields } from '#src/model/manifest-value.ts';

export const namespace = 'shop-pr-7';
export const image = `ghcr.io/acme/shop@sha256:${'d1'.repeat(32)}`;
export const usual = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'CronJob',
  'Service',
  'Ingress',
  'ConfigMap',
  'PersistentVolumeClaim',
];

export const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api, labels: { app: api } }
spec:
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec:
      initContainers: [{ name: migrate, image: "ghcr.io/acme/shop:v1" }]
      containers:
        - { name: api, image: ghcr.io/acme/shop }
        - { name: cache, image: "redis:7" }
      volumes:
        - { name: settings, configMap: { name: settings, defaultMode: 0644 } }
        - { name: tmp, emptyDir: {} }
`;

export function read(
  text: string,
  change: { kinds?: readonly string[]; images?: Record<string, string>; path?: string } = {},
) {
  const files = [{ path: change.path ?? 'k8s/api.yaml', text }];
  return readManifests({ files, namespace, kinds: change.kinds ?? usual, images: change.images ?? {} });
}

export function objects(text: string, change: Parameters<typeof read>[1] = {}): readonly Fields[] {
  const done = read(text, change);
  if (done.kind === 'refused') throw new Error(done.problems.join('\n'));
  return done.objects;
}

export function problems(text: string, change: Parameters<typeof read>[1] = {}): readonly string[] {
  const done = read(text, change);
  return done.kind === 'refused' ? done.problems : [];
}

/** The Deployment with something at a path, `spec.template.spec.hostNetwork`; numbers are indexes. */
export function withField(path: string, value: unknown, from: string = deployment): string {
  const object = parse(from) as Record<string, unknown>;
  const keys = path.split('.').map((it) => (/^\d+$/.test(it) ? Number(it) : it));
  let at: Record<string | number, unknown> = object;
  for (const [index, key] of keys.entries()) {
    if (index === keys.length - 1) at[key] = value;
    else at = (at[key] ??= typeof keys[index + 1] === 'number' ? [] : {}) as Record<string | number, unknown>;
  }
  return stringify(object);
}

export function ingress(hosts: readonly unknown[], change: object = {}): string {
  const backend = { service: { name: 'api', port: { number: 80 } } };
  const rules = hosts.map((host) => ({
    ...(host === null ? {} : { host }),
    http: { paths: [{ path: '/', pathType: 'Prefix', backend }] },
  }));
  const tls = [{ hosts, secretName: 'tls' }];
  return stringify({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: 'web' },
    spec: { rules, ...(hosts[0] ? { tls } : {}), ...change },
  });
}

export function service(spec: object): string {
  return stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'api' }, spec });
}
