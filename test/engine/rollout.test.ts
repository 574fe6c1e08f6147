import { describe, expect, it } from '@jest/globals';
import { fakeTrouble } from '#src/adapters/fake/cluster.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { api, behaviours, good, old, roll, target, web } from './rollout-support.ts';

describe('rollOut', () => {
  it('rolls one workload after the other and says how it goes', async () => {
    const result = await roll([api(good), web(good)]);
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.progress).toEqual([
      'shop/api: setting the image',
      'shop/api: waiting for the cluster to take up the change',
      'shop/api: 0 of 2 updated, 2 available',
      'shop/api: 1 of 2 updated, 2 available',
      'shop/web: setting the image',
      'shop/web: waiting for the cluster to take up the change',
      'shop/web: 0 of 2 updated, 2 available',
      'shop/web: 1 of 2 updated, 2 available',
    ]);
    expect(result.summary).toBe('shop/api: 2 of 2 updated and available; shop/web: 2 of 2 updated and available');
    expect(result.patchedWhenPlanned).toBe(0);
    expect(result.stored.at(-1)).toEqual(result.changes);
    expect(result.changes).toMatchObject([
      { workload: 'shop/api', before: old, after: good },
      { workload: 'shop/web', before: old, after: good },
    ]);
  });

  it('patches nothing and names every mistake if any target is wrong', async () => {
    const result = await roll(
      [
        api(good),
        { target: target('shop/api', { container: 'nope' }), image: good },
        { target: target('shop/gone'), image: good },
        web(good),
      ],
      {
        workloads: [
          { name: 'shop/api', containers: ['app', 'proxy'] },
          { name: 'shop/web', paused: true },
        ],
      },
    );
    expect(result.patches).toEqual([]);
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(JSON.stringify(result.outcome)).toMatch(
      /no container nope; it has app, proxy.*no deployment shop\/gone.*shop\/web is paused/,
    );
  });

  it('goes back when the container crashes, with its last lines', async () => {
    const result = await roll([api('crash')]);
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(result.outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/exits with code 1.*shop\/api runs r\/api@sha256:old again\.$/),
    );
    expect(result.lastLines).toBe('starting\nfatal: boom');
    expect(result.patches).toEqual(['shop/api=crash', `shop/api=${old}`]);
    expect(result.tookMs).toBeLessThan(120_000);
  });

  it('puts the earlier workloads back too, last first', async () => {
    const result = await roll([api(good), web('missing')]);
    expect(result.patches).toEqual([`shop/api=${good}`, 'shop/web=missing', `shop/web=${old}`, `shop/api=${old}`]);
    expect(result.summary).toBe(`shop/web runs ${old} again. shop/api runs ${old} again.`);
  });

  it('waits for a trouble that passes', async () => {
    expect((await roll([api('passing')])).outcome).toEqual({ kind: 'success' });
  });

  it('gives up at its own deadline when the cluster says nothing', async () => {
    const result = await roll([api('silent')]);
    expect(result.outcome).toMatchObject({ kind: 'timed_out' });
    expect(result.patches.at(-1)).toBe(`shop/api=${old}`);
  });

  it('says loudly when going back fails', async () => {
    const result = await roll([api('missing')], {
      behave: (image) => behaviours[image === old ? 'silent' : image] ?? [],
    });
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(result.summary).toMatch(/^GOING BACK FAILED: shop\/api was to run r\/api@sha256:old again, but: /);
  });

  it('leaves alone what somebody else changed meanwhile', async () => {
    const result = await roll([api(good)], {
      meanwhile: (cluster) =>
        cluster.change('shop/api', { generation: 5, observedGeneration: 5, image: 'r/api:theirs' }),
    });
    expect(result.outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/somebody else set the image to r\/api:theirs/),
    );
    expect(result.patches).toEqual([`shop/api=${good}`]);
  });

  it('leaves everything as it is when the server stops', async () => {
    await expect(roll([api(good), web(good)], { leaveAtMs: 300 })).rejects.toThrow(
      `Error: The server stops. shop/api=${good}`,
    );
  });

  it('puts back what a cancelled rollout changed', async () => {
    const result = await roll([api(good)], { cancelAtMs: 300 });
    expect(result.outcome).toEqual({ kind: 'cancelled', reason: `Cancelled by ann. shop/api runs ${old} again.` });
    expect(result.patches).toEqual([`shop/api=${good}`, `shop/api=${old}`]);
  });

  it('succeeds at once when the image runs already', async () => {
    const result = await roll([api(old)]);
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.changes).toMatchObject([{ workload: 'shop/api', before: old, after: old }]);
    expect(result.patches).toEqual([]);
  });

  it('is taken up after a restart and still knows what ran before', async () => {
    const workloads = [{ name: 'shop/api', image: 'missing', generation: 2, observedGeneration: 1 }];
    const result = await roll([api('missing', { before: old })], {
      workloads,
      meanwhile: (cluster) =>
        cluster.change('shop/api', {
          observedGeneration: 2,
          updated: 1,
          troubles: [fakeTrouble({ kind: 'image', reason: 'ErrImagePull' })],
        }),
    });
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(result.patches).toEqual([`shop/api=${old}`]);
    expect(result.changes).toMatchObject([{ workload: 'shop/api', before: old, after: 'missing' }]);
  });

  it.each([
    ['was healthy', {}, old],
    ['was broken already', { available: 0 }, 'r/api@sha256:healthy'],
  ])('goes back to the right image when it %s', async (_name, state, expected) => {
    const result = await roll([api('missing', { lastHealthy: 'r/api@sha256:healthy' })], {
      workloads: [{ name: 'shop/api', image: old, ...state }],
    });
    expect(result.patches.at(-1)).toBe(`shop/api=${expected}`);
  });

  it.each([
    ['the user’s', new UserError('The image is refused.'), 'failure'],
    ['the platform’s', new PlatformError('The API server is gone.'), 'broken'],
  ])('keeps %s failure apart', async (_name, error, kind) => {
    const result = await roll([api(good)], { refuse: (image) => (image === good ? error : null) });
    expect(result.outcome).toMatchObject({ kind });
    expect(result.patches).toEqual([]);
  });

  it('keeps progress within GitHub’s limit', async () => {
    const long = `r/${'x'.repeat(300)}@sha256:long`;
    const result = await roll([api('missing')], { workloads: [{ name: 'shop/api', image: long }] });
    expect(Math.max(...result.progress.map((it) => it.length))).toBe(140);
  });
});

