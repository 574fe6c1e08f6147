import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { Repository } from '#src/model/repository.ts';
import { readOperator } from '#src/operator.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-operator-'));
afterAll(() => rmSync(folder, { recursive: true }));

function operator(text: string) {
  const file = join(folder, 'operator.yml');
  writeFileSync(file, text);
  return readOperator(file, null);
}

function repository(name: string): Repository {
  const [owner = '', rest = ''] = name.split('/');
  return { id: 1, owner, name: rest, defaultBranch: 'main', private: true, cloneUrl: '', installationId: 1 };
}

const page = readFileSync(new URL('../docs/operator.md', import.meta.url), 'utf8');
const example = /## Deployments\n[^]*?```yaml\n([^`]*)```/.exec(page)?.[1] ?? '';

describe('the example on deployments in docs/operator.md', () => {
  const { policy, prometheus } = operator(example.replace(/token-file: \S+/, 'token: t0ken'));
  const shop = repository('acme/shop');

  it('names the servers that may be asked', () => {
    expect(prometheus.get('main')).toEqual({ url: 'http://prometheus.monitoring:9090', token: 't0ken' });
    expect(policy.refuseMetrics(shop, 'main')).toBeNull();
    expect(policy.refuseMetrics(shop, 'other')).toContain(
      'An operator adds prometheus: [other] to repositories: acme/shop: checks.',
    );
    expect(policy.refuseMetrics(repository('acme/site'), 'main')).toContain('may not ask');
  });

  it.each([
    ['https://shop.example.com/healthz', true],
    ['https://SHOP.example.com:443/healthz?x=1', true],
    ['https://pr-7.preview.example.com/', true],
    ['https://a.b.preview.example.com/', true],
    ['http://shop.example.com/healthz', false],
    ['https://shop.example.com:8443/', false],
    ['https://shop.example.com.evil.example/', false],
    ['https://shop.example.com@evil.example/', false],
    ['https://user:word@shop.example.com/', false],
    ['https://evil.example/?https://shop.example.com', false],
    ['https://evilpreview.example.com/', false],
    ['file:///etc/passwd', false],
    ['shop.example.com', false],
  ])('a probe of %s: %j', (url, allowed) => {
    expect(policy.refuseProbe(shop, url) === null).toBe(allowed);
  });

  it('says who may deploy where', () => {
    expect(policy.deployers(shop, 'production')).toEqual({
      permission: 'maintain',
      people: ['ada'],
      teams: ['acme/ops'],
    });
    expect(policy.deployers(shop, 'Production')?.people).toEqual(['ada']);
    expect(policy.deployers(shop, 'staging')).toBeNull();
    expect(policy.deployers(repository('other/shop'), 'production')).toBeNull();
  });

  it('says which repositories deployments may change', () => {
    expect(policy.refuseGitOps(shop, 'Acme/Deploy')).toBeNull();
    expect(policy.refuseGitOps(shop, 'acme/deploy2')).toContain(
      'An operator adds gitops: [acme/deploy2] to repositories: acme/shop.',
    );
  });

  it('gives previews a place and limits', () => {
    expect(policy.previews(shop)).toMatchObject({
      cluster: null,
      prefix: 'preview-shop',
      max: 5,
      quota: { pods: '10' },
    });
    expect(policy.previews(shop)?.kinds).toContain('Deployment');
    expect(policy.previews(shop)?.kinds).not.toContain('Secret');
    expect(policy.previews(repository('acme/site'))).toBeNull();
  });

  it('knows other ways to write commands', () => {
    expect(policy.aliases(shop)).toEqual({ '.deploy': '/deploy', '.noop': '/plan' });
  });
});

it('lets nothing of this be done without a word of the operator', () => {
  const { policy } = readOperator(null, null);
  const shop = repository('acme/shop');
  expect(policy.refuseProbe(shop, 'https://shop.example.com/')).toContain(
    "the operator's file (SLIPWAY_CONFIG) doesn't allow it",
  );
  expect(policy.refuseMetrics(shop, 'main')).not.toBeNull();
  expect(policy.refuseGitOps(shop, 'acme/deploy')).not.toBeNull();
  expect(policy.previews(shop)).toBeNull();
  expect(policy.deployers(shop, 'production')).toBeNull();
  expect(policy.aliases(shop)).toEqual({});
});

it.each([
  [
    'repositories: { acme/shop: { checks: { prometheus: [mian] } } }',
    'names the Prometheus server "mian", which isn\'t under prometheus',
  ],
  [
    'repositories: { acme/shop: { previews: { prefix: p, cluster: eu } } }',
    'names the cluster "eu", which isn\'t under clusters',
  ],
  ['repositories: { acme/shop: { previews: { prefix: Preview } } }', 'must be the beginning of a namespace'],
  ['repositories: { acme/shop: { previews: { max: 3 } } }', 'has no "prefix"'],
  ['repositories: { acme/shop: { previews: { prefix: p, kinds: [ClusterRole] } } }', 'kinds'],
  ['repositories: { acme/shop: { previews: { prefix: p, quota: { pods: many } } } }', 'must be a quantity'],
  ['repositories: { acme/shop: { checks: { probes: [shop.example.com] } } }', 'must be an address without a path'],
  ['repositories: { acme/shop: { commands: { deploy: /deploy } } }', 'must be a word that begins with a sign'],
  ['repositories: { acme/shop: { deploy: [{ people: ["@ada"] }] } }', 'without @'],
  ['prometheus: { main: { url: "ftp://x" } }', 'must be an address that starts with https://'],
  ['prometheus: { main: { url: "http://x", token: a, token-file: b } }', 'one is enough'],
])('%s is refused', (text, message) => {
  expect(() => operator(text)).toThrow(message);
});
