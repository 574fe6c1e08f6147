import '#test/seeded.ts';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import { after, firstPhase, givenUp, type Move, next, type Result, type Seen, stepsOf } from '#src/model/steps.ts';

const target = { kind: 'deployment', cluster: null, namespace: 'shop', container: 'app', image: 'image' } as const;
const pause = { kind: 'pause', seconds: 60 } as const;
const approval = { kind: 'approval' } as const;
const weight = (percent: number) => ({ kind: 'weight', percent }) as const;
const canary: Strategy = { kind: 'canary', steps: [weight(10), pause, weight(50), approval, weight(100)] };
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

/** A world in which everything that may happen happens. */
interface Pods {
  wanted: number;
  available: number;
  images: 'old' | 'new' | 'other';
}

interface World {
  readonly stable: Pods[];
  readonly beside: (Pods | null)[];
  serves: 'stable' | 'beside';
}

/** What goes wrong, by the number of the move. */
interface Fate {
  readonly fails: ReadonlySet<number>;
  readonly cancelAt: number;
  /** The process dies before or after these moves, and knows no more than what was stored. */
  readonly dies: ReadonlySet<number>;
  /** Going back fails where the plain rollout does. */
  readonly breaks: boolean;
}

const fates: fc.Arbitrary<Fate> = fc.record({
  fails: fc.array(fc.nat(40), { maxLength: 3 }).map((it) => new Set(it)),
  cancelAt: fc.oneof(fc.constant(Infinity), fc.nat(40)),
  dies: fc.array(fc.nat(60), { maxLength: 8 }).map((it) => new Set(it)),
  breaks: fc.boolean(),
});
const step = fc.constantFrom(pause, approval, weight(1), weight(10), weight(33), weight(50), weight(90));
const strategies: fc.Arbitrary<Strategy> = fc.oneof(
  fc.array(step, { maxLength: 6 }).map(
    (steps): Strategy => ({
      kind: 'canary',
      steps: [
        ...steps.toSorted((a, b) => (a.kind === 'weight' && b.kind === 'weight' ? a.percent - b.percent : 0)),
        weight(100),
      ],
    }),
  ),
  fc.record({
    kind: fc.constant('blue-green' as const),
    service: fc.constant({ namespace: 'shop', name: 'api' }),
    before: fc.array(fc.constantFrom(pause, approval), { maxLength: 3 }),
    after: fc.array(fc.constantFrom(pause, approval), { maxLength: 3 }),
  }),
);
const givens = fc.array(fc.record({ replicas: fc.integer({ min: 0, max: 12 }), autoscaled: fc.boolean() }), {
  minLength: 1,
  maxLength: 3,
});

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

interface Played {
  readonly progress: StepsProgress;
  readonly world: World;
  readonly moves: number;
  /** Something was given up on the way back, after which fewer pods may serve. */
  readonly poor: boolean;
}

function play(strategy: Strategy, given: readonly Given[], fate: Fate): Played {
  const world: World = {
    stable: given.map(({ replicas }) => ({ wanted: replicas, available: replicas, images: 'old' })),
    beside: given.map(() => null),
    serves: 'stable',
  };
  let progress = begin(strategy, given);
  let gaveUp: Seen['gaveUp'][] = given.map(() => 'no');
  let count = 0;
  let poor = false;
  let wasBack = false;
  const failure = { kind: 'failure', reason: 'it failed' } as const;
  const store = (result: Result) => {
    progress = JSON.parse(JSON.stringify(after(progress, strategy, result, count))) as StepsProgress;
    gaveUp = given.map(() => 'no');
  };
  const look = (): Seen[] =>
    given.map((_, index) => {
      const pods = (it: Pods | null | undefined) =>
        it ? { wanted: it.wanted, settled: it.available === it.wanted, images: it.images } : null;
      return { stable: pods(world.stable[index]), beside: pods(world.beside[index]), gaveUp: gaveUp[index] ?? 'no' };
    });
  /** Whether the process lives on. */
  const make = (move: Move): Result | 'dead' | null => {
    count += 1;
    const forward = !['aborting', 'cleaning'].includes(progress.phase);
    if (forward && count >= fate.cancelAt) return { kind: 'failed', failure: { ...failure, kind: 'cancelled' } };
    const fails = fate.fails.has(count);
    const stable = 'index' in move ? world.stable[move.index] : undefined;
    switch (move.kind) {
      case 'place': {
        const before = world.beside[move.index];
        world.beside[move.index] = { wanted: move.replicas, available: before?.available ?? 0, images: 'new' };
        break;
      }
      case 'scale':
        if (!stable) break;
        stable.wanted = move.replicas;
        stable.available = Math.min(stable.available, move.replicas);
        break;
      case 'wait': {
        const pods = move.pods === 'stable' ? stable : world.beside[move.index];
        if (!pods) break;
        if (fails && progress.phase === 'aborting') {
          const seen = look()[move.index];
          if (seen) gaveUp[move.index] = givenUp(seen);
          poor = true;
        } else if (fails) return { kind: 'failed', failure };
        else pods.available = pods.wanted;
        break;
      }
      case 'remove':
        world.beside[move.index] = null;
        break;
      case 'switch':
        world.serves = move.to;
        break;
      case 'hold':
        return fails ? { kind: 'failed', failure } : { kind: 'done' };
      case 'promote':
        for (const [index, pods] of world.stable.entries()) {
          const { replicas = 0, autoscaled } = given[index] ?? { autoscaled: false };
          const wanted = autoscaled ? pods.wanted : replicas;
          const broken = fails && fate.breaks;
          // Even all at once: what stands beside bears it.
          pods.available = 0;
          check();
          Object.assign(pods, { wanted, available: broken ? 0 : wanted, images: fails && !broken ? 'old' : 'new' });
          if (broken) poor = true;
        }
        return fails ? { kind: 'failed', failure } : { kind: 'done' };
      case 'advance':
        return { kind: 'done' };
      case 'end':
        break;
    }
    check();
    return fate.dies.has(count) ? 'dead' : null;
  };
  function check(): void {
    for (const [index, { replicas, autoscaled }] of given.entries()) {
      const old = world.stable[index]?.available ?? 0;
      const fresh = world.beside[index]?.available ?? 0;
      const serving = strategy.kind === 'canary' ? old + fresh : world.serves === 'beside' ? fresh : old;
      must(poor || serving >= replicas, `${serving} pods serve, and there were ${replicas}`);
      must(!autoscaled || replicas === 0 || world.stable[index]?.wanted === replicas, 'an autoscaler was overruled');
    }
  }
  for (; progress.phase !== 'done' && progress.phase !== 'ended'; ) {
    if (count > 500) throw new Error('It never ends.');
    const back = progress.phase === 'aborting';
    must(!wasBack || back, 'it goes forward again');
    wasBack = back;
    const moves = next(progress, strategy, look(), world.serves);
    must(moves.length > 0, 'nobody knows what is next');
    for (const move of moves) {
      const result = make(move);
      if (result === 'dead') {
        gaveUp = given.map(() => 'no');
        break;
      }
      if (result === null) continue;
      store(result);
      break;
    }
  }
  return { progress, world, moves: count, poor };
}

