import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Past, rollbackTarget } from '#src/model/deploy/rollback-target.ts';
import '../seeded.ts';
import { patternOf } from './deploy-facts.ts';

/** A deployment of the version `A`, the `n`-th; its commit begins with the letter in small, repeated. */
function past(version: string, n: number, change: Partial<Past> & { details?: Past['details'] } = {}): Past {
  return {
    id: `d${n}`,
    sha: version.toLowerCase().repeat(40),
    state: 'inactive',
    actor: 'ada',
    createdAt: Date.UTC(2026, 10, n),
    changes: [{ workload: 'shop/api', after: `r/api@sha256:${version}` }],
    details: {},
    ...change,
  };
}

/** Versions in the order of their deployments; `*`: the one that succeeded last, `!`: it failed, `<`: rolled back from, `~`: it is under way, `-`: failed before anything was changed. */
function history(text: string): readonly Past[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word, index) => {
      const version = word[0] ?? '';
      const state = word.includes('*')
        ? 'success'
        : /[!-]/.test(word)
          ? 'failure'
          : word.includes('~')
            ? 'in_progress'
            : 'inactive';
      const details = {
        ...(word.includes('<') ? { rolledBack: true } : {}),
        ...(/v\d/.test(word) ? { tag: /v\d/.exec(word)?.[0] ?? '' } : {}),
      };
      return past(version, index + 1, { state, details, ...(word.includes('-') ? { changes: [] } : {}) });
    })
    .toReversed();
}

