import { describe, expect, it } from '@jest/globals';
import type { Strategy } from '#src/model/delivery.ts';
import type { FakeCanaries } from '#src/adapters/fake/canaries.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutResult } from '#src/engine/rollout.ts';
import { openStepsWorld, probe, type StepsGiven, target, weight } from './steps-world.ts';

const pause = { kind: 'pause', seconds: 300 } as const;
const canary = (...steps: Extract<Strategy, { kind: 'canary' }>['steps']): Strategy => ({ kind: 'canary', steps });
const green = (
  before: Extract<Strategy, { kind: 'blue-green' }>['before'] = [],
  after: Extract<Strategy, { kind: 'blue-green' }>['after'] = [],
): Strategy => ({ kind: 'blue-green', service: { namespace: 'shop', name: 'api' }, before, after });
const never = new AbortController().signal;
const services = { 'shop/api': { app: 'api' } };
const asOld = ['shop/api: 10 of 10 old'];
const asNew = ['shop/api: 10 of 10 new'];

async function roll(given: StepsGiven) {
  const world = openStepsWorld(given);
  const result = await world.process();
  if (result === 'died' || result instanceof Error) throw result;
  return { ...world, result, outcome: result.outcome, report: world.seen.reports.at(-1) ?? '' };
}

const reasonOf = (result: RolloutResult): string => ('reason' in result.outcome ? result.outcome.reason : '');