describe('whatever happens', () => {
  it('it ends, never has fewer pods than before, and leaves the one version or the other whole', () => {
    const seen = { done: 0, ended: 0 };
    fc.assert(
      fc.property(strategies, givens, fates, (strategy, given, fate) => {
        const { progress, world, poor } = play(strategy, given, fate);
        if (progress.phase === 'done') seen.done += 1;
        else seen.ended += 1;
        const images = progress.phase === 'done' ? 'new' : 'old';
        if (poor) return;
        expect(world.serves).toBe('stable');
        expect(world.beside.every((it) => it === null)).toBe(true);
        expect(world.stable).toEqual(given.map(({ replicas }) => ({ wanted: replicas, available: replicas, images })));
        expect(progress.failed === undefined).toBe(progress.phase === 'done');
      }),
      { numRuns: 600 },
    );
    expect(Math.min(seen.done, seen.ended)).toBeGreaterThan(60);
  });

  it('what died is taken up in the same direction, with the same end', () => {
    fc.assert(
      fc.property(strategies, givens, fates, (strategy, given, fate) => {
        const lucky = { ...fate, fails: new Set<number>(), cancelAt: Infinity };
        const whole = play(strategy, given, { ...lucky, dies: new Set() });
        const resumed = play(strategy, given, lucky);
        expect(resumed.progress.phase).toBe('done');
        expect(resumed.world).toEqual(whole.world);
        expect(resumed.moves).toBeGreaterThanOrEqual(whole.moves);
      }),
      { numRuns: 400 },
    );
  });

  it('what is beside a broken version stays, for it may be all that serves', () => {
    const promote = play(canary, [{ replicas: 4, autoscaled: false }], {
      fails: new Set(),
      cancelAt: Infinity,
      dies: new Set(),
      breaks: false,
    }).moves;
    const left: (Pods | null)[] = [];
    for (let at = 1; at <= promote; at += 1) {
      const fails = new Set([at, at + 1, at + 2, at + 3, at + 4]);
      const { world } = play(canary, [{ replicas: 4, autoscaled: false }], {
        fails,
        cancelAt: Infinity,
        dies: new Set(),
        breaks: true,
      });
      if (world.stable[0]?.images === 'new' && world.stable[0].available === 0) {
        left.push(world.beside[0] ?? null);
      }
    }
    expect(left.length).toBeGreaterThan(0);
    for (const it of left) expect(it).toMatchObject({ images: 'new', available: 4 });
  });

  it('answers for every state', () => {
    const phases = ['placing', 'holding', 'switching', 'promoting', 'cleaning', 'aborting', 'done', 'ended'] as const;
    const pods = fc.option(
      fc.record({
        wanted: fc.nat(9),
        settled: fc.boolean(),
        images: fc.constantFrom('old' as const, 'new' as const, 'other' as const),
      }),
    );
    const seen = fc.record({
      stable: pods,
      beside: pods,
      gaveUp: fc.constantFrom('no' as const, 'beside' as const, 'alone' as const),
    });
    fc.assert(
      fc.property(
        strategies,
        fc.constantFrom(...phases),
        fc.nat(9),
        fc.array(seen, { maxLength: 2 }),
        fc.constantFrom('stable' as const, 'beside' as const),
        (strategy, phase, step, all, serves) => {
          const progress = { ...begin(strategy, [{ replicas: 3, autoscaled: false }]), phase, step };
          const moves = next(progress, strategy, all, serves);
          expect(moves.length).toBeGreaterThan(0);
          const failure = { kind: 'failure', reason: 'it failed' } as const;
          const back = after(progress, strategy, { kind: 'failed', failure }, 1);
          const on = after(progress, strategy, { kind: 'done' }, 1);
          const over = ['done', 'ended'].includes(phase);
          expect(over).toBe(moves[0]?.kind === 'end');
          expect(['aborting', 'ended', ...(over ? ['done'] : [])]).toContain(back.phase);
          expect(back === progress && on === progress).toBe(over);
          expect(on.step).toBeLessThanOrEqual(Math.max(step + 1, stepsOf(strategy).length));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
