import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deployment, type Kubernetes, service, startKubernetes } from '#dev/kubernetes/index.ts';

/** Facts of the recording scale-to-canary, and of the API reference where it says nothing. */
let kubernetes: Kubernetes;
beforeEach(async () => {
  kubernetes = await startKubernetes({ scale: 0.02, token: 'admin' });
  kubernetes.apply(deployment('shop', 'api', 'r/demo:v1'));
  kubernetes.apply(service('shop', 'api'));
  await until(() => served().length === 2);
});
afterEach(async () => kubernetes.close());

const apps = '/apis/apps/v1/namespaces/shop/deployments';
const served = () => kubernetes.endpoints('shop', 'api').map((it) => it.metadata.name);

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !holds(); i += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  expect(holds()).toBe(true);
}

async function ask(method: string, path: string, body?: unknown, type = 'application/json', token = 'admin') {
  const headers = { authorization: `Bearer ${token}`, 'content-type': type };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${kubernetes.url}${path}`, { method, headers, ...sent });
  const text = await response.text();
  const isJson = response.headers.get('content-type') === 'application/json';
  return { code: response.status, body: (isJson ? JSON.parse(text) : text) as Record<string, unknown> };
}

const canary = (change: object = {}, labels: Record<string, string> = { app: 'api', track: 'canary' }) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'api-canary', labels },
  spec: {
    replicas: 1,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: { containers: [{ name: 'api', image: 'r/demo:v2' }], terminationGracePeriodSeconds: 2 },
    },
    ...change,
  },
});
const make = async () => {
  const made = await ask('POST', apps, canary());
  await until(() => served().length === 3);
  return made;
};
const there = (resource: 'deployments' | 'replicasets' | 'pods') => {
  const all = { deployments: ['api-canary'], replicasets: [] as string[], pods: [] as string[] };
  if (resource === 'deployments') return all.deployments.some((it) => kubernetes.get(resource, 'shop', it) !== null);
  return names(resource).length > 0;
};
let seen = { replicasets: [] as string[], pods: [] as string[] };
const names = (resource: 'replicasets' | 'pods') => seen[resource].filter((it) => kubernetes.get(resource, 'shop', it));
async function note(): Promise<void> {
  const of = async (path: string) => {
    const { body } = await ask('GET', path);
    const items = body['items'] as { readonly metadata: { readonly name: string } }[];
    return items.map((it) => it.metadata.name).filter((it) => it.startsWith('api-canary'));
  };
  seen = {
    replicasets: await of('/apis/apps/v1/namespaces/shop/replicasets'),
    pods: await of('/api/v1/namespaces/shop/pods'),
  };
}

describe('scale-to-canary', () => {
  it('is made with 201, and its pod joins those that the Service leads to', async () => {
    const { code, body } = await make();
    expect(code).toBe(201);
    expect(body).toMatchObject({ metadata: { namespace: 'shop', generation: 1 }, spec: { replicas: 1 } });
    expect(served().filter((it) => it.startsWith('api-canary'))).toHaveLength(1);
    expect(kubernetes.get('deployments', 'shop', 'api')).toMatchObject({
      status: { replicas: 2, availableReplicas: 2 },
    });
  });

  it('is made once', async () => {
    await make();
    const { code, body } = await ask('POST', apps, canary());
    expect(code).toBe(409);
    expect(body).toMatchObject({ reason: 'AlreadyExists', message: 'deployments.apps "api-canary" already exists' });
  });

  it('deleted in the background it goes at once, then its ReplicaSet, and its pod after its time to end', async () => {
    await make();
    await note();
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' };
    const { code, body } = await ask('DELETE', `${apps}/api-canary`, options);
    expect(code).toBe(200);
    expect(body).toMatchObject({
      kind: 'Status',
      status: 'Success',
      details: { name: 'api-canary', kind: 'deployments' },
    });
    expect([there('deployments'), there('pods')]).toEqual([false, true]);
    await until(() => !there('replicasets'));
    expect(there('pods')).toBe(true);
    await until(() => !there('pods'));
    expect(served()).toHaveLength(2);
  });

  it('deleted in the foreground it is there until its pods are gone, and no longer serves', async () => {
    await make();
    await note();
    const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground' };
    const { body } = await ask('DELETE', `${apps}/api-canary`, options);
    expect(body).toMatchObject({ kind: 'Deployment', metadata: { finalizers: ['foregroundDeletion'] } });
    await until(() => served().length === 2);
    expect([there('deployments'), there('pods')]).toEqual([true, true]);
    await until(() => !there('pods'));
    await until(() => !there('deployments'));
  });

  it('isn’t deleted if it is another one than was meant', async () => {
    await make();
    const { code, body } = await ask('DELETE', `${apps}/api-canary`, { preconditions: { uid: 'other' } });
    expect(code).toBe(409);
    expect(body).toMatchObject({
      reason: 'Conflict',
      message: expect.stringContaining('Precondition failed') as unknown,
    });
    expect((await ask('DELETE', `${apps}/nobody`)).code).toBe(404);
  });
});

describe('what isn’t right is refused', () => {
  it.each([
    [
      'a selector that doesn’t match its pods',
      canary({ selector: { matchLabels: { app: 'web' } } }),
      /does not match template/,
    ],
    ['a label that is too long', canary({}, { app: 'a'.repeat(64) }), /no more than 63 characters/],
    [
      'a copy with its version',
      { ...canary(), metadata: { name: 'x', resourceVersion: '7' } },
      /resourceVersion should not be set/,
    ],
    ['a copy with its uid', { ...canary(), metadata: { name: 'x', uid: 'u' } }, /metadata.uid/],
    ['a name that is none', { ...canary(), metadata: { name: 'Api_' } }, /Invalid value: "Api_"/],
  ])('%s', async (_name, body, message) => {
    const { code, body: answer } = await ask('POST', apps, body);
    expect(code).toBe(422);
    expect(answer['message']).toMatch(message);
  });

  it('a selector that is changed', async () => {
    await make();
    const body = { spec: { selector: { matchLabels: { track: 'other' } } } };
    const { code } = await ask('PATCH', `${apps}/api-canary`, body, 'application/merge-patch+json');
    expect(code).toBe(422);
  });
});

describe('JSON patches', () => {
  const patch = (body: unknown) =>
    ask('PATCH', '/api/v1/namespaces/shop/services/api', body, 'application/json-patch+json');

  it('change what was tested', async () => {
    const test = { op: 'test', path: '/spec/selector', value: { app: 'api' } };
    expect((await patch([test, { op: 'replace', path: '/spec/selector', value: { app: 'x' } }])).code).toBe(200);
    const { code, body } = await patch([test]);
    expect([code, body['reason'], body['message']]).toEqual([
      422,
      'Invalid',
      'the server rejected our request due to an error in our request',
    ]);
    expect(served()).toEqual([]);
  });

  it.each([
    [[{ op: 'replace', path: '/spec/nothing', value: 1 }], 422],
    [[{ op: 'remove', path: '/spec/nothing' }], 422],
    [[{ op: 'add', path: '/spec/nothing/more', value: 1 }], 422],
    [
      [
        { op: 'add', path: '/metadata/labels', value: { 'a/b': 'c' } },
        { op: 'test', path: '/metadata/labels/a~1b', value: 'c' },
      ],
      200,
    ],
    [[{ op: 'test', path: '/spec/ports/0/port', value: 80 }], 200],
  ])('%j is answered with %s', async (body, code) => {
    expect((await patch(body)).code).toBe(code);
  });
});

describe('autoscalers', () => {
  const path = (version: string) => `/apis/autoscaling/${version}/namespaces/shop/horizontalpodautoscalers`;

  it('are listed in their group', async () => {
    const spec = { scaleTargetRef: { kind: 'Deployment', name: 'api' } };
    kubernetes.apply({ kind: 'HorizontalPodAutoscaler', metadata: { name: 'api', namespace: 'shop' }, spec });
    const { code, body } = await ask('GET', path('v2'));
    expect([code, body['apiVersion'], (body['items'] as unknown[]).length]).toEqual([200, 'autoscaling/v2', 1]);
  });

  it('aren’t known in a version that isn’t served, or to whom nothing was allowed', async () => {
    expect(await ask('GET', path('v2beta2'))).toMatchObject({ code: 404, body: '404 page not found\n' });
    const token = kubernetes.addUser('shop', 'slipway', []);
    const { code, body } = await ask('GET', path('v2'), undefined, 'application/json', token);
    expect(code).toBe(403);
    expect(body['message']).toMatch(/cannot list resource "horizontalpodautoscalers" in API group "autoscaling"/);
  });
});