describe('a rollback goes', () => {
  it.each<[string, string, string | null, string | RegExp]>([
    ['to the one before', 'A B*', null, 'd1'],
    ['to the last of those digests', 'A B A C*', null, 'd3'],
    ['past one that was rolled back from', 'A B< C*', null, 'd1'],
    ['past what failed', 'A B! C*', null, 'd1'],
    ['past what has the digests that run', 'A B B B*', null, 'd1'],
    ['to one that was rolled back from once, and came again', 'A B< A B C*', null, 'd4'],
    ['nowhere without a history', '', null, /^There is nothing to roll back to\. Nothing was healthy here yet\.$/],
    ['nowhere if nothing was healthy', 'A! B!', null, /^There is nothing to roll back to\. Nothing was healthy/],
    [
      'nowhere if nothing else was healthy',
      'A*',
      null,
      /^There is nothing to roll back to\. What runs now is aaaaaaa by @ada on 2026-11-01 00:00 UTC\. Nothing else/,
    ],
    [
      'nowhere if all that was there was rolled back from',
      'B< A*',
      null,
      /^All that ran here before was rolled back from.*1: bbbbbbb .*, rolled back from\.$/,
    ],
    ['to what was rolled back from, if it is named', 'B< A*', '1', 'd1'],
    ['to the last healthy one after a failure', 'A B* C!', null, 'd2'],
    ['to the one before, if the failure changed nothing', 'A B* C-', null, 'd1'],
    ['to the one before, if what failed is what runs', 'A B* B!', null, 'd1'],
    ['to the last healthy one while another is under way', 'A B* C~', null, 'd2'],
    ['a step back', 'A B C*', '1', 'd2'],
    ['two steps back', 'A B C*', '2', 'd1'],
    ['steps among different digests', 'A B C B C*', '2', 'd1'],
    [
      'not further than there is',
      'A B*',
      '2',
      /^There are not 2 steps to go back\. What runs now is bbbbbbb .* There is 1: aaaaaaa by @ada/,
    ],
    ['not no step', 'A B*', '0', /^There are not 0 steps/],
    ['to a commit', 'A B C*', 'aaaaaaa', 'd1'],
    ['to a commit in capital letters', 'A B C*', 'AAAAAAAA', 'd1'],
    ['to a commit’s last deployment', 'A B A C*', 'a'.repeat(40), 'd3'],
    ['to a tag', 'Av1 Bv2 Cv3*', 'v1', 'd1'],
    ['to a tag’s last deployment', 'Av1 B Av1 C*', 'v1', 'd3'],
    ['not to a commit that failed', 'A B! C*', 'bbbbbbb', /^`bbbbbbb` never was healthy here/],
    ['not to an unknown tag', 'Av1 B*', 'v9', /^`v9` never was healthy here.*There is 1: aaaaaaa `v1`/],
    ['not to what runs', 'A B*', 'bbbbbbb', /^`bbbbbbb` is what runs here now\./],
    ['not to the tag that runs', 'A Bv2*', 'v2', /^`v2` is what runs here now\./],
    ['to what should run, after a failure', 'A B* C!', 'bbbbbbb', 'd2'],
    ['not to half a word', 'A B*', 'aa', /^`aa` never was healthy/],
    ['not to a hostile word', 'A B*', '`@all`\nx', /^`'@all' x` never was healthy/],
  ])('%s', (_name, text, to, answer) => {
    const target = rollbackTarget(history(text), to);
    expect(target.kind === 'found' ? target.record.id : target.message).toMatch(patternOf(answer));
  });

  it('not to one of two commits', () => {
    const two = [past('A', 3, { state: 'success' }), past('B', 2), past('C', 1)];
    const [, b, c] = two;
    const alike = [
      two[0],
      { ...b, sha: `abcdef1${'0'.repeat(33)}` },
      { ...c, sha: `abcdef1${'1'.repeat(33)}` },
    ] as Past[];
    expect(rollbackTarget(alike, 'abcdef1')).toMatchObject({
      kind: 'none',
      message: expect.stringMatching(/^More than one commit begins with `abcdef1`\./),
    });
    expect(rollbackTarget(alike, 'abcdef11')).toMatchObject({ kind: 'found', record: { id: 'd1' } });
  });

  it('by the images of the jobs where no workload is known', () => {
    const by = (image: string) => ({ changes: [], details: { images: { api: image } } });
    const all = [past('B', 2, { state: 'success', ...by('r@sha256:2') }), past('A', 1, by('r@sha256:1'))];
    expect(rollbackTarget(all, null)).toMatchObject({ kind: 'found', record: { id: 'd1' } });
  });

  it('by when something became healthy, not by when it began', () => {
    const slow = past('A', 1, { details: { healthyAt: Date.UTC(2026, 10, 9) } });
    expect(
      rollbackTarget(
        [past('C', 3, { state: 'success', details: { healthyAt: Date.UTC(2026, 10, 10) } }), past('B', 2), slow],
        null,
      ),
    ).toMatchObject({
      record: { id: 'd1' },
    });
  });

  it('to something that was healthy and differs from what runs, whatever the history', () => {
    const states = ['success', 'inactive', 'failure', 'error', 'in_progress', 'queued'] as const;
    const record = fc.record({
      version: fc.constantFrom('A', 'B', 'C', 'D'),
      state: fc.constantFrom(...states),
      rolledBack: fc.boolean(),
      tag: fc.option(fc.constantFrom('v1', 'v2'), { nil: undefined }),
    });
    const to = fc.option(fc.oneof(fc.string(), fc.constantFrom('1', '2', '3', 'aaaaaaa', 'v1')), { nil: null });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), to, (records, to) => {
        const all = records
          .map(({ version, state, rolledBack, tag }, index) =>
            past(version, index + 1, { state, details: { rolledBack, ...(tag === undefined ? {} : { tag }) } }),
          )
          .toReversed();
        const target = rollbackTarget(all, to);
        const newest = all[0];
        const running = all.find((it) => it.state === 'success');
        const calm = newest?.state === 'success' || newest?.state === 'inactive';
        const fits = (found: Past): boolean =>
          (found.state === 'success' || found.state === 'inactive') &&
          (to !== null || found.details.rolledBack !== true) &&
          !(calm && running?.changes[0]?.after === found.changes[0]?.after);
        expect(target.kind === 'none' ? target.message.endsWith('.') : fits(target.record)).toBe(true);
      }),
    );
  });
});