describe('an outage of the Kubernetes API', () => {
  it.each<[string, readonly [number, number]]>([
    ['before anything is known', [0, 200_000]],
    ['at the patch', [1, 200_000]],
    ['while it rolls', [300, 200_000]],
  ])('%s is told and waited for, and is no outcome', async (_name, outage) => {
    const result = await roll([api(good), web(good)], { outage });
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.patches).toEqual([`shop/api=${good}`, `shop/web=${good}`]);
    expect(result.progress.join('\n')).toContain("shop/api: the Kubernetes API doesn't answer; still trying.");
  });

  it('while going back is waited for', async () => {
    const result = await roll([api('missing')], { outage: [60_050, 400_000] });
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(result.summary).toBe(`shop/api runs ${old} again.`);
  });

  it.each([
    ['before the first patch', 0, [], /^The Kubernetes API couldn't be reached until the time was over/, 2_000_000],
    [
      'while it rolls and goes back',
      300,
      [`shop/api=${good}`],
      /unknown how the rollout went\..*couldn't be reached.* GOING BACK FAILED: .*unknown what it runs/,
      20_000_000,
    ],
    [
      'while it rolls, but not to the end',
      300,
      [`shop/api=${good}`, `shop/api=${old}`],
      /unknown how the rollout went\..* shop\/api runs r\/api@sha256:old again\.$/,
      700_000,
    ],
  ] as const)('that lasts is the platform’s, never the user’s: %s', async (_name, from, patches, reason, to) => {
    const result = await roll([api(good)], { outage: [from, to] });
    expect(result.outcome).toMatchObject({ kind: 'broken', reason: expect.stringMatching(reason) as unknown });
    expect(result.patches).toEqual(patches);
  });

  it('does not hide that the rollout is complete when its time is over', async () => {
    const result = await roll([api(good)], { outage: [300, 595_000] });
    expect(result.outcome).toEqual({ kind: 'success' });
  });

  it('leaves a rollout as it is when the server stops meanwhile', async () => {
    const rolled = roll([api(good)], { outage: [300, 500_000], leaveAtMs: 2_000 });
    await expect(rolled).rejects.toThrow(`Error: The server stops. shop/api=${good}`);
  });

  it('lets a person cancel, and goes back when it is over', async () => {
    const result = await roll([api(good)], { outage: [300, 400_000], cancelAtMs: 2_000 });
    expect(result.outcome).toEqual({ kind: 'cancelled', reason: `Cancelled by ann. shop/api runs ${old} again.` });
  });

  it('does not wait for what the operator has to correct', async () => {
    const wrong = new PlatformError('The kubeconfig has no context eu.', { retry: 'never' });
    const result = await roll([api(good)], { outage: [0, 1000], why: wrong });
    expect(result.outcome).toEqual({ kind: 'broken', reason: 'The kubeconfig has no context eu.' });
    expect(result.tookMs).toBe(0);
  });
});

describe('a clock that jumps', () => {
  const hour = 3_600_000;
  it.each([
    ['forwards', hour],
    ['backwards', -hour],
  ])('%s within a process changes nothing', async (_name, jump) => {
    const wall = (steady: number) => 1e12 + steady + (steady > 200 ? jump : 0);
    expect((await roll([api(good)], { wall })).outcome).toEqual({ kind: 'success' });
    const late = await roll([api('silent')], { wall, behave: (image) => behaviours[image] ?? [] });
    expect(late.outcome).toMatchObject({ kind: 'timed_out' });
    expect(late.tookMs).toBeGreaterThanOrEqual(600_000);
    expect(late.tookMs).toBeLessThan(610_000);
  });

  const begun = (sinceAgoMs: number): readonly RolloutChange[] => [
    {
      workload: 'shop/api',
      before: old,
      after: 'silent',
      phase: 'forward',
      back: old,
      since: 1e12 - sinceAgoMs,
      set: { generation: 2, image: 'silent' },
    },
  ];
  const workloads = [{ name: 'shop/api', image: 'silent', generation: 2, observedGeneration: 1 }];
  it.each([
    ['200 s after its start: the rest', 200_000, 400_000],
    ['an hour late, or the clock was set forwards: as long as a look takes', hour, 60_000],
    ['before its start, by a clock set backwards: never more than the limit', -hour, 600_000],
  ])('is taken up %s', async (_name, ago, leftMs) => {
    const wall = (steady: number) => 1e12 + steady;
    const result = await roll([api('silent')], { workloads, begun: begun(ago), wall });
    expect(result.outcome).toMatchObject({ kind: 'timed_out' });
    // Going back takes 100 ms.
    expect(result.tookMs).toBe(leftMs + 100);
  });

  it('still ends as success if it was complete long before it is taken up', async () => {
    const workloads = [{ name: 'shop/api', image: 'silent', generation: 2, observedGeneration: 2 }];
    const result = await roll([api('silent')], { workloads, begun: begun(hour), wall: (steady) => 1e12 + steady });
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.patches).toEqual([]);
  });
});
