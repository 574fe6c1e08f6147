import '#test/seeded.ts';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { FakeCluster, type FakeStep, fakeTrouble } from '#src/adapters/fake/cluster.ts';
import { rollOut } from '#src/engine/rollout.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { VirtualTime } from './virtual-time.ts';

const minute = 60_000;
const timeoutMs = 10 * minute;
const names = ['shop/api', 'shop/web', 'shop/job'];

function target(name: string, container = 'app'): RolloutTarget {
  const [namespace = '', workload = ''] = name.split('/');
  return { kind: 'deployment', cluster: null, namespace, name: workload, container, image: 'image' };
}

/** How a new version behaves after it is set: any few states, in any order, and what it comes to. */
const troubles = fc.constantFrom(
  [],
  [fakeTrouble({ kind: 'image', reason: 'ErrImagePull' })],
  [fakeTrouble({ kind: 'crash', reason: 'CrashLoopBackOff', restarts: 1, exitCode: 1 })],
  [fakeTrouble({ kind: 'crash', reason: 'CrashLoopBackOff', restarts: 5, exitCode: 1 })],
  [fakeTrouble({ kind: 'create', reason: 'FailedCreate' })],
  [fakeTrouble({ kind: 'unready', reason: 'Unhealthy' })],
);
const conditions = fc.constantFrom(
  [],
  [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: '' }],
);
const half = fc
  .record({
    afterMs: fc.integer({ min: 1, max: 2 * minute }),
    updated: fc.integer({ min: 0, max: 2 }),
    available: fc.integer({ min: 0, max: 2 }),
    replicas: fc.integer({ min: 2, max: 4 }),
    troubles,
    conditions,
    restarts: fc.integer({ min: 0, max: 3 }),
  })
  .map((it): FakeStep => it);
const whole = fc.integer({ min: 1, max: 2 * minute }).map((afterMs): FakeStep => ({ afterMs }));
const script = fc.array(fc.oneof(half, whole), { maxLength: 5 });

/** What happens beside the rollout, by the clock. */
const atMs = fc.oneof(fc.integer({ min: 0, max: 2 * minute }), fc.integer({ min: 0, max: 25 * minute }));
const meanwhile = fc.oneof(
  fc.record({ kind: fc.constant('cancel' as const), atMs }),
  fc.record({
    kind: fc.constant('outage' as const),
    atMs,
    forMs: fc.integer({ min: 1, max: 30 * minute }),
  }),
  fc.record({
    kind: fc.constant('theirs' as const),
    atMs,
    name: fc.constantFrom(...names),
  }),
);

const given = fc.record({
  count: fc.integer({ min: 1, max: 3 }),
  /** shop/api has two containers that are both set. */
  both: fc.boolean(),
  atOnce: fc.boolean(),
  stableMs: fc.constantFrom(0, 5000, 3 * minute),
  forward: fc.array(script, { minLength: 4, maxLength: 4 }),
  /** How the way back goes; the usual is that it goes well. */
  backward: fc.oneof(
    { weight: 3, arbitrary: fc.constant<readonly FakeStep[]>([{ afterMs: 500 }]) },
    { weight: 1, arbitrary: script },
  ),
  refused: fc.oneof(
    { weight: 4, arbitrary: fc.constant(-1) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 2 }) },
  ),
  beside: fc.array(meanwhile, { maxLength: 2 }),
});
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never;

