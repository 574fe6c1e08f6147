import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deployment, service } from '#dev/kubernetes/index.ts';
import type { Workload } from '#dev/kubernetes/objects.ts';
import type { Canaries } from '#src/engine/ports-deploy.ts';
import { isComplete } from '#src/model/rollout.ts';
import { type Fixture, settled, startFixture, target } from './fixture.ts';

/** The rights that docs/steps.md gives, beside those of a plain rollout. */
const rights = (names: readonly string[]) => [
  {
    apiGroups: ['apps'],
    resources: ['deployments'],
    resourceNames: names,
    verbs: ['get', 'list', 'watch', 'patch', 'delete'],
  },
  { apiGroups: ['apps'], resources: ['deployments'], verbs: ['create'] },
  { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['pods', 'events'], verbs: ['list', 'watch'] },
  { apiGroups: ['autoscaling'], resources: ['horizontalpodautoscalers'], verbs: ['list'] },
  { apiGroups: [''], resources: ['services'], resourceNames: ['api'], verbs: ['get', 'patch'] },
];
const beside = 'api-slipway-canary';
const never = new AbortController().signal;
const wish = (change: object = {}) => ({
  name: beside,
  images: { api: 'r/demo:v2' },
  replicas: 1,
  labels: null as Readonly<Record<string, string>> | null,
  ...change,
});

let fixture: Fixture;
let canaries: Canaries;
beforeEach(async () => {
  fixture = await startFixture();
  canaries = fixture.canaries();
});
afterEach(async () => fixture.close());

