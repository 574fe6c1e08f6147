import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as immediately } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Rule } from '#dev/kubernetes/access.ts';
import { deployment, type Kubernetes, startKubernetes } from '#dev/kubernetes/index.ts';
import { openPreviews } from '#src/adapters/kubernetes/previews.ts';
import type { PreviewCluster, PreviewRequest } from '#src/engine/ports-deploy.ts';
import { manifestKinds } from '#src/model/manifest-kinds.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';

const never = new AbortController().signal;
const namespace = 'shop-pr-7';
const rule: PreviewRequest['rule'] = {
  cluster: null,
  prefix: 'shop-pr',
  max: 3,
  quota: { pods: '20', 'requests.cpu': '2' },
  limits: { cpu: '500m', memory: '512Mi' },
  kinds: ['Deployment', 'Service', 'ConfigMap', 'Ingress', 'Job'],
};

let kubernetes: Kubernetes;
let previews: PreviewCluster;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-previews-'));
  kubernetes = await startKubernetes({ scale: 0.02 });
  previews = await open();
});
afterEach(async () => {
  await kubernetes.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(token?: string, goneMs = 5_000): Promise<PreviewCluster> {
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubernetes.kubeconfig(token));
  return openPreviews({
    clusters: new Map([['default', { kubeconfig, context: null }]]),
    logger: { info() {} },
    patience: { outageMs: 1_500, answerMs: 400, silenceMs: 1_500 },
    goneMs,
  });
}

const api = (image = 'r/demo:v1') => ({ apiVersion: 'apps/v1', ...deployment(namespace, 'api', image) });
const config = (name: string, data: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'api' }, spec: { ports: [{ port: 80 }] } };
const job = (image: string) => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'migrate' },
  spec: { template: { spec: { containers: [{ name: 'a', image }] } } },
});

function apply(objects: readonly object[], change: Partial<PreviewRequest> = {}, by = previews) {
  const request = { cluster: null, namespace, rule, repository: 'acme/shop', number: 7, ...change };
  return by.apply({ ...request, objects: objects as PreviewRequest['objects'] }, never);
}

function remove(change: Partial<PreviewRequest> = {}, by = previews) {
  return by.remove({ cluster: null, namespace, repository: 'acme/shop', number: 7, ...change }, never);
}

const get = (resource: Parameters<Kubernetes['get']>[0], name: string) => kubernetes.get(resource, namespace, name);

describe('a preview', () => {
  it('gets a namespace with fences, and what is applied in it', async () => {
    expect(await apply([config('settings'), service, api()])).toEqual([
      { kind: 'deployment', cluster: null, namespace, name: 'api', container: 'api', image: '' },
    ]);
    expect(kubernetes.get('namespaces', '', namespace)?.metadata).toMatchObject({
      labels: {
        'app.kubernetes.io/managed-by': 'slipway',
        'slipway.dev/pull-request': '7',
        'pod-security.kubernetes.io/enforce': 'baseline',
      },
      annotations: { 'slipway.dev/repository': 'acme/shop' },
    });
    expect(get('resourcequotas', 'slipway')).toMatchObject({ spec: { hard: rule.quota } });
    expect(get('limitranges', 'slipway')).toMatchObject({ spec: { limits: [{ default: rule.limits }] } });
    expect(get('networkpolicies', 'slipway')).toMatchObject({ spec: { policyTypes: ['Ingress', 'Egress'] } });
    expect(get('deployments', 'api')?.metadata.labels).toMatchObject({ 'slipway.dev/preview': namespace });
    expect(get('services', 'api')).not.toBeNull();
  });

  it('is changed in place, and loses what is no more among the manifests', async () => {
    await apply([config('settings', { a: '1', b: '2' }), config('old'), service, api()]);
    const uid = get('deployments', 'api')?.metadata.uid;
    kubernetes.apply({ ...config('by-hand'), metadata: { name: 'by-hand', namespace } });
    await apply([config('settings', { b: '3' }), api('r/demo:v2')]);
    expect(get('configmaps', 'settings')).toMatchObject({ data: { b: '3' } });
    expect(get('configmaps', 'settings')).not.toHaveProperty('data.a');
    expect(get('deployments', 'api')).toMatchObject({
      metadata: { uid },
      spec: { template: { spec: { containers: [{ image: 'r/demo:v2' }] } } },
    });
    expect([get('configmaps', 'old'), get('services', 'api')]).toEqual([null, null]);
    expect(get('configmaps', 'by-hand')).not.toBeNull();
  });

  it('takes a new Job in the place of the old', async () => {
    await apply([job('r/demo:v1')]);
    const uid = get('jobs', 'migrate')?.metadata.uid;
    await apply([job('r/demo:v2')]);
    expect(get('jobs', 'migrate')).toMatchObject({
      spec: { template: { spec: { containers: [{ image: 'r/demo:v2' }] } } },
    });
    expect(get('jobs', 'migrate')?.metadata.uid).not.toBe(uid);
  });

  it('goes with everything in it, and may be removed twice', async () => {
    await apply([config('settings'), api()]);
    await Promise.all([remove(), remove()]);
    await remove();
    expect(kubernetes.get('namespaces', '', namespace)).toBeNull();
    expect([get('deployments', 'api'), get('configmaps', 'settings')]).toEqual([null, null]);
  });

  it('comes again while the one before is still going', async () => {
    await apply([config('settings', { a: '1' })]);
    const removed = remove();
    const isGoing = () => kubernetes.get('namespaces', '', namespace)?.metadata.deletionTimestamp !== undefined;
    while (!isGoing()) await immediately();
    await apply([config('settings', { a: '2' })]);
    await removed;
    expect(get('configmaps', 'settings')).toMatchObject({ data: { a: '2' } });
  });

  it('outlasts a server that is ill for a moment', async () => {
    kubernetes.faults.answer(503, 2);
    await apply([config('settings')]);
    kubernetes.faults.next('reset', 2);
    await remove();
    expect(kubernetes.get('namespaces', '', namespace)).toBeNull();
  });
});

