import '#test/seeded.ts';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import { after, besideName, counts, firstPhase, otherSelector, shortened } from '#src/model/steps.ts';

describe('how many pods there shall be', () => {
  // Replicas before, share, canary, stable.
  const fixed: [number, number, number, number][] = [
    [10, 10, 1, 9],
    [10, 25, 3, 7],
    [10, 50, 5, 5],
    [10, 75, 8, 2],
    [10, 100, 10, 1],
    [3, 10, 1, 2],
    [3, 50, 2, 1],
    [3, 90, 3, 1],
    [2, 10, 1, 1],
    [2, 50, 1, 1],
    [2, 100, 2, 1],
    [1, 10, 1, 1],
    [1, 100, 1, 1],
    [100, 1, 1, 99],
    [200, 1, 2, 198],
    [7, 33, 2, 5],
  ];
  it.each(fixed)('%i replicas, %i %%: %i new ones and %i of the others', (total, percent, canary, stable) => {
    expect(counts(total, percent, false, total)).toEqual({ canary, stable });
  });

  // Replicas that the autoscaler wants now, share, canary.
  const scaled: [number, number, number][] = [
    [9, 10, 1],
    [10, 10, 2],
    [3, 25, 1],
    [10, 50, 10],
    [4, 75, 12],
    [10, 100, 10],
    [1, 1, 1],
    [0, 50, 1],
  ];
  it.each(scaled)('with an autoscaler at %i, %i %%: %i new ones', (stable, percent, canary) => {
    expect(counts(5, percent, true, stable)).toEqual({ canary, stable });
  });

  it('the share is the nearest that so many pods can have, and never fewer serve than before', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 100 }), (total, percent) => {
        const { canary, stable } = counts(total, percent, false, total);
        expect(canary + stable).toBeGreaterThanOrEqual(total);
        expect(canary + stable).toBeLessThanOrEqual(total + 1);
        expect(Math.min(canary, stable)).toBeGreaterThanOrEqual(1);
        const off = (pods: number) => Math.abs(pods / total - percent / 100);
        const others = [canary - 1, canary + 1].filter((it) => it >= 1 && it <= total);
        expect(Math.min(off(canary), ...others.map(off))).toBe(off(canary));
        const more = counts(total, Math.min(100, percent + 1), false, total);
        expect(more.canary).toBeGreaterThanOrEqual(canary);
      }),
    );
  });

  it('with an autoscaler the share is reached with as few pods as that takes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 99 }), (stable, percent) => {
        const { canary } = counts(7, percent, true, stable);
        const share = (pods: number) => (100 * pods) / (pods + stable);
        expect(share(canary)).toBeGreaterThanOrEqual(percent - 1e-9);
        expect(canary === 1 || share(canary - 1) < percent).toBe(true);
      }),
    );
  });
});

describe('names', () => {
  it.each([
    ['api', 'api-slipway-canary'],
    ['a'.repeat(43), `${'a'.repeat(43)}-slipway-canary`],
  ])('%s', (name, beside) => expect(besideName(name, 'canary')).toBe(beside));

  it('fit in a label, and differ where the names do', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,120}[a-z0-9]$/);
    fc.assert(
      fc.property(name, name, (one, two) => {
        for (const kind of ['canary', 'blue-green'] as const) {
          const [a, b] = [besideName(one, kind), besideName(two, kind)];
          expect(a).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
          expect(a === b).toBe(one === two);
        }
        expect(besideName(one, 'canary')).not.toBe(besideName(one, 'blue-green'));
        expect(shortened(one)).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      }),
    );
  });

  it.each([
    [{ app: 'api' }, { app: 'api-slipway-green' }],
    [
      { app: 'api', tier: 'web' },
      { app: 'api', tier: 'web-slipway-green' },
    ],
    [
      { app: 'api', slot: 'blue', zone: 'z' },
      { app: 'api', slot: 'blue-slipway-green', zone: 'z' },
    ],
    [{}, {}],
  ])('the other selector of %j', (selector, other) => expect(otherSelector(selector)).toEqual(other));
});

const target = { kind: 'deployment', cluster: null, namespace: 'shop', container: 'app', image: 'image' } as const;
const pause = { kind: 'pause', seconds: 60 } as const;
const approval = { kind: 'approval' } as const;
const weight = (percent: number) => ({ kind: 'weight', percent }) as const;
const canary: Strategy = { kind: 'canary', steps: [weight(10), pause, weight(50), approval, weight(100)] };
const green: Strategy = {
  kind: 'blue-green',
  service: { namespace: 'shop', name: 'api' },
  before: [pause],
  after: [approval],
};

interface Given {
  readonly replicas: number;
  readonly autoscaled: boolean;
}

function begin(strategy: Strategy, given: readonly Given[]): StepsProgress {
  return {
    attempt: 1,
    step: 0,
    since: 0,
    phase: firstPhase(strategy),
    workloads: given.map((it, index) => ({
      ...it,
      target: { ...target, name: `api${index}` },
      images: { app: 'new' },
      beside: `api${index}-slipway-canary`,
    })),
    changes: [],
    notes: {},
    said: [],
  };
}

describe('the way of a rollout', () => {
  const way = (strategy: Strategy, fail: string | null): string[] => {
    let progress = begin(strategy, [{ replicas: 4, autoscaled: false }]);
    const told: string[] = [];
    for (let i = 0; i < 30; i += 1) {
      told.push(['done', 'ended'].includes(progress.phase) ? progress.phase : `${progress.phase} ${progress.step}`);
      if (told.at(-1) === progress.phase) break;
      const failed = told.at(-1) === fail;
      const failure = { kind: 'failure', reason: 'it failed' } as const;
      progress = after(progress, strategy, failed ? { kind: 'failed', failure } : { kind: 'done' }, i);
    }
    return told;
  };
  const wholeCanary = [
    'placing 0',
    'holding 1',
    'placing 2',
    'holding 3',
    'placing 4',
    'promoting 5',
    'cleaning 5',
    'done',
  ];
  const wholeGreen = ['placing 0', 'holding 0', 'switching 1', 'holding 1', 'promoting 2', 'cleaning 2', 'done'];

  it('canary', () => expect(way(canary, null)).toEqual(wholeCanary));
  it('blue/green', () => expect(way(green, null)).toEqual(wholeGreen));
  it('blue/green without any steps', () => {
    const bare: Strategy = { kind: 'blue-green', service: { namespace: 'shop', name: 'api' }, before: [], after: [] };
    expect(way(bare, null)).toEqual(['placing 0', 'switching 0', 'promoting 0', 'cleaning 0', 'done']);
  });
  it.each(wholeCanary.slice(0, -2))('canary that fails at %s', (at) => {
    const told = way(canary, at);
    expect(told.slice(0, wholeCanary.indexOf(at) + 1)).toEqual(wholeCanary.slice(0, wholeCanary.indexOf(at) + 1));
    expect(told.slice(-2)).toEqual([expect.stringMatching(/^aborting/), 'ended']);
  });
  it.each(wholeGreen.slice(0, -2))('blue/green that fails at %s', (at) => {
    expect(way(green, at).slice(-2)).toEqual([expect.stringMatching(/^aborting/), 'ended']);
  });
  it('what can’t be removed after all went well doesn’t make it go back', () => {
    expect(way(canary, 'cleaning 5').at(-1)).toBe('ended');
    expect(way(canary, 'cleaning 5').join()).not.toContain('aborting');
  });
});
