import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Kubernetes, startKubernetes } from '#dev/kubernetes/index.ts';

/** Namespaces and server-side apply, as the API's documentation has them. */

let kubernetes: Kubernetes;
beforeEach(async () => {
  kubernetes = await startKubernetes({ token: 'admin', scale: 0.02 });
});
afterEach(() => kubernetes.close());

async function ask(method: string, path: string, body?: object, type = 'application/json') {
  const response = await fetch(`${kubernetes.url}${path}`, {
    method,
    headers: { authorization: 'Bearer admin', 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { code: response.status, body: (await response.json()) as Record<string, unknown> };
}

const map = (data: object) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'x' }, data });
const apply = (data: object, manager = 'slipway') =>
  ask(
    'PATCH',
    `/api/v1/namespaces/x/configmaps/a?fieldManager=${manager}&force=true`,
    map(data),
    'application/apply-patch+yaml',
  );
const makeNamespace = () => ask('POST', '/api/v1/namespaces', { kind: 'Namespace', metadata: { name: 'x' } });

describe('a namespace', () => {
  it('is active, and on its way out for a while before it is gone with what is in it', async () => {
    expect((await makeNamespace()).code).toBe(201);
    expect((await makeNamespace()).code).toBe(409);
    expect((await ask('GET', '/api/v1/namespaces/x')).body).toMatchObject({ status: { phase: 'Active' } });
    await apply({ a: '1' });
    expect((await ask('DELETE', '/api/v1/namespaces/x')).body).toMatchObject({ status: { phase: 'Terminating' } });
    const refused = await apply({ a: '2' });
    expect(refused).toMatchObject({
      code: 403,
      body: { message: expect.stringContaining('being terminated') as unknown },
    });
    while ((await ask('GET', '/api/v1/namespaces/x')).code === 200);
    expect(kubernetes.get('configmaps', 'x', 'a')).toBeNull();
  });

  it('must be there before anything is put in it', async () => {
    expect(await apply({})).toMatchObject({ code: 404, body: { message: 'namespaces "x" not found' } });
  });
});

describe('server-side apply', () => {
  beforeEach(() => makeNamespace());

  it('makes, changes, and takes back what its manager says no more', async () => {
    expect((await apply({ a: '1', b: '2' })).code).toBe(201);
    await apply({ c: '3' }, 'other');
    expect(await apply({ b: '4' })).toMatchObject({ code: 200 });
    expect(kubernetes.get('configmaps', 'x', 'a')).toMatchObject({ data: { b: '4', c: '3' } });
    expect(kubernetes.get('configmaps', 'x', 'a')).not.toHaveProperty('data.a');
  });

  it('wants a manager', async () => {
    expect((await apply({}, '')).code).toBe(400);
  });
});