describe('what is not its own', () => {
  const others: [string, Record<string, string>][] = [
    ['somebody made by hand', {}],
    ['somebody else’s tool made', { 'app.kubernetes.io/managed-by': 'Helm' }],
    ['is another pull request’s', { 'app.kubernetes.io/managed-by': 'slipway', 'slipway.dev/pull-request': '8' }],
    [
      'is another repository’s',
      { 'app.kubernetes.io/managed-by': 'slipway', 'slipway.dev/repository': 'x', 'slipway.dev/pull-request': '7' },
    ],
  ];

  it.each(others)('a namespace that %s is never touched', async (_name, labels) => {
    kubernetes.apply({ kind: 'Namespace', metadata: { name: namespace, namespace: '', labels } });
    for (const work of [() => apply([config('settings')]), () => remove()]) {
      await expect(work()).rejects.toThrow(
        /The namespace shop-pr-7 in cluster default is not the preview of acme\/shop#7/,
      );
      await expect(work()).rejects.toBeInstanceOf(UserError);
    }
    expect(kubernetes.get('namespaces', '', namespace)?.metadata.labels).toEqual(labels);
    expect(get('configmaps', 'settings')).toBeNull();
  });

  it.each(['../kube-system', 'UPPER', '', 'a'.repeat(64), 'a/b'])('no other path is asked for (%j)', async (name) => {
    await expect(apply([], { namespace: name })).rejects.toBeInstanceOf(UserError);
    await expect(remove({ namespace: name })).rejects.toBeInstanceOf(UserError);
  });
});

describe('what goes wrong', () => {
  it('is told as the user’s mistake where the cluster finds the manifest wrong', async () => {
    const wrong = { ...api(), spec: { ...api().spec, replica: 3 } };
    await expect(apply([wrong])).rejects.toThrow(
      /refuses to apply Deployment api in the namespace shop-pr-7 .*unknown field "spec\.replica"/,
    );
    await expect(apply([wrong])).rejects.toBeInstanceOf(UserError);
  });

  it('is the platform’s where rights are missing, and isn’t tried again', async () => {
    const rules: Rule[] = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get'] }];
    const poor = await open(kubernetes.addUser(null, 'poor', rules));
    await expect(apply([config('settings')], {}, poor)).rejects.toMatchObject({ retry: 'never' });
    await expect(apply([config('settings')], {}, poor)).rejects.toThrow(
      /may not create the namespace .*\(403\).*docs\/previews\.md/,
    );
  });

  it('is told where a namespace does not go', async () => {
    await apply([config('settings')]);
    const slow = await open(undefined, 0);
    await expect(remove({}, slow)).rejects.toThrow(/still there.*kubectl get namespace shop-pr-7 -o yaml/);
    await expect(remove({}, slow)).rejects.toBeInstanceOf(PlatformError);
  });

  it('names the clusters that there are', async () => {
    await expect(apply([], { cluster: 'moon' })).rejects.toThrow(/no cluster moon for previews.*default/);
  });

  it('rights as docs/previews.md lists them are enough', async () => {
    const verbs = ['get', 'list', 'create', 'patch', 'delete'];
    const groups = [
      ...new Set(manifestKinds.map((it) => (it.apiVersion.includes('/') ? (it.apiVersion.split('/')[0] ?? '') : ''))),
    ];
    const fences: Rule[] = [
      { apiGroups: [''], resources: ['namespaces'], verbs: ['get', 'create', 'patch', 'delete'] },
      { apiGroups: [''], resources: ['resourcequotas', 'limitranges'], verbs: ['get', 'create', 'patch'] },
    ];
    const kinds: Rule[] = [{ apiGroups: groups, resources: manifestKinds.map((it) => it.plural), verbs }];
    const by = await open(kubernetes.addUser(null, 'slipway', [...fences, ...kinds]));
    await apply([config('settings'), config('old'), service, api(), job('r/demo:v1')], {}, by);
    await apply([config('settings'), service, api(), job('r/demo:v2')], {}, by);
    await remove({}, by);
    expect(kubernetes.get('namespaces', '', namespace)).toBeNull();
  });
});