describe('a canary', () => {
  it('takes a growing share of as many pods, then the stable one is rolled and it goes', async () => {
    const { outcome, cluster, time, report, seen } = await roll({
      strategy: canary(weight(10), pause, weight(50), weight(100)),
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves).toEqual([
      'place shop/api-slipway-canary 1 new',
      'scale shop/api 9',
      'place shop/api-slipway-canary 5 new',
      'scale shop/api 5',
      'place shop/api-slipway-canary 10 new',
      'scale shop/api 1',
      'scale shop/api 10',
      'shop/api:app=new',
      'remove shop/api-slipway-canary',
    ]);
    expect(cluster.all).toEqual(asNew);
    expect(cluster.fewest.get('shop/api')).toBe(10);
    expect(time.now()).toBeGreaterThan(300_000);
    expect(report).toContain('| 1 | 10% of the pods | done |');
    expect(report).toContain('Rolled out by steps.');
    expect(seen.told).toContain('step 2 of 4: pause of 5 min');
    expect(seen.reports.some((it) => it.includes('| `shop/api` | 9 of 9 available | 1 of 1 available |'))).toBe(true);
  });

  it('leaves the replicas to an autoscaler', async () => {
    const { outcome, cluster } = await roll({
      strategy: canary(weight(10), weight(50), weight(100)),
      cluster: { autoscaled: ['shop/api'] },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves).toEqual([
      'place shop/api-slipway-canary 2 new',
      'place shop/api-slipway-canary 10 new',
      'shop/api:app=new',
      'remove shop/api-slipway-canary',
    ]);
  });

  it('of several workloads goes step by step together, with all their containers', async () => {
    const { outcome, cluster } = await roll({
      strategy: canary(weight(50), weight(100)),
      targets: [target('api'), target('api', 'proxy'), target('web')],
      cluster: {
        workloads: [
          { name: 'shop/api', replicas: 4, image: 'old', containers: ['app', 'proxy'] },
          { name: 'shop/web', replicas: 1, image: 'old' },
        ],
      },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves.slice(0, 3)).toEqual([
      'place shop/api-slipway-canary 2 new,new',
      'place shop/web-slipway-canary 1 new',
      'scale shop/api 2',
    ]);
    expect(cluster.all).toEqual(['shop/api: 4 of 4 new,new', 'shop/web: 1 of 1 new']);
    expect(cluster.fewest.get('shop/web')).toBe(1);
  });

  it('isn’t made of a workload without replicas, which is rolled all the same', async () => {
    const { outcome, cluster, result } = await roll({
      strategy: canary(weight(50), weight(100)),
      targets: [target('api'), target('web')],
      cluster: {
        workloads: [
          { name: 'shop/api', replicas: 2, image: 'old' },
          { name: 'shop/web', replicas: 0, image: 'old' },
        ],
      },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(result.summary).toContain('shop/web has 0 replicas, so it was rolled without steps.');
    expect(cluster.all).toEqual(['shop/api: 2 of 2 new', 'shop/web: 0 of 0 new']);
  });

  it('isn’t made of what runs the image already', async () => {
    const { outcome, cluster } = await roll({ strategy: canary(weight(50), weight(100)), image: 'old' });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves).toEqual([]);
  });

  it.each([
    ['can’t be pulled', 'missing', 'failure', 'the image of container app can'],
    ['never becomes available', 'silent', 'timed_out', '0 of 1 updated, 0 available after 10 min'],
  ] as const)('that %s puts all back', async (_name, image, kind, reason) => {
    const { outcome, cluster, result, report, seen } = await roll({
      strategy: canary(weight(10), weight(100)),
      image,
    });
    expect(outcome.kind).toBe(kind);
    expect(reasonOf(result)).toContain(reason);
    expect(reasonOf(result)).toContain('shop/api has its 10 pods, and nothing stands beside it.');
    expect(cluster.all).toEqual(asOld);
    expect(cluster.fewest.get('shop/api')).toBe(10);
    expect(report).toContain('The rollout by steps has failed.');
    expect(seen.lines).toEqual(image === 'missing' ? ['fatal: boom'] : []);
  });

  it('that fails in a pause puts all back', async () => {
    const { outcome, cluster, result } = await roll({
      strategy: canary(weight(50), pause, weight(100)),
      async meanwhile(world, sleep) {
        await sleep(60_000);
        world.fall('shop/api-slipway-canary');
      },
    });
    expect(outcome.kind).toBe('failure');
    expect(reasonOf(result)).toContain('CrashLoopBackOff');
    expect(cluster.all).toEqual(asOld);
  });

  it('that somebody else removes ends it', async () => {
    const { outcome, cluster, result } = await roll({
      strategy: canary(weight(50), pause, weight(100)),
      async meanwhile(world, sleep) {
        await sleep(60_000);
        await world.remove(target(), 'api-slipway-canary', new AbortController().signal);
      },
    });
    expect(outcome.kind).toBe('failure');
    expect(reasonOf(result)).toMatch(/no deployment shop\/api-slipway-canary|removed by somebody else/);
    expect(cluster.all).toEqual(asOld);
  });

  it('goes although nothing fits in beside it: the pods come when it is gone', async () => {
    let room = 20;
    const { outcome, cluster } = await roll({
      strategy: canary(weight(50), probe(), weight(100)),
      probes: { get: { 'https://shop/health': [{ status: 500, body: '' }] } },
      cluster: { room: () => room },
      async meanwhile(_world, sleep) {
        await sleep(1200);
        room = 10;
      },
    });
    expect(outcome.kind).toBe('failure');
    expect(cluster.all).toEqual(asOld);
  });

  it('is cancelled by a person: all goes back', async () => {
    const { outcome, cluster, result } = await roll({
      strategy: canary(weight(50), pause, weight(100)),
      cancelAtMs: 100_000,
    });
    expect(outcome.kind).toBe('cancelled');
    expect(reasonOf(result)).toContain('Cancelled by @ada.');
    expect(cluster.all).toEqual(asOld);
    expect(cluster.fewest.get('shop/api')).toBe(10);
  });

  it('whose stable workload fails at the end goes, once that runs the old image again', async () => {
    const { outcome, cluster } = await roll({
      strategy: canary(weight(50), weight(100)),
      cluster: {
        workloads: [{ name: 'shop/api', replicas: 4, image: 'old' }],
      },
      image: 'new',
      async meanwhile(world, sleep) {
        while (!world.moves.includes('shop/api:app=new')) await sleep(10);
        world.fall('shop/api');
      },
    });
    expect(outcome.kind).toBe('failure');
    expect(cluster.all).toEqual(['shop/api: 4 of 4 old']);
    expect(cluster.moves.at(-1)).toBe('remove shop/api-slipway-canary');
  });

  it('leaves alone what somebody else set meanwhile', async () => {
    const { outcome, cluster, result } = await roll({
      strategy: canary(weight(50), pause, weight(100)),
      async meanwhile(world, sleep) {
        await sleep(60_000);
        world.meddle('shop/api', { image: 'theirs' });
      },
    });
    expect(outcome.kind).toBe('failure');
    expect(reasonOf(result)).toContain('theirs');
    expect(cluster.all).toEqual(['shop/api: 10 of 10 theirs']);
  });

  it('keeps the pods that a person adds meanwhile, and has its share of them', async () => {
    const { outcome, cluster } = await roll({
      strategy: canary(weight(10), pause, weight(50)),
      async meanwhile(world, sleep) {
        await sleep(60_000);
        world.meddle('shop/api', { replicas: 20 });
      },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves).toEqual([
      'place shop/api-slipway-canary 1 new',
      'scale shop/api 9',
      'place shop/api-slipway-canary 20 new',
      'shop/api:app=new',
      'remove shop/api-slipway-canary',
    ]);
    expect(cluster.all).toEqual(['shop/api: 20 of 20 new']);
  });

  it.each([
    ['beside all stable pods', 10, []],
    ['in place of some of them', 4, ['scale shop/api 10']],
  ] as const)('of an earlier version, left %s, has the first share and no more', async (_name, replicas, first) => {
    const { outcome, cluster } = await roll({
      strategy: canary(weight(10), weight(50)),
      async meanwhile(world, sleep) {
        const signal = new AbortController().signal;
        const scaleOf = async () => ({ replicas: 10, autoscaled: false });
        Object.assign(world, { scaleOf });
        const left = { name: 'api-slipway-canary', images: { app: 'earlier' }, replicas: 6, labels: null };
        void world.place(target(), left, signal);
        world.meddle('shop/api', { replicas });
        world.moves.length = 0;
        await sleep(0);
      },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves.slice(0, first.length + 2)).toEqual([
      ...first,
      'place shop/api-slipway-canary 1 new',
      'scale shop/api 9',
    ]);
    expect(cluster.all).toEqual(asNew);
  });

  const left = (cluster: FakeCanaries, image: string): void => {
    const name = 'api-slipway-canary';
    void cluster.place(target(), { name, images: { app: image }, replicas: 4, labels: null }, never);
    Object.assign(cluster, { scaleOf: async () => ({ replicas: 10, autoscaled: false }) });
    cluster.meddle('shop/api', { replicas: 6 });
    cluster.moves.length = 0;
  };

  it('left beside what runs the image already goes, when all pods are there again', async () => {
    const { outcome, cluster, result } = await roll({
      strategy: canary(weight(50), weight(100)),
      image: 'old',
      meanwhile: async (world) => left(world, 'bad'),
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves).toEqual(['scale shop/api 10', 'remove shop/api-slipway-canary']);
    expect(cluster.all).toEqual(asOld);
    expect(result.summary).toContain('What an earlier rollout left beside shop/api is gone.');
  });

  it('that is left and can’t be removed is no success', async () => {
    const { outcome, result } = await roll({
      strategy: canary(weight(50), weight(100)),
      image: 'old',
      async meanwhile(world) {
        left(world, 'bad');
        Object.assign(world, {
          async remove() {
            throw new UserError('Slipway may not delete it.');
          },
        });
      },
    });
    expect(outcome.kind).toBe('broken');
    expect(reasonOf(result)).toContain('still serves: GOING BACK FAILED: Slipway may not delete it.');
  });

  it('mends a workload of which no pod is available', async () => {
    const { outcome, cluster } = await roll({
      strategy: canary(weight(50), weight(100)),
      cluster: { behave: (image) => (image === 'old' ? 'silent' : 'good') },
      async meanwhile(world) {
        world.fall('shop/api');
      },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.all).toEqual(asNew);
  });

  it('ends where something else undoes the scaling again and again', async () => {
    const { outcome, result } = await roll({
      strategy: canary(weight(50), weight(100)),
      async meanwhile(world) {
        Object.assign(world, { scale: async () => {} });
      },
    });
    expect(outcome.kind).toBe('failure');
    expect(reasonOf(result)).toMatch(/something else undoes/);
  });
});

describe('what can’t be rolled out by steps is refused before anything changes', () => {
  const refused: [string, Partial<StepsGiven>, RegExp][] = [
    ['a StatefulSet', { targets: [{ ...target(), kind: 'statefulset' }] }, /is a statefulset.*Deployments/],
    ['a DaemonSet', { targets: [{ ...target(), kind: 'daemonset' }] }, /is a daemonset/],
    ['an Argo Rollout', { targets: [{ ...target(), kind: 'rollout' }] }, /steps of its own/],
    ['a workload that isn’t there', { targets: [target('nobody')] }, /There is no deployment shop\/nobody/],
    ['a probe that the operator doesn’t allow', { refuse: 'Not there.' }, /^Not there\.$/],
    ['a check job that isn’t in the run', { strategy: canary({ kind: 'job', job: 'smoke' }) }, /isn't in this run/],
    [
      'a Service elsewhere',
      { strategy: { ...green(), service: { namespace: 'other', name: 'api' } } as Strategy },
      /isn't in the namespace of the Service other\/api/,
    ],
    ['a Service that isn’t there', { strategy: green() }, /no service shop\/api/],
    [
      'a Service without a selector',
      { strategy: green(), cluster: { services: { 'shop/api': {} } } },
      /has no selector/,
    ],
    [
      'blue/green with an autoscaler, which takes away what is idle',
      {
        strategy: green(),
        cluster: { services, autoscaled: ['shop/api'] },
      },
      /autoscaler decides on the replicas of shop\/api/,
    ],
    [
      'a Service that still selects green pods',
      { strategy: green(), cluster: { services: { 'shop/api': { app: 'api-slipway-green' } } } },
      /still selects the green pods/,
    ],
  ];
  it.each(refused)('%s', async (_name, change, reason) => {
    const { outcome, cluster, result } = await roll({ strategy: canary(weight(50), probe(), weight(100)), ...change });
    expect(outcome.kind).toBe('failure');
    expect(reasonOf(result)).toMatch(reason);
    expect(cluster.moves).toEqual([]);
  });
});

describe('blue/green', () => {
  it('switches the Service when the new pods are all there, and back when the stable ones are rolled', async () => {
    const { outcome, cluster } = await roll({
      strategy: green([pause], [probe()]),
      cluster: { services },
      probes: { get: { 'https://shop/health': [{ status: 200, body: '' }] } },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(cluster.moves).toEqual([
      'place shop/api-slipway-green 10 new',
      'select shop/api {"app":"api-slipway-green"}',
      'shop/api:app=new',
      'select shop/api {"app":"api"}',
      'remove shop/api-slipway-green',
    ]);
    expect(cluster.all).toEqual(asNew);
  });

  it.each([
    ['before the switch', green([probe()], []), 2],
    ['after it', green([], [probe()]), 4],
  ] as const)('goes back when a check fails %s', async (_name, strategy, moves) => {
    const { outcome, cluster } = await roll({
      strategy,
      cluster: { services },
      probes: { get: { 'https://shop/health': [{ status: 500, body: '' }] } },
    });
    expect(outcome.kind).toBe('failure');
    expect(cluster.moves).toHaveLength(moves);
    expect(cluster.moves.at(-1)).toBe('remove shop/api-slipway-green');
    expect(
      await cluster.selector({ cluster: null, namespace: 'shop', name: 'api' }, new AbortController().signal),
    ).toEqual({ app: 'api' });
    expect(cluster.all).toEqual(asOld);
  });
});
