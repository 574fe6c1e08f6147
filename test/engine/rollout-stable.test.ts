import { describe, expect, it } from '@jest/globals';
import { type FakeStep, fakeTrouble } from '#src/adapters/fake/cluster.ts';
import type { RolloutItem } from '#src/engine/rollout.ts';
import { api, good, old, roll, target, web } from './rollout-support.ts';

describe('what must stay complete', () => {
  const five = { stableMs: 5000 };

  it('succeeds when it has been complete for so long', async () => {
    const result = await roll([api(good)], five);
    expect(result.outcome).toEqual({ kind: 'success' });
    // 1.1 s until it is complete.
    expect(result.tookMs).toBe(6100);
    expect(result.progress.at(-1)).toBe('shop/api: 2 of 2 updated and available; it counts after 5 s on end');
  });

  it.each<[string, FakeStep[], number]>([
    ['a pod that dies', [{ afterMs: 100 }, { afterMs: 3000, available: 1 }, { afterMs: 2000 }], 10_100],
    ['a container that restarts', [{ afterMs: 100 }, { afterMs: 3000, restarts: 1 }], 8100],
  ])('starts over after %s', async (_name, steps, tookMs) => {
    const result = await roll([api(good)], { ...five, behave: () => steps });
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.tookMs).toBe(tookMs);
  });

  it('may take so much longer than the timeout, and no more', async () => {
    const late = [{ afterMs: 599_000 }];
    expect((await roll([api(good)], { ...five, behave: () => late })).outcome).toEqual({ kind: 'success' });
    const restless = [{ afterMs: 598_000 }, ...[1, 2, 3, 4].map((restarts) => ({ afterMs: 2000, restarts }))];
    const result = await roll([api(good)], {
      ...five,
      behave: (image) => (image === old ? [{ afterMs: 100 }] : restless),
    });
    expect(result.outcome).toMatchObject({
      kind: 'timed_out',
      reason: expect.stringMatching(
        /became available, but never stayed so for 5 s\..* runs r\/api@sha256:old again/,
      ) as unknown,
    });
    expect(result.tookMs).toBe(605_100);
  });

  it('goes back when it crashes after all', async () => {
    const crashing = [
      { afterMs: 100 },
      {
        afterMs: 2000,
        available: 0,
        troubles: [fakeTrouble({ kind: 'crash', reason: 'CrashLoopBackOff', restarts: 3, exitCode: 1 })],
      },
    ];
    const result = await roll([api(good)], {
      ...five,
      behave: (image) => (image === old ? [{ afterMs: 100 }] : crashing),
    });
    expect(result.outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/exits with code 1.*runs r\/api@sha256:old again/),
    );
  });

  it('is never awaited where nothing was changed, or nothing runs', async () => {
    expect((await roll([api(old)], five)).tookMs).toBe(0);
    const none = { wanted: 0, updated: 0, available: 0, replicas: 0 };
    const result = await roll([api(good)], { ...five, workloads: [{ name: 'shop/api', image: old, ...none }] });
    expect(result.summary).toBe('shop/api: set, but not verified: 0 replicas');
    expect(result.tookMs).toBeLessThan(5000);
  });

  it('is begun again after an outage: nobody knows what was meanwhile', async () => {
    const result = await roll([api(good)], { ...five, outage: [3000, 20_000] });
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.tookMs).toBeGreaterThan(25_000);
  });
});

describe('all at once', () => {
  const atOnce = { atOnce: true };

  it('rolls all workloads at the same time', async () => {
    const result = await roll([api(good), web(good)], atOnce);
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.tookMs).toBe(1100);
    expect(result.summary).toBe('shop/api: 2 of 2 updated and available; shop/web: 2 of 2 updated and available');
  });

  it('brings all back when one fails, also those that were done or still rolled', async () => {
    const result = await roll([api(good), web('missing')], atOnce);
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(result.patches.toSorted()).toEqual(
      [`shop/api=${good}`, `shop/api=${old}`, 'shop/web=missing', `shop/web=${old}`].toSorted(),
    );
    const rolling = await roll([api('silent'), web('missing')], atOnce);
    expect(rolling.outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/^shop\/web: the image.*shop\/web runs \S+ again\. shop\/api runs \S+ again\.$/),
    );
    expect(rolling.tookMs).toBeLessThan(120_000);
  });

  it('leaves alone what somebody else set, and brings the others back', async () => {
    const result = await roll([api('silent'), web(good)], {
      ...atOnce,
      meanwhile: (cluster) => cluster.change('shop/api', { generation: 5, observedGeneration: 5, image: 'theirs' }),
    });
    expect(result.outcome).toHaveProperty('reason', expect.stringMatching(/somebody else set the image to theirs/));
    expect(result.patches).toEqual(['shop/api=silent', `shop/web=${good}`, `shop/web=${old}`]);
  });

  it('is cancelled as a whole', async () => {
    const result = await roll([api(good), web('silent')], { ...atOnce, cancelAtMs: 300 });
    expect(result.outcome).toMatchObject({
      kind: 'cancelled',
      reason: expect.stringContaining('Cancelled by ann.') as unknown,
    });
    expect(result.patches.slice(2).toSorted()).toEqual([`shop/api=${old}`, `shop/web=${old}`]);
  });
});

describe('several clusters', () => {
  it('are told apart where one name is in both', async () => {
    const there = { target: target('shop/api', { cluster: 'eu' }), image: 'missing' };
    const workloads = [{ name: 'shop/api', image: old }];
    const result = await roll([there], { workloads });
    expect(result.progress[0]).toBe('shop/api (eu): setting the image');
    expect(result.progress).toContain('shop/api (eu): 1 of 2 updated, 2 available; ErrImagePull');
    expect(result.outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/^shop\/api \(eu\): the image.* shop\/api \(eu\) runs r\/api@sha256:old again\.$/),
    );
    expect(result.changes).toMatchObject([{ workload: 'shop/api', cluster: 'eu' }]);
  });
});

describe('several containers of one workload', () => {
  const workloads = [{ name: 'shop/api', image: old, containers: ['app', 'proxy'] }];
  const proxy = (image: string): RolloutItem => ({ target: target('shop/api', { container: 'proxy' }), image });
  let sets: string[] = [];
  const counted = {
    workloads,
    counts: (images: Readonly<Record<string, string>>) => sets.push(Object.keys(images).join()),
  };

  it.each([true, false])('are set by one patch, and come back by one (at once: %s)', async (atOnce) => {
    sets = [];
    const result = await roll([api(good), proxy('missing')], { ...counted, atOnce });
    expect(sets).toEqual(['app,proxy', 'app,proxy']);
    expect(result.outcome).toHaveProperty('reason', expect.stringMatching(/shop\/api runs r\/api@sha256:old again\.$/));
    expect(result.changes).toMatchObject([
      { workload: 'shop/api', container: 'app', kind: 'deployment', cluster: null, before: old, after: good },
      { workload: 'shop/api', container: 'proxy', before: old, after: 'missing' },
    ]);
  });
});
