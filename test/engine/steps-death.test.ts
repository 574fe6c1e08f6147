import { describe, expect, it } from '@jest/globals';
import type { RolloutResult } from '#src/engine/rollout.ts';
import type { Strategy } from '#src/model/delivery.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { openStepsWorld, probe, type StepsGiven, target, weight } from './steps-world.ts';

const good = { get: { 'https://shop/health': [{ status: 200, body: '' }] } };
const bad = { get: { 'https://shop/health': [{ status: 500, body: '' }] } };
const pause = { kind: 'pause', seconds: 60 } as const;
const smoke = 'smoke (production, step 2)';
const four = { workloads: [{ name: 'shop/api', replicas: 4, image: 'old' }] };
const green = (before: Extract<Strategy, { kind: 'blue-green' }>['before']): Strategy => ({
  kind: 'blue-green',
  service: { namespace: 'shop', name: 'api' },
  before,
  after: [probe({ every: { intervalSeconds: 5, count: 1, failures: 0 } })],
});
const once = probe({ every: { intervalSeconds: 5, count: 1, failures: 0 } });

const cases: [string, StepsGiven, string[]][] = [
  [
    'succeeds',
    { strategy: { kind: 'canary', steps: [weight(25), once, weight(100)] }, probes: good, cluster: four },
    ['shop/api: 4 of 4 new'],
  ],
  [
    'pauses, and asks for an approval and a job',
    {
      strategy: {
        kind: 'canary',
        steps: [weight(50), { kind: 'job', job: 'smoke' }, { kind: 'approval' }, pause, weight(100)],
      },
      cluster: four,
      jobs: { [smoke]: { kind: 'success' } },
      decisions: [{ atMs: 20_000, login: 'bob', decision: 'approve', gate: 'step 3' }],
    },
    ['shop/api: 4 of 4 new'],
  ],
  [
    'fails at a check',
    { strategy: { kind: 'canary', steps: [weight(25), once, weight(100)] }, probes: bad, cluster: four },
    ['shop/api: 4 of 4 old'],
  ],
  [
    'fails because its canary does',
    { strategy: { kind: 'canary', steps: [weight(25), weight(100)] }, image: 'missing', cluster: four },
    ['shop/api: 4 of 4 old'],
  ],
  [
    'is of two workloads, with an autoscaler on one',
    {
      strategy: { kind: 'canary', steps: [weight(50), weight(100)] },
      targets: [target('api'), target('web')],
      cluster: {
        workloads: [
          { name: 'shop/api', replicas: 2, image: 'old' },
          { name: 'shop/web', replicas: 3, image: 'old' },
        ],
        autoscaled: ['shop/web'],
      },
    },
    ['shop/api: 2 of 2 new', 'shop/web: 3 of 3 new'],
  ],
  [
    'switches a Service',
    { strategy: green([]), probes: good, cluster: { ...four, services: { 'shop/api': { app: 'api' } } } },
    ['shop/api: 4 of 4 new'],
  ],
  [
    'switches a Service and back, for a check fails',
    { strategy: green([pause]), probes: bad, cluster: { ...four, services: { 'shop/api': { app: 'api' } } } },
    ['shop/api: 4 of 4 old'],
  ],
];

function kindOf(result: RolloutResult | 'died' | Error): string {
  return result === 'died' || result instanceof Error ? String(result) : result.outcome.kind;
}

describe('a process that dies at any moment', () => {
  it.each(cases)('changes nothing about a rollout that %s', async (_name, given, end) => {
    const whole = openStepsWorld(given);
    const expected = await whole.process();
    expect(whole.cluster.all).toEqual(end);
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const world = openStepsWorld(given);
        if ((await world.process(n, when)) !== 'died') break;
        deaths += 1;
        const result = await world.process();
        const what = { n, when, kind: kindOf(result), all: world.cluster.all, moves: world.cluster.moves };
        expect(what).toEqual({ n, when, kind: kindOf(expected), all: end, moves: whole.cluster.moves });
        expect(world.seen.queued).toEqual(whole.seen.queued);
        expect({ n, when, fewest: [...world.cluster.fewest] }).toEqual({ n, when, fewest: [...whole.cluster.fewest] });
      }
    }
    expect(deaths).toBeGreaterThan(50);
  });

  it('several deaths in a row change nothing either', async () => {
    const [, given, end] = cases[2] ?? cases[0] ?? ['', { strategy: green([]) }, []];
    const whole = openStepsWorld(given);
    await whole.process();
    for (let n = 3; n < 60; n += 7) {
      for (let m = 2; m < 40; m += 5) {
        const world = openStepsWorld(given);
        const results = [
          await world.process(n),
          await world.process(m, 'before'),
          await world.process(m + 3),
          await world.process(),
        ];
        expect(results.some((it) => it instanceof Error)).toBe(false);
        expect({ n, m, all: world.cluster.all, moves: world.cluster.moves }).toEqual({
          n,
          m,
          all: end,
          moves: whole.cluster.moves,
        });
      }
    }
  });

  it('sees through what was patched at the end, also where nothing else can be seen', async () => {
    const [, given, end] = cases[0] ?? ['', { strategy: green([]) }, []];
    let patched = 0;
    for (let n = 1; ; n += 1) {
      const world = openStepsWorld(given);
      if ((await world.process(n)) !== 'died') break;
      if (world.stored.progress?.phase !== 'promoting' || world.stored.changes[0]?.phase !== 'forward') continue;
      patched += 1;
      const state = world.cluster.state.bind(world.cluster);
      world.cluster.state = async (...args) => {
        if (world.stored.progress?.phase === 'promoting') throw new PlatformError('Not now.');
        return await state(...args);
      };
      expect(kindOf(await world.process())).toBe('success');
      expect(world.cluster.all).toEqual(end);
    }
    expect(patched).toBeGreaterThan(2);
  });

  it('never lets a rollout that was cancelled go forward again', async () => {
    const [, given] = cases[0] ?? ['', { strategy: green([]) }];
    let backwards = 0;
    for (let n = 1; ; n += 1) {
      const world = openStepsWorld({ ...given, cancelAtMs: 1500 });
      if ((await world.process(n)) !== 'died') break;
      const goingBack = world.stored.progress?.phase === 'aborting';
      const result = await world.process();
      expect(['cancelled', 'success']).toContain(kindOf(result));
      const all = kindOf(result) === 'success' ? 'new' : 'old';
      expect(world.cluster.all).toEqual([`shop/api: 4 of 4 ${all}`]);
      expect(goingBack && all === 'new').toBe(false);
      if (goingBack) backwards += 1;
    }
    expect(backwards).toBeGreaterThan(3);
  });
});
