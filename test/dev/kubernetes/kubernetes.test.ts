import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deployment, type Kubernetes, startKubernetes } from '#dev/kubernetes/index.ts';

/** The facts are those of recordings from a real v1.32 API server; the names of the cases are the recordings'. */
let kubernetes: Kubernetes;
beforeEach(async () => {
  kubernetes = await startKubernetes({ scale: 0.02, token: 'admin' });
  kubernetes.apply(deployment('shop', 'api', 'r/demo:v1'));
  await reached((it) => it.status?.availableReplicas === 2 && it.status.observedGeneration === 1);
});
afterEach(async () => kubernetes.close());

interface Told {
  readonly metadata: { readonly generation: number; readonly name?: string; readonly resourceVersion: string };
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly { readonly name: string }[] } };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
  };
}

const apps = '/apis/apps/v1/namespaces/shop';
const strategic = 'application/strategic-merge-patch+json';

async function ask(path: string, init: { method?: string; type?: string; body?: unknown; token?: string | null } = {}) {
  const { method = 'GET', type, body, token = 'admin' } = init;
  const headers: Record<string, string> = {};
  if (token !== null) headers['authorization'] = `Bearer ${token}`;
  if (type !== undefined) headers['content-type'] = type;
  const response = await fetch(`${kubernetes.url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const json = response.headers.get('content-type') === 'application/json' ? JSON.parse(text) : text;
  return { code: response.status, headers: response.headers, body: json };
}

const setImage = (image: string, container = 'api') => ({
  spec: { template: { spec: { containers: [{ name: container, image }] } } },
});
const patch = (body: unknown, query = '', type = strategic) =>
  ask(`${apps}/deployments/api${query}`, { method: 'PATCH', type, body });

/** The Deployment's states from now, or from a version on, up to the one that is wanted. */
async function reached(wanted: (deployment: Told) => boolean, from = ''): Promise<Told[]> {
  const told: Told[] = [];
  for await (const { type, object } of watch('deployments', `allowWatchBookmarks=true&resourceVersion=${from}`)) {
    if (type === 'BOOKMARK') continue;
    told.push(object);
    if (wanted(object)) return told;
  }
  throw new Error('The watch ended.');
}

async function* watch(resource: string, query: string): AsyncGenerator<{ type: string; object: Told }> {
  const stop = new AbortController();
  const headers = { authorization: 'Bearer admin' };
  const url = `${kubernetes.url}${apps}/${resource}?watch=1&${query}`;
  const response = await fetch(url, { headers, signal: stop.signal });
  try {
    let rest = '';
    for await (const chunk of response.body ?? []) {
      rest += Buffer.from(chunk).toString();
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line);
    }
  } finally {
    stop.abort();
  }
}

const version = async (): Promise<string> => (await ask(`${apps}/deployments`)).body.metadata.resourceVersion;
const reasons = (told: readonly Told[]) => {
  const all = told.map((it) => it.status?.conditions?.find((one) => one.type === 'Progressing')?.reason ?? '');
  return all.filter((it, index) => it !== all[index - 1]);
};
const isComplete = (generation: number) => (it: Told) =>
  it.status?.observedGeneration === generation &&
  it.status.updatedReplicas === 2 &&
  it.status.replicas === 2 &&
  it.status.availableReplicas === 2;
const isFailed = (it: Told) => it.status?.conditions?.some((one) => one.reason === 'ProgressDeadlineExceeded') ?? false;

describe('rollouts', () => {
  it('rollout-success: the patch answers with the old status, then old and new counters move', async () => {
    const from = await version();
    const { body } = await patch(setImage('r/demo:v2'));
    expect(body).toMatchObject({ metadata: { generation: 2 }, status: { observedGeneration: 1, updatedReplicas: 2 } });
    const told = await reached(isComplete(2), from);
    expect(reasons(told)).toEqual([
      'NewReplicaSetAvailable',
      'NewReplicaSetCreated',
      'ReplicaSetUpdated',
      'NewReplicaSetAvailable',
    ]);
    const observed = told.find((it) => it.status?.observedGeneration === 2);
    expect(Math.max(...told.map((it) => it.status?.replicas ?? 0))).toBeGreaterThan(2);
    expect(observed?.status?.availableReplicas).toBe(2);
  });

  it.each(['missing', 'crash', 'notready'])(
    '%s: the deadline passes, Available stays True, and going back completes',
    async (tag) => {
      await patch(setImage(`r/demo:${tag}`));
      const failed = (await reached(isFailed)).at(-1);
      expect(failed?.status).toMatchObject({ replicas: 3, updatedReplicas: 1, availableReplicas: 2 });
      expect(failed?.status?.conditions).toContainEqual(expect.objectContaining({ type: 'Available', status: 'True' }));
      const { body } = await patch(setImage('r/demo:v1'));
      expect(isFailed(body)).toBe(true);
      expect((await reached(isComplete(3))).length).toBeGreaterThan(0);
    },
  );

  it('slow-flips-deadline: the deadline passes, and then it completes', async () => {
    await patch({ spec: { progressDeadlineSeconds: 10 } });
    const from = await version();
    await patch(setImage('r/demo:slow'));
    expect(reasons(await reached(isComplete(3), from))).toContain('ProgressDeadlineExceeded');
  });

  it('quota-failed-create: ReplicaFailure at once, and it recovers when the quota goes', async () => {
    kubernetes.apply({
      kind: 'ResourceQuota',
      metadata: { name: 'pods', namespace: 'shop' },
      spec: { hard: { pods: '2' } },
    });
    await patch(setImage('r/demo:v2'));
    const told = await reached((it) => it.status?.conditions?.some((one) => one.type === 'ReplicaFailure') ?? false);
    expect(told.at(-1)?.status?.updatedReplicas).toBeUndefined();
    kubernetes.remove('resourcequotas', 'shop', 'pods');
    const recovered = await reached(isComplete(2));
    expect(recovered.at(-1)?.status?.conditions).not.toContainEqual(
      expect.objectContaining({ type: 'ReplicaFailure' }),
    );
  });

  it('paused-deployment: nothing rolls until it is resumed', async () => {
    await patch({ spec: { paused: true } });
    await patch(setImage('r/demo:v2'));
    const paused = (await reached((it) => it.status?.observedGeneration === 3)).at(-1);
    expect(paused?.status?.updatedReplicas).toBeUndefined();
    expect(reasons(paused ? [paused] : [])).toEqual(['DeploymentPaused']);
    const from = await version();
    await patch({ spec: { paused: false } });
    expect(reasons(await reached(isComplete(4), from))).toContain('DeploymentResumed');
  });

  it('zero-replicas: complete at once without a counter, even for an image that isn’t there', async () => {
    await patch({ spec: { replicas: 0 } });
    await patch(setImage('r/demo:missing'));
    const told = await reached((it) => it.status?.observedGeneration === 3 && it.status.replicas === undefined);
    expect(told.at(-1)?.status).not.toHaveProperty('availableReplicas');
    expect(isFailed(told.at(-1) as Told)).toBe(false);
  });

  it('rollback-to-previous: the old ReplicaSet is taken up again with a higher revision', async () => {
    const sets = async () =>
      (await ask(`${apps}/replicasets`)).body.items as { metadata: { name: string; annotations: object } }[];
    const [first] = await sets();
    await patch(setImage('r/demo:v2'));
    await reached(isComplete(2));
    await patch(setImage('r/demo:v1'));
    await reached(isComplete(3));
    const now = await sets();
    expect(now).toHaveLength(2);
    const again = now.find((it) => it.metadata.name === first?.metadata.name);
    expect(again?.metadata.annotations).toMatchObject({ 'deployment.kubernetes.io/revision': '3' });
  });

  it('same-image: an annotation alone raises the generation, the same again nothing', async () => {
    const annotated = { metadata: { annotations: { note: 'x' } } };
    expect((await patch(annotated)).body.metadata.generation).toBe(2);
    await reached((it) => it.status?.observedGeneration === 2);
    expect((await patch(annotated)).body.metadata.generation).toBe(2);
    expect((await ask(`${apps}/replicasets`)).body.items).toHaveLength(1);
  });
});

describe('patches', () => {
  const containers = (body: Told) => body.spec.template.spec.containers.map((it) => it.name);

  it('wrong-container-name: adds a container, first in the list; a dry run stores nothing', async () => {
    const dry = await patch(setImage('r/demo:v2', 'app'), '?dryRun=All');
    expect(containers(dry.body)).toEqual(['app', 'api']);
    expect(dry.body.metadata.generation).toBe(2);
    expect(containers((await ask(`${apps}/deployments/api`)).body)).toEqual(['api']);
  });

  it('two-containers-one-changed: a merge patch replaces the list', async () => {
    const image = { spec: { template: { spec: { containers: [{ name: 'proxy', image: 'r/proxy:1' }] } } } };
    expect(containers((await patch(image, '?dryRun=All', 'application/merge-patch+json')).body)).toEqual(['proxy']);
  });

  it.each([
    ['unsupported-415', setImage('r/demo:v2'), '', 'application/json', 415, '415: Unsupported Media Type'],
    [
      'conflict-409',
      { metadata: { resourceVersion: '1' } },
      '',
      strategic,
      409,
      'Operation cannot be fulfilled on deployments.apps "api": the object has been modified; please apply your changes to the latest version and try again',
    ],
    [
      'a wrong uid',
      { metadata: { uid: '0' } },
      '',
      strategic,
      422,
      'Deployment.apps "api" is invalid: metadata.uid: Invalid value: "0": field is immutable',
    ],
    [
      'an empty image',
      setImage(''),
      '',
      strategic,
      422,
      'Deployment.apps "api" is invalid: spec.template.spec.containers[0].image: Required value',
    ],
  ])('%s', async (_name, body, query, type, code, message) => {
    const refused = await patch(body, query, type);
    expect(refused).toMatchObject({ code, body: { kind: 'Status', status: 'Failure', code, message } });
  });

  it('invalid-422: an unknown field is a warning, or refused when strict', async () => {
    const body = { spec: { template: { spec: { contaners: [] } } } };
    const warned = await patch(body, '?dryRun=All');
    expect(warned.headers.get('warning')).toBe('299 - "unknown field \\"spec.template.spec.contaners\\""');
    const refused = await patch(body, '?fieldValidation=Strict');
    expect(refused).toMatchObject({
      code: 422,
      body: { message: expect.stringContaining('strict decoding error: unknown field') },
    });
  });
});

describe('rights and errors', () => {
  it.each([
    ['not-found-404', `${apps}/deployments/web`, 404, 'deployments.apps "web" not found'],
    [
      'a namespace that isn’t there',
      '/apis/apps/v1/namespaces/none/deployments/api',
      404,
      'deployments.apps "api" not found',
    ],
    [
      'an unknown version',
      '/apis/apps/v1beta1/namespaces/shop/deployments/api',
      404,
      'the server could not find the requested resource',
    ],
  ])('%s', async (_name, path, code, message) => {
    expect(await ask(path)).toMatchObject({ code, body: { message } });
  });

  it('answers an unknown API group and 429 in plain text', async () => {
    expect(await ask('/apis/example.com/v1/namespaces/shop/widgets/api')).toMatchObject({
      code: 404,
      body: '404 page not found\n',
    });
    kubernetes.faults.answer(429, 1);
    const busy = await ask(`${apps}/deployments/api`);
    expect(busy).toMatchObject({ code: 429, body: 'Too many requests, please try again later.\n' });
    expect(busy.headers.get('retry-after')).toBe('1');
    expect((await ask(`${apps}/deployments/api`)).code).toBe(200);
  });

  it('unauthorized-401: a bad token; no token is 403 for anonymous', async () => {
    expect(await ask(`${apps}/deployments/api`, { token: 'bad' })).toMatchObject({
      code: 401,
      body: { message: 'Unauthorized' },
    });
    const { code, body } = await ask(`${apps}/deployments/api`, { token: null });
    expect(code).toBe(403);
    expect(body.message).toBe(
      'deployments.apps "api" is forbidden: User "system:anonymous" cannot get resource "deployments" in API group "apps" in the namespace "shop"',
    );
  });

  it('rbac-resource-names: lists only with the field selector, and what isn’t named is 403', async () => {
    const rule = { apiGroups: ['apps'], resources: ['deployments'], resourceNames: ['api'], verbs: ['get', 'list'] };
    const token = kubernetes.addUser('shop', 'deployer', [rule]);
    const codes = [
      'deployments/api',
      'deployments',
      'deployments?fieldSelector=metadata.name%3Dapi',
      'deployments/none',
      'replicasets',
    ];
    const answers = await Promise.all(codes.map((it) => ask(`${apps}/${it}`, { token })));
    expect(answers.map((it) => it.code)).toEqual([200, 403, 200, 403, 403]);
    const attributes = { group: 'apps', resource: 'deployments', verb: 'patch', namespace: 'shop', name: 'api' };
    const review = await ask('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      method: 'POST',
      body: { spec: { resourceAttributes: attributes } },
      token,
    });
    expect(review).toMatchObject({ code: 201, body: { status: { allowed: false } } });
  });
});

describe('watches', () => {
  it('watch-gone-410: one ERROR under HTTP 200, then the end', async () => {
    kubernetes.faults.forget();
    const events: unknown[] = [];
    for await (const event of watch('deployments', 'resourceVersion=1')) events.push(event);
    expect(events).toEqual([{ type: 'ERROR', object: expect.objectContaining({ code: 410, reason: 'Expired' }) }]);
    expect((await ask(`${apps}/deployments?resourceVersion=1&resourceVersionMatch=Exact`)).code).toBe(410);
  });

  it('watch-timeout: ends by itself; a bookmark is an empty shell', async () => {
    const events: { type: string; object: Told }[] = [];
    const query = `resourceVersion=${(await ask(`${apps}/deployments`)).body.metadata.resourceVersion}`;
    for await (const event of watch('deployments', `${query}&allowWatchBookmarks=true&timeoutSeconds=2`))
      events.push(event);
    expect(events[0]).toMatchObject({ type: 'BOOKMARK', object: { spec: { replicas: 0 }, status: {} } });
    expect(events[0]?.object.metadata.name).toBeUndefined();
  });
});

describe('pods-logs', () => {
  const core = '/api/v1/namespaces/shop/pods';
  it('refuses what the kubelet refuses', async () => {
    const { body } = await ask(core);
    const pod = body.items[0].metadata.name;
    expect(await ask(`${core}/${pod}/log?container=api&tailLines=5`)).toMatchObject({
      code: 200,
      body: 'demo version=v1 mode=ok pid=1\n',
    });
    const previous = await ask(`${core}/${pod}/log?container=api&previous=true`);
    expect(previous).toMatchObject({
      code: 400,
      body: { message: `previous terminated container "api" in pod "${pod}" not found` },
    });
    const wrong = await ask(`${core}/${pod}/log?container=app`);
    expect(wrong).toMatchObject({ code: 400, body: { message: `container app is not valid for pod ${pod}` } });
    expect((await ask(`${core}/none/log`)).code).toBe(404);
  });
});
