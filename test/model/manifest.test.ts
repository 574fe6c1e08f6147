import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { imageName } from '#src/model/manifest-images.ts';
import { manifestKinds } from '#src/model/manifest-kinds.ts';
import { deployment, image, ingress, namespace, objects, problems, withField } from './manifests.ts';

describe('manifests', () => {
  it('get the namespace and the images, whatever tag they had', () => {
    const [object] = objects(deployment, { images: { 'ghcr.io/acme/shop': image } });
    expect(object).toMatchObject({
      metadata: { name: 'api', namespace },
      spec: {
        template: {
          spec: {
            automountServiceAccountToken: false,
            initContainers: [{ image }],
            containers: [{ image }, { image: 'redis:7' }],
            volumes: [{ configMap: { defaultMode: 0o644 } }, {}],
          },
        },
      },
    });
  });

  it.each([
    ['Job', 'batch/v1', ['spec', 'template']],
    ['StatefulSet', 'apps/v1', ['spec', 'template']],
    ['DaemonSet', 'apps/v1', ['spec', 'template']],
    ['CronJob', 'batch/v1', ['spec', 'jobTemplate', 'spec', 'template']],
  ])('get the images in a %s', (kind, apiVersion, keys) => {
    const template = { spec: { containers: [{ name: 'a', image: 'shop:v1' }] } };
    const spec = keys.toReversed().reduce<object>((inner, key) => ({ [key]: inner }), template);
    const [object] = objects(stringify({ apiVersion, kind, metadata: { name: 'a' }, ...spec }), {
      images: { shop: image },
    });
    expect(JSON.stringify(object)).toContain(`"image":"${image}"`);
  });

  it('come from several documents, Lists and JSON, in an order that works', () => {
    const map = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
    const text = `# nothing\n---\n${deployment}---\n${stringify({ apiVersion: 'v1', kind: 'List', items: [map('a'), map('b')] })}---\n${JSON.stringify(map('c'))}\n---\n`;
    expect(objects(text).map((it) => it['kind'])).toEqual(['ConfigMap', 'ConfigMap', 'ConfigMap', 'Deployment']);
  });

  it('lose what a cluster added', () => {
    const text = withField('status', { replicas: 1 }, withField('metadata.creationTimestamp', null));
    const [object] = objects(text);
    expect(object).not.toHaveProperty('status');
    expect(object?.['metadata']).toEqual({ name: 'api', labels: { app: 'api' }, namespace });
  });

  it('may share parts by anchors, and merge them', () => {
    const text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: &m {name: a}\ndata: {<<: {x: w}, z: "1"}\n';
    expect(objects(text)[0]).toMatchObject({ data: { x: 'w', z: '1' } });
  });

  it('have their own hosts', () => {
    const [object] = objects(ingress(['NAMESPACE.preview.example.com', 'api.NAMESPACE.example.com']));
    expect(object).toMatchObject({
      spec: {
        rules: [{ host: 'shop-pr-7.preview.example.com' }, { host: 'api.shop-pr-7.example.com' }],
        tls: [{ hosts: ['shop-pr-7.preview.example.com', 'api.shop-pr-7.example.com'], secretName: 'tls' }],
      },
    });
  });

  it.each([
    ['false', 'spec.template.spec.hostNetwork', false],
    [
      'no privilege',
      'spec.template.spec.containers.0.securityContext',
      { privileged: false, runAsNonRoot: true, capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } },
    ],
    ['the default account', 'spec.template.spec.serviceAccountName', 'default'],
    ['its own probe', 'spec.template.spec.containers.0.readinessProbe', { httpGet: { path: '/', port: 80 } }],
    ['a known annotation', 'spec.template.metadata.annotations', { 'prometheus.io/scrape': 'true', checked: 'yes' }],
    ['another taint', 'spec.template.spec.tolerations', [{ key: 'arm', operator: 'Exists' }]],
    ['its own namespace', 'metadata.namespace', namespace],
  ])('may have %s', (_name, path, value) => {
    expect(problems(withField(path, value))).toEqual([]);
  });
});

it('an image that stands in no manifest is a mistake', () => {
  expect(problems(deployment, { images: { 'ghcr.io/acme/shopp': image } })).toEqual([
    'No container has the image "ghcr.io/acme/shopp", which `images` of the preview names. Did you mean "ghcr.io/acme/shop"?',
  ]);
});

it.each([
  ['redis', 'redis'],
  ['redis:7', 'redis'],
  ['localhost:5000/a/b', 'localhost:5000/a/b'],
  ['localhost:5000/a/b:v1', 'localhost:5000/a/b'],
  [`a/b:v1@sha256:${'0'.repeat(64)}`, 'a/b'],
])('the name of %s is %s', (image, name) => {
  expect(imageName(image)).toBe(name);
});

describe('docs/previews.md', () => {
  const page = readFileSync(new URL('../../docs/previews.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map((it) => it[1] ?? '');

  it('has manifests that a preview may hold', () => {
    const text = blocks.find((it) => it.includes('# deploy/preview/shop.yaml')) ?? '';
    const found = objects(text, { images: { 'ghcr.io/acme/shop': image } });
    expect(found.map((it) => it['kind'])).toEqual(['Service', 'Deployment', 'Ingress']);
    expect(JSON.stringify(found)).toContain('"host":"shop-pr-7.preview.example.com"');
  });

  it('lists rights for every kind', () => {
    const role = parse(blocks.find((it) => it.includes('kind: ClusterRole')) ?? '') as {
      readonly rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
    };
    const allowed = new Set(role.rules.filter((it) => it.verbs.includes('patch')).flatMap((it) => it.resources));
    for (const { plural } of manifestKinds) {
      expect([plural, allowed.has(plural) || page.includes(`\`${plural}\` (`)]).toEqual([plural, true]);
    }
  });
});