const read = (name = beside): Workload | null => fixture.kubernetes.get('deployments', 'shop', name);
async function until<T>(what: () => Promise<T> | T, holds: (value: T) => boolean): Promise<T> {
  for (let i = 0; i < 200; i += 1) {
    const value = await what();
    if (holds(value)) return value;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error('It never came.');
}

describe('what stands beside a workload', () => {
  it('is a copy with other images, told apart, under the same Service', async () => {
    fixture.kubernetes.apply(service('shop', 'api'));
    const metadata = { labels: { app: 'api', team: 'a' }, annotations: { note: 'kept' } };
    const spec = {
      containers: [
        { name: 'proxy', image: 'r/proxy:v1' },
        { name: 'api', image: 'r/demo:v1', ports: [{ containerPort: 8080 }] },
      ],
      imagePullSecrets: [{ name: 'pull' }],
      serviceAccountName: 'api',
    };
    fixture.kubernetes.remove('deployments', 'shop', 'api');
    fixture.kubernetes.apply(deployment('shop', 'api', '', { template: { metadata, spec }, replicas: 3 }));
    await settled(fixture.cluster, target);
    await canaries.place(target, wish(), never);
    const made = read();
    expect(made?.spec.selector).toEqual({ matchLabels: { app: 'api', 'slipway.dev/beside': 'api' } });
    expect(made?.spec.template).toEqual({
      metadata: { ...metadata, labels: { ...metadata.labels, 'slipway.dev/beside': 'api' } },
      spec: {
        ...spec,
        containers: [
          { name: 'proxy', image: 'r/proxy:v1' },
          { name: 'api', image: 'r/demo:v2', ports: [{ containerPort: 8080 }] },
        ],
      },
    });
    expect(made?.spec.replicas).toBe(1);
    expect(made?.metadata.labels).toMatchObject({ 'app.kubernetes.io/managed-by': 'slipway' });
    expect(Object.keys(made?.metadata.annotations ?? {})).not.toContain(
      'kubectl.kubernetes.io/last-applied-configuration',
    );
    await until(
      () => canaries.state(target, beside, never),
      (it) => it !== null && isComplete(it, it.generation),
    );
    const names = fixture.kubernetes.endpoints('shop', 'api').map((it) => it.metadata.name);
    expect(names.filter((it) => it.startsWith(beside))).toHaveLength(1);
    expect(names).toHaveLength(4);
    // Its pods don't count as the stable one's.
    expect(await canaries.state(target, 'api', never)).toMatchObject({ wanted: 3, available: 3, replicas: 3 });
  });

  it('is made once, brought to other images and replicas, and never twice', async () => {
    await canaries.place(target, wish(), never);
    const { uid } = read()?.metadata ?? {};
    await until(
      () => canaries.state(target, beside, never),
      (it) => it !== null && isComplete(it, it.generation),
    );
    const before = read()?.metadata.generation;
    await canaries.place(target, wish(), never);
    expect(read()?.metadata.generation).toBe(before);
    await canaries.place(target, wish({ images: { api: 'r/demo:v3' }, replicas: 2 }), never);
    expect(read()?.metadata.uid).toBe(uid);
    const state = await until(
      () => canaries.state(target, beside, never),
      (it) => it !== null && isComplete(it, it.generation) && it.wanted === 2,
    );
    expect(state).toMatchObject({ image: 'r/demo:v3', images: { api: 'r/demo:v3' }, available: 2 });
  });

  it('is scaled, and removed with its pods', async () => {
    await canaries.place(target, wish(), never);
    await canaries.scale(target, beside, 3, never);
    await until(
      () => canaries.state(target, beside, never),
      (it) => it?.available === 3,
    );
    await canaries.remove(target, beside, never);
    // Its pods take their time; until they are gone it is there, and removing it again does no harm.
    expect(await canaries.state(target, beside, never)).not.toBeNull();
    await canaries.remove(target, beside, never);
    await until(
      () => canaries.state(target, beside, never),
      (it) => it === null,
    );
    const pods = [...fixture.kubernetes.endpoints('shop', 'api')];
    expect(pods.filter((it) => it.metadata.name.startsWith(beside))).toEqual([]);
    await canaries.remove(target, beside, never);
    expect(await canaries.state(target, 'api', never)).toMatchObject({ available: 2 });
  });

  it('is never somebody else’s', async () => {
    fixture.kubernetes.apply(deployment('shop', beside, 'r/theirs:v1'));
    await expect(canaries.place(target, wish(), never)).rejects.toThrow(/Slipway didn't make/);
    await expect(canaries.remove(target, beside, never)).rejects.toThrow(/Slipway didn't make/);
    expect(read()?.spec.template.spec.containers[0]?.image).toBe('r/theirs:v1');
  });

  it('never stands beside another', async () => {
    fixture.kubernetes.apply(deployment('shop', 'web', 'r/demo:v1'));
    await canaries.place({ ...target, name: 'web' }, wish({ images: {} }), never);
    await expect(canaries.place(target, wish(), never)).rejects.toThrow(/stands beside web/);
  });

  it('of a workload with a long name has names that fit', async () => {
    const name = `${'a'.repeat(80)}.b`;
    fixture.kubernetes.apply(
      deployment('shop', name, 'r/demo:v1', {
        selector: { matchLabels: { app: 'long' } },
        template: {
          metadata: { labels: { app: 'long' } },
          spec: { containers: [{ name: 'api', image: 'r/demo:v1' }] },
        },
      }),
    );
    await canaries.place({ ...target, name }, wish({ name: 'long-slipway-canary' }), never);
    expect(read('long-slipway-canary')?.spec.selector.matchLabels['slipway.dev/beside']?.length).toBeLessThan(64);
  });

  it.each([
    ['no such workload', { ...target, name: 'nobody' }, wish(), /There is no deployment shop\/nobody/],
    ['no such container', target, wish({ images: { nobody: 'x' } }), /has no container nobody/],
    ['pods that aren’t behind the Service', target, wish({ labels: { tier: 'x' } }), /don't have the label tier=x/],
    [
      'pods that another Service selects',
      target,
      wish({ labels: { app: 'b-slipway-green' }, instead: { app: 'billing' } }),
      /don't have the label app=billing.*aren't behind it/,
    ],
  ])('%s is said', async (_name, at, wished, message) => {
    await expect(canaries.place(at, wished, never)).rejects.toThrow(message);
    expect(read()).toBeNull();
  });

  it.each([409, 429, 503])('is placed although the server answers %s at first', async (code) => {
    fixture.kubernetes.faults.answer(code, 1);
    await canaries.place(target, wish(), never);
    expect(read()).not.toBeNull();
  });
});

describe('replicas and autoscalers', () => {
  const scaler = (kind: string, name: string) => ({
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'scaler', namespace: 'shop' },
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind, name }, minReplicas: 1, maxReplicas: 9 },
  });
  it.each([
    ['nobody', null, false],
    ['an autoscaler of this one', scaler('Deployment', 'api'), true],
    ['an autoscaler of another', scaler('Deployment', 'web'), false],
    ['an autoscaler of another kind', scaler('StatefulSet', 'api'), false],
  ])('%s decides', async (_name, object, autoscaled) => {
    if (object) fixture.kubernetes.apply(object);
    expect(await canaries.scaleOf(target, never)).toEqual({ replicas: 2, autoscaled });
  });

  it('an autoscaler that can’t be seen may be there', async () => {
    const least = rights(['api', beside]).filter((it) => it.apiGroups[0] !== 'autoscaling');
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', least));
    expect(await fixture.canaries().scaleOf(target, never)).toEqual({ replicas: 2, autoscaled: true });
  });

  it('what an earlier canary took away still counts', async () => {
    await canaries.place(target, wish(), never);
    await canaries.scale(target, 'api', 1, never);
    expect(await canaries.scaleOf(target, never)).toMatchObject({ replicas: 2 });
    await canaries.remove(target, beside, never);
    await until(read, (it) => it === null);
    expect(await canaries.scaleOf(target, never)).toMatchObject({ replicas: 1 });
  });
});

describe('the selector of a Service', () => {
  const at = { cluster: null, namespace: 'shop', name: 'api' };
  beforeEach(() => fixture.kubernetes.apply(service('shop', 'api')));
  const now = () => canaries.selector(at, never);

  it('is switched, once, and back', async () => {
    await canaries.select(at, { app: 'api' }, { app: 'green' }, never);
    await canaries.select(at, { app: 'api' }, { app: 'green' }, never);
    expect(await now()).toEqual({ app: 'green' });
    await canaries.select(at, { app: 'green' }, { app: 'api' }, never);
    expect(await now()).toEqual({ app: 'api' });
  });

  it('that somebody else changed stays', async () => {
    await canaries.select(at, { app: 'api' }, { app: 'theirs' }, never);
    await expect(canaries.select(at, { app: 'api' }, { app: 'green' }, never)).rejects.toThrow(/Somebody else changed/);
    expect(await now()).toEqual({ app: 'theirs' });
  });

  it('leads to green pods only, when they are there', async () => {
    const labels = { app: 'green' };
    await canaries.place(target, wish({ name: 'api-slipway-green', replicas: 2, labels }), never);
    await until(
      () => canaries.state(target, 'api-slipway-green', never),
      (it) => it?.available === 2,
    );
    const serving = () => fixture.kubernetes.endpoints('shop', 'api').map((it) => it.metadata.name.includes('green'));
    expect(serving()).toEqual([false, false]);
    await canaries.select(at, { app: 'api' }, labels, never);
    expect(serving()).toEqual([true, true]);
  });

  it('of a Service that isn’t there is said', async () => {
    await expect(canaries.selector({ ...at, name: 'nobody' }, never)).rejects.toThrow(
      /There is no Service shop\/nobody/,
    );
  });
});

describe('rights', () => {
  it('no more are needed than the documented ones', async () => {
    fixture.kubernetes.apply(service('shop', 'api'));
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', rights(['api', beside])));
    const least = fixture.canaries();
    expect(await least.scaleOf(target, never)).toEqual({ replicas: 2, autoscaled: false });
    await least.place(target, wish(), never);
    await least.place(target, wish({ replicas: 2 }), never);
    await least.scale(target, 'api', 1, never);
    await least.select({ cluster: null, namespace: 'shop', name: 'api' }, { app: 'api' }, { app: 'x' }, never);
    await least.remove(target, beside, never);
    await until(
      () => least.state(target, beside, never),
      (it) => it === null,
    );
  });

  it.each([
    ['create', 'create or change deployment'],
    ['delete', 'delete deployment'],
    ['patch', 'scale deployment'],
  ])('that of %s is named where it lacks', async (verb, doing) => {
    const less = rights(['api', beside]).map((it) => ({ ...it, verbs: it.verbs.filter((given) => given !== verb) }));
    await canaries.place({ ...target }, wish({ name: beside }), never);
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', less));
    const least = fixture.canaries();
    const asked = {
      create: async () => least.place({ ...target, name: 'api' }, wish({ name: 'api-slipway-canary-2' }), never),
      delete: async () => least.remove(target, beside, never),
      patch: async () => least.scale(target, 'api', 1, never),
    };
    const failing = asked[verb as keyof typeof asked];
    await expect(failing()).rejects.toThrow(new RegExp(`Slipway may not ${doing}.*\\(403\\)`));
  });
});
