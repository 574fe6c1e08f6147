import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import { checkKubeconfigs, readOperator } from '#src/operator.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-operator-'));
afterAll(() => rmSync(folder, { recursive: true }));

function operator(text: string, kubeconfig: string | null = null) {
  const file = join(folder, 'operator.yml');
  writeFileSync(file, text);
  return readOperator(file, kubeconfig);
}

function repository(name: string): Repository {
  const [owner = '', rest = ''] = name.split('/');
  return { id: 1, owner, name: rest, defaultBranch: 'main', private: true, cloneUrl: '', installationId: 1 };
}

function target(namespace: string, name: string, cluster: string | null = null): RolloutTarget {
  return { kind: 'deployment', cluster, namespace, name, container: 'api', image: 'image' };
}

const page = readFileSync(new URL('../docs/operator.md', import.meta.url), 'utf8');
const example = (/```yaml\n([^`]*)```/.exec(page)?.[1] ?? '').replace(/password-file: \S+/, 'password: from-file');

describe('the example in docs/operator.md', () => {
  const { policy, registries, clusters } = operator(example, '/kubeconfig');

  it('gives credentials and clusters', () => {
    expect(registries.get('registry.acme.example:5000')).toEqual({ username: 'slipway', password: 's3cret-s3cret' });
    expect(clusters.get('default')).toEqual({ kubeconfig: '/kubeconfig', context: null });
    expect(clusters.get('europe')).toEqual({ kubeconfig: '/etc/slipway/europe.yaml', context: 'production' });
  });

  it.each([
    ['acme/shop', 'ghcr.io/acme/shop', true],
    ['Acme/Shop', 'ghcr.io/acme/shop', true],
    ['acme/shop', 'ghcr.io/acme/shop2', false],
    ['acme/shop', 'registry.acme.example:5000/ci/x', true],
    ['acme/other', 'registry.acme.example:5000/ci/x', true],
    ['acme/other', 'registry.acme.example:5000/ci/x/y', false],
    ['acme/other', 'registryXacme.example:5000/ci/x', false],
    ['acme2/shop', 'ghcr.io/acme/shop', false],
  ])('%s to push to %s: %j', (name, image, allowed) => {
    expect(policy.refusePush(repository(name), image) === null).toBe(allowed);
  });

  it.each([
    ['acme/shop', target('shop', 'api'), true],
    ['acme/shop', target('shop', 'worker'), true],
    ['acme/shop', target('shop', 'api', 'europe'), true],
    ['acme/shop', target('shop', 'worker', 'europe'), false],
    ['acme/shop', target('kube-system', 'api'), false],
    ['acme/other', target('shop', 'api'), false],
  ])('%s to roll out to %j: %j', (name, where, allowed) => {
    expect(policy.refuseRollout(repository(name), where) === null).toBe(allowed);
  });
});

it('refuses everything without a file, and says what would allow it', () => {
  const { policy } = readOperator(null, null);
  expect(policy.refusePush(repository('acme/shop'), 'ghcr.io/acme/shop')).toContain('repositories: acme/shop: push');
  expect(policy.refuseRollout(repository('acme/shop'), target('shop', 'api'))).toContain('namespace: shop');
});

it('says when an allowed cluster is missing', () => {
  const { policy } = operator('repositories: { acme/shop: { rollout: [{ namespace: shop }] } }');
  expect(policy.refuseRollout(repository('acme/shop'), target('shop', 'api'))).toContain('KUBECONFIG');
});

it.each([
  ['repositories: [', /operator\.yml:1:\d+/],
  [
    'repository: {}',
    /operator\.yml:1:1: there is no key "repository" in the file\. There are registries, clusters, prometheus and/,
  ],
  [
    'repositories:\n  acme/shop:\n    jobs: { docker: true, privilegd: true }',
    /operator\.yml:3:27: .*Did you mean "privileged"\?/,
  ],
  ['repositories: { acme/shop: { rollout: [{ namespace: a, clustr: b }] } }', /Did you mean "cluster"\?/],
  ['repositories: { acme/shop: { rollout: [{ cluster: a }] } }', /rollout\.0 has no "namespace"/],
  [
    'repositories: { acme/shop: { jobs: { volumes: ["/srv:/opt:ro"] } } }',
    /:1:48: .*volumes\.0 must be an absolute path .*alone/,
  ],
  ['repositories: { acme/shop: { jobs: { volumes: ["../x"] } } }', /must be an absolute path/],
  ['repositories: { acme/shop: { jobs: { volumes: ["/srv/../etc"] } } }', /must be a path without \.\./],
  ['repositories: { acme/shop: { jobs: { devices: [kvm] } } }', /devices\.0 must be a path in \/dev alone: \/dev\/kvm/],
  ['repositories: { acme/shop: { jobs: { registries: ["https://ghcr.io"] } } }', /registries\.0 must be a host/],
  ['registries:\n  ghcr.io:\n    username: 7', /operator\.yml:3:15/],
  ['registries: { ghcr.io: { username: a } }', /ghcr\.io needs either password or password-file/],
  ['registries: { ghcr.io: { username: a, password-file: /nonexistent } }', /password-file of registry ghcr\.io/],
  ['repositories: { shop: {} }', /owner\/name/],
  ['registries: { "https://ghcr.io": { username: a, password: b } }', /must be a host/],
  ['repositories: { acme/shop: { push: ["ghcr.io/acme/shop:latest"] } }', /without a tag/],
  ['repositories: { acme/shop: { rollout: [{ cluster: mars, namespace: a }] } }', /cluster "mars", which isn't under/],
  ['', /The file is empty\.$/],
])('refuses %j', (text, message) => {
  expect(() => operator(text)).toThrow(message);
});

describe('kubeconfigs', () => {
  const good = join(folder, 'kubeconfig');
  writeFileSync(good, 'apiVersion: v1\nkind: Config\nclusters: []\n');
  writeFileSync(join(folder, 'text'), 'hello');
  writeFileSync(join(folder, 'torn'), 'clusters: [');
  const check = (kubeconfig: string) => () => checkKubeconfigs(new Map([['default', { kubeconfig, context: null }]]));

  it.each([good, `/nonexistent:${good}`])('%s will do', (path) => expect(check(path)).not.toThrow());
  it.each(['/nonexistent', '/nonexistent:/neither'])('%s is named as missing', (path) =>
    expect(check(path)).toThrow(`names ${path}, and there is no such file.`),
  );
  it.each(['text', 'torn'])('the file %s is named as no kubeconfig', (name) =>
    expect(check(join(folder, name))).toThrow(/KUBECONFIG.* is no kubeconfig/),
  );
});
