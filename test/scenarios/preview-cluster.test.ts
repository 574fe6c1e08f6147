import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type Kubernetes, startKubernetes } from '#dev/kubernetes/index.ts';
import { openClusters } from '#src/adapters/kubernetes/clusters.ts';
import { openPreviews } from '#src/adapters/kubernetes/previews.ts';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import type { PreviewRule } from '#src/engine/ports-deploy.ts';
import { outcomes, pullRequest, repository, scenario, trigger } from './world.ts';

/** A preview from event to removal, on the small Kubernetes. */

const pipeline = `
jobs:
  image: { build: { image: r/demo } }
preview: { manifests: "k8s/**/*.yaml", images: { shop: image }, timeout: 1m }
`;
const config = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { a: "1" }\n';
const api = (image: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec:
  replicas: 1
  progressDeadlineSeconds: 20
  selector: { matchLabels: { app: api } }
  template:
    metadata: { labels: { app: api } }
    spec: { containers: [{ name: api, image: "${image}" }] }
`;
const files = (image: string, more: Record<string, string> = {}) => ({
  'slipway.yml': pipeline,
  'k8s/base/api.yaml': api(image),
  ...more,
});
const pull: PullRequest = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: 'b2',
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
};
const rule: PreviewRule = {
  cluster: null,
  prefix: 'shop-pr',
  max: 2,
  quota: { pods: '9' },
  limits: {},
  kinds: ['Deployment', 'ConfigMap'],
};

let kubernetes: Kubernetes;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-previews-'));
  kubernetes = await startKubernetes({ scale: 0.02 });
});
afterEach(async () => {
  await kubernetes.close();
  await rm(folder, { recursive: true, force: true });
});

it('is applied, updated, pruned, followed and removed in a cluster', async () => {
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubernetes.kubeconfig());
  const reach = { clusters: new Map([['default', { kubeconfig, context: null }]]), logger: { info() {} } };
  const s = await scenario({
    commits: {
      a1: files('shop'),
      b2: files('shop', { 'k8s/base/config.yaml': config, 'k8s/extra/more.yaml': config.replace('settings', 'more') }),
      c3: files('shop', { 'k8s/base/config.yaml': config.replace('"1"', '"2"') }),
      d4: files('r/demo:crash', { 'k8s/base/x.yaml': api('shop').replace('name: api', 'name: other') }),
    },
    refs: { 'refs/heads/main': 'a1' },
    forge: { pullRequests: [pull] },
    policy: { previews: () => rule },
    parts: { cluster: openClusters(reach), previews: openPreviews(reach) },
  });
  const play = async (sha: string) => outcomes(await s.play(trigger(pullRequest(sha))))['preview'];
  const get = (resource: 'deployments' | 'configmaps', name: string) => kubernetes.get(resource, 'shop-pr-3', name);

  expect(await play('b2')).toBe('success');
  expect(get('deployments', 'api')).toMatchObject({ status: { availableReplicas: 1 } });
  expect(get('configmaps', 'more')).not.toBeNull();

  expect(await play('c3')).toBe('success');
  expect(get('configmaps', 'settings')).toMatchObject({ data: { a: '2' } });
  expect(get('configmaps', 'more')).toBeNull();

  expect(await play('d4')).toMatch(/^failure: shop-pr-3\/api: /);
  expect(get('deployments', 'other')).not.toBeNull();

  s.forge.setPullRequest({ ...pull, state: 'closed' });
  await s.engine.intake({ kind: 'pull_request_closed', repository, number: 3 });
  await s.engine.tidy();
  expect(kubernetes.get('namespaces', '', 'shop-pr-3')).toBeNull();
  expect([get('deployments', 'api'), get('configmaps', 'settings')]).toEqual([null, null]);
  const states = (await s.store.deployments.list(repository.id, 'preview/pr-3', 9)).map((it) => it.state);
  expect(states).toEqual(['failure', 'inactive', 'inactive']);
});
