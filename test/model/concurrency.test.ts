import { describe, expect, it } from '@jest/globals';
import { type Entry, settleGroup } from '#src/model/concurrency.ts';
import type { Concurrency } from '#src/model/plan.ts';

const one: Concurrency = { group: 'deploy', cancelInProgress: false, queue: 'single' };
const all: Concurrency = { ...one, queue: 'max' };
const newest: Concurrency = { ...one, cancelInProgress: true };

/** A line of runs: `1*` holds the group, `1.a` is a job of run 1. */
function line(...names: readonly string[]): readonly Entry[] {
  return names.map((name, seq) => {
    const [runId = '', job] = name.replace('*', '').split('.');
    return {
      holder: job === undefined ? `run:${runId}` : `job:${runId}.${job}`,
      runId,
      holds: name.endsWith('*'),
      seq,
    };
  });
}

describe('one of a group goes on', () => {
  it.each<[string, readonly Entry[], Concurrency, string, boolean, readonly string[], string | null]>([
    ['alone', line('1*'), one, 'run:1', true, [], null],
    ['it has the group, newer ones or not', line('1*', '2', '3'), newest, 'run:1', true, [], null],
    ['one waits', line('1*', '2'), one, 'run:2', false, [], 'Waits for run 1 in the concurrency group "deploy".'],
    [
      'a newer one takes the place of the one that waits',
      line('1*', '2', '3'),
      one,
      'run:3',
      false,
      ['run:2'],
      'Waits for run 1 in the concurrency group "deploy".',
    ],
    [
      'the older one leaves the newer alone',
      line('1*', '2', '3'),
      one,
      'run:2',
      false,
      [],
      'Waits for run 1 in the concurrency group "deploy".',
    ],
    [
      'all wait in order',
      line('1*', '2', '3', '4'),
      all,
      'run:4',
      false,
      [],
      'Waits for run 1 and 2 more in the concurrency group "deploy".',
    ],
    [
      'the newest ends all before it',
      line('1*', '2', '3'),
      newest,
      'run:3',
      false,
      ['run:1', 'run:2'],
      'Waits for run 1 in the concurrency group "deploy".',
    ],
    [
      'nobody has it for a moment',
      line('1', '2'),
      all,
      'run:2',
      false,
      [],
      'Waits for run 1 in the concurrency group "deploy".',
    ],
    [
      'it is its turn, but not given yet',
      line('2', '3'),
      one,
      'run:2',
      false,
      [],
      'Waits for the concurrency group "deploy".',
    ],
    ['it is not in the line', line('1*'), newest, 'run:2', false, [], 'Waits for the concurrency group "deploy".'],
    [
      'jobs of one run take turns',
      line('1.a*', '1.b', '1.c'),
      newest,
      'job:1.c',
      false,
      [],
      'Waits for another job of this run and 1 more in the concurrency group "deploy".',
    ],
    [
      'and go before those of another',
      line('1.a*', '1.b', '2.a'),
      one,
      'job:2.a',
      false,
      ['job:1.b'],
      'Waits for run 1 in the concurrency group "deploy".',
    ],
  ])('%s', (_, given, wanted, me, goes, cancel, note) => {
    const settled = settleGroup(given, wanted, me);
    expect([settled.goes, settled.cancel.map((entry) => entry.holder), settled.note]).toEqual([goes, cancel, note]);
  });

  it('and what it ends is told by whom', () => {
    expect(settleGroup(line('1*', '2', '3'), newest, 'run:3').cancel.map((entry) => entry.reason)).toEqual([
      'Cancelled by the newer run 3 in the concurrency group "deploy" (cancel-in-progress).',
      'Cancelled: the newer run 3 took its place in the concurrency group "deploy".',
    ]);
  });
});

/** A small group as the store keeps it, and runs that come, are settled and end in any order. */
function walk(seed: number) {
  const random = randomOf(seed);
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const wants = new Map<string, Concurrency>();
  const cancelled = new Map<string, string>();
  let entries: Entry[] = [];
  let seq = 0;
  const give = () => {
    const [first] = entries;
    if (first && !entries.some((entry) => entry.holds)) entries[0] = { ...first, holds: true };
  };
  const settle = (holder: string) => {
    const settled = settleGroup(entries, wants.get(holder) ?? one, holder);
    const own = entries.find((entry) => entry.holder === holder);
    for (const { holder: other } of settled.cancel) {
      const entry = entries.find((candidate) => candidate.holder === other);
      if (!entry || !own || entry.seq >= own.seq) throw new Error(`${holder} cancelled ${other}, which isn't older`);
      if (entry.runId === own.runId) throw new Error(`${holder} cancelled ${other} of its own run`);
      if (!cancelled.has(other)) cancelled.set(other, holder);
    }
    if (settled.goes !== (own?.holds ?? false)) throw new Error(`${holder} goes without the group, or waits with it`);
  };
  const leave = (holder: string) => {
    entries = entries.filter((entry) => entry.holder !== holder);
    give();
  };
  const enter = () => {
    seq += 1;
    const runId = random() < 0.2 && seq > 1 ? String(seq - 1) : String(seq);
    const holder = `job:${seq}`;
    wants.set(holder, pick([one, all, newest]) ?? one);
    entries.push({ holder, runId, holds: false, seq });
    if (entries.length === 1) give();
    settle(holder);
  };
  const step = (arrivals: boolean) => {
    const ends = entries.filter((entry) => entry.holds || cancelled.has(entry.holder));
    const action = random();
    if (arrivals && action < 0.4) enter();
    else if (action < 0.7) settle(pick(entries)?.holder ?? '');
    else leave(pick(ends)?.holder ?? '');
    if (entries.filter((entry) => entry.holds).length > 1) throw new Error('two go at a time');
  };
  return { step, left: () => entries.length, cancelled, last: () => `job:${seq}` };
}

it.each(Array.from({ length: 50 }, (_, seed) => seed))(
  'in any order, everything ends and the newest goes (seed %i)',
  (seed) => {
    const { step, left, cancelled, last } = walk(seed);
    for (let i = 0; i < 300; i += 1) step(true);
    expect(cancelled.has(last())).toBe(false);
    for (let i = 0; i < 3000 && left() > 0; i += 1) step(false);
    expect(left()).toBe(0);
    expect(cancelled.size).toBeGreaterThan(0);
  },
);

/** mulberry32 */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
