import { describe, expect, it } from '@jest/globals';
import '#test/seeded.ts';
import * as fc from 'fast-check';
import { boundHead, type KnownHead } from '#src/model/bound-head.ts';

/** Seconds after some time: `A 10` is told by GitHub's clock, `A ?10.5` was only received then. */
function heads(...told: readonly string[]): readonly KnownHead[] {
  return told.map((text) => {
    const [sha = '', when = ''] = text.split(' ');
    const ms = Number(when.replace('?', '')) * 1000;
    return { sha, at: when.startsWith('?') ? null : ms, receivedAt: ms + (when.startsWith('?') ? 0 : 400) };
  });
}

const head = (sha: string) => ({ kind: 'head', sha });
const moved = (from: string | null, to: string) => ({ kind: 'moved', from, to });

describe('the head that a comment was written about', () => {
  it.each<[string, readonly KnownHead[], string, number, object]>([
    ['is the live one without any record', [], 'A', 20, head('A')],
    ['is the one before it', heads('A 10'), 'A', 20, head('A')],
    ['is the last before it', heads('A 10', 'B 15'), 'B', 20, head('B')],
    ['in whatever order they came', heads('B 15', 'A 10'), 'B', 20, head('B')],
    ['was pushed over after it', heads('A 10', 'B 25'), 'B', 20, moved('A', 'B')],
    ['was pushed over, which is not recorded yet', heads('A 10'), 'B', 20, moved('A', 'B')],
    ['was pushed over, and GitHub tells the older one still', heads('A 10', 'B 25'), 'A', 20, head('A')],
    ['is unclear in the same second', heads('A 10', 'B 20'), 'B', 20, moved('A', 'B')],
    ['is unclear in the same second, whichever is live', heads('A 10', 'B 20'), 'A', 20, moved('A', 'A')],
    ['is the only one that it ever had, of the same second', heads('A 20'), 'A', 20, head('A')],
    ['is unclear if that one isn’t live any more', heads('A 20'), 'B', 20, moved(null, 'B')],
    ['without a time of GitHub, the only one, received in the same second', heads('A ?20.4'), 'A', 20, head('A')],
    ['is clear a second later', heads('A 10', 'B 20'), 'B', 21, head('B')],
    ['is unknown if all came later', heads('B 25'), 'B', 20, moved(null, 'B')],
    ['came back, and counts', heads('A 10', 'B 25', 'A 30'), 'A', 20, head('A')],
    ['came back before it', heads('A 10', 'B 12', 'A 15'), 'A', 20, head('A')],
    ['left and came back around it', heads('A 10', 'B 15', 'A 25'), 'A', 20, moved('B', 'A')],
    ['left and came back, once in the same second', heads('A 10', 'B 20', 'A 25'), 'A', 20, moved('A', 'A')],
    ['was told again later: it did not change', heads('A 10', 'A 25'), 'A', 20, head('A')],
    ['was told again in the same second: it did not change', heads('A 10', 'A 20'), 'A', 20, head('A')],
    ['was told again after another', heads('A 10', 'B 15', 'B 25'), 'B', 20, head('B')],
    ['without a time of GitHub, received before', heads('A ?10.5'), 'A', 20, head('A')],
    ['without a time of GitHub, received in the same second', heads('A ?10', 'B ?20.4'), 'B', 20, moved('A', 'B')],
    ['without a time of GitHub, received later', heads('A ?10', 'B ?22'), 'B', 20, moved('A', 'B')],
    ['without a time of GitHub, alone and received later', heads('A ?22'), 'A', 20, moved(null, 'A')],
    ['of two in one second is unclear', heads('A 10', 'B 10'), 'B', 20, moved('B', 'B')],
    [
      'of two in one second is unclear once one came back',
      heads('B 10', 'A 10', 'B 25', 'A 30'),
      'A',
      20,
      moved('A', 'A'),
    ],
    ['with and without times', heads('A 10', 'B ?15.2'), 'B', 20, head('B')],
  ])('%s', (_what, known, live, at, expected) => {
    expect(boundHead(known, live, at * 1000)).toEqual(expected);
  });

  it('is compared by whole seconds, whatever the parts', () => {
    const known = [...heads('B 5'), { sha: 'A', at: 10_000, receivedAt: 10_900 }];
    expect(boundHead(known, 'A', 10_999)).toEqual(moved('B', 'A'));
    expect(boundHead(known, 'A', 11_000)).toEqual(head('A'));
  });
});

it('is never another than the one that was there, whenever things happened and in whatever order they were told', () => {
  const times = { ms: fc.integer({ min: 0, max: 8_000 }), receivedAt: fc.integer({ min: 0, max: 20_000 }) };
  const change = fc.record({ sha: fc.constantFrom('A', 'B', 'C'), ...times });
  const told = fc.record({
    changes: fc.array(change, { minLength: 1, maxLength: 6 }),
    at: fc.integer({ min: 0, max: 9_000 }),
  });
  fc.assert(
    fc.property(told, fc.integer(), ({ changes, at }, shift) => {
      const history = changes.toSorted((a, b) => a.ms - b.ms);
      // Nobody comments on a pull request before it has a head.
      fc.pre(at >= (history[0]?.ms ?? 0));
      const was = history.findLast(({ ms }) => ms <= at)?.sha;
      const live = history.at(-1)?.sha ?? '';
      // GitHub tells whole seconds, and Slipway hears of it in any order.
      const known = history.map(({ sha, ms, receivedAt }) => ({ sha, at: Math.floor(ms / 1000) * 1000, receivedAt }));
      const from = Math.abs(shift) % known.length;
      const bound = boundHead([...known.slice(from), ...known.slice(0, from)], live, Math.floor(at / 1000) * 1000);
      expect(bound.kind === 'head' ? bound.sha : was).toBe(was);
    }),
    { numRuns: 5_000 },
  );
});