async function play(it: Given) {
  const time = new VirtualTime();
  const items = [
    ...names.slice(0, it.count).map((name, place) => ({ target: target(name), image: `new-${place}` })),
    ...(it.both ? [{ target: target('shop/api', 'proxy'), image: 'new-3' }] : []),
  ];
  /** Patches and what others set, in order: `shop/api=image`. */
  const cluster = new FakeCluster({
    workloads: names.map((name) => ({ name, image: 'old', containers: ['app', 'proxy'] })),
    behave: (image) => {
      const place = /^new-(\d)$/.exec(image)?.[1];
      return place === undefined ? it.backward : (it.forward[Number(place)] ?? []);
    },
    refuse: (image) => (image === `new-${it.refused}` ? new UserError('It is refused.') : null),
    sleep: (ms) => time.sleep(ms),
  });
  const cancel = new AbortController();
  /** Places in `patches` at which somebody else set an image. */
  const theirs = new Map<string, number>();
  for (const event of it.beside) {
    void time.sleep(event.atMs).then(() => {
      if (event.kind === 'cancel') cancel.abort(new Error('Cancelled by @ada.'));
      else if (event.kind === 'outage') {
        cluster.outage(new PlatformError('It is away.'));
        void time.sleep(event.forMs).then(() => cluster.outage(null));
      } else {
        theirs.set(event.name, cluster.patches.length);
        cluster.change(event.name, { generation: 1000, observedGeneration: 1000, image: 'theirs' });
      }
    });
  }
  const stored: (readonly RolloutChange[])[] = [];
  const result = await rollOut({
    items,
    begun: null,
    cluster,
    clock: { now: () => 1e12 + time.now() },
    timeoutMs,
    stableMs: it.stableMs,
    atOnce: it.atOnce,
    onProgress: () => {},
    onChange: async (changes) => void stored.push(changes),
    onLines: () => {},
    signal: cancel.signal,
    leave: new AbortController().signal,
    time: { steady: () => time.now(), sleep: (ms, signal) => time.sleep(ms, signal) },
  });
  const tookMs = time.now();
  cluster.outage(null);
  const images = new Map<string, string>();
  for (const { target: at } of items) {
    const { image } = await cluster.inspect(at, new AbortController().signal);
    images.set(`${at.namespace}/${at.name}:${at.container}`, image);
  }
  return { result, stored, cluster, theirs, items, images, tookMs, cancelled: cancel.signal.aborted };
}

const check = (judge: (it: Given, played: Awaited<ReturnType<typeof play>>) => void) =>
  fc.assert(
    fc.asyncProperty(given, async (it) => judge(it, await play(it))),
    { numRuns: 300 },
  );

describe('a rollout, whatever happens', () => {
  it('ends, in the time that it has', async () => {
    await check((it, { tookMs, items }) => {
      // Looking, forward and back for each workload, with what must stay stable and a last look.
      expect(tookMs).toBeLessThanOrEqual((1 + 2 * items.length) * (timeoutMs + it.stableMs + minute));
    });
  });

  it('runs the new images everywhere after a success, and said so', async () => {
    let successes = 0;
    await check((_it, { result, items, images, theirs }) => {
      if (result.outcome.kind !== 'success') return;
      successes += 1;
      for (const { target: at, image } of items) {
        if (theirs.has(`${at.namespace}/${at.name}`)) continue;
        expect(images.get(`${at.namespace}/${at.name}:${at.container}`)).toBe(image);
      }
      expect(result.changes.every((change) => change.phase === 'done')).toBe(true);
    });
    expect(successes).toBeGreaterThan(20);
  });

  it('leads to the last healthy images after any other end, or says loudly that it didn’t', async () => {
    let back = 0;
    await check((_it, { result, items, images, theirs }) => {
      if (result.outcome.kind === 'success') return;
      const reason = 'reason' in result.outcome ? result.outcome.reason : '';
      expect(reason).not.toBe('');
      for (const { target: at } of items) {
        const name = `${at.namespace}/${at.name}`;
        if (theirs.has(name)) continue;
        const isBack = images.get(`${name}:${at.container}`) === 'old';
        if (isBack) back += 1;
        expect(isBack || reason.includes(`GOING BACK FAILED: ${name} was to run`)).toBe(true);
      }
    });
    expect(back).toBeGreaterThan(50);
  });

  it('never overwrites what somebody else set', async () => {
    let others = 0;
    await check((_it, { cluster, theirs }) => {
      for (const [name, place] of theirs) {
        others += 1;
        const after = cluster.patches
          .slice(place)
          .filter((patch) => patch.startsWith(`${name}=`) || patch.startsWith(`${name}:`));
        expect(after).toEqual([]);
      }
    });
    expect(others).toBeGreaterThan(20);
  });

  it('patches nothing that isn’t stored before, and nothing forward once it goes back', async () => {
    await check((_it, { stored, cluster, items }) => {
      const first = cluster.patches.findIndex((patch) => patch.endsWith('=old'));
      const forward = first < 0 ? [] : cluster.patches.slice(first).filter((patch) => !patch.endsWith('=old'));
      expect(forward).toEqual([]);
      expect(cluster.patches.length === 0 || stored[0]?.length === items.length).toBe(true);
      // A workload that failed, or goes back, is never rolling again.
      const goingBack = stored.findIndex((changes) => changes.some((it) => it.failed));
      if (goingBack < 0) return;
      for (const changes of stored.slice(goingBack)) {
        expect(changes.filter((it) => it.phase === 'planned').length).toBeLessThan(items.length);
      }
    });
  });
});
