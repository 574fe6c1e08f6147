import * as fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { type DeployRow, deployComment, mergeRows, rowOf } from '#src/adapters/github/report/deploy-comment.ts';
import { deploymentOf } from '#src/adapters/github/report/deployment.ts';
import '#test/seeded.ts';
import { command, digest, plan, record } from './deploy-samples.ts';
import { ended, job, running, view } from './support.ts';

const mark = '<!-- mark -->';

function row(run: string, environment: string, state: DeployRow['state'], change: Partial<DeployRow> = {}): DeployRow {
  return {
    run,
    job: `${run}-${environment}`,
    environment,
    url: null,
    state,
    sha: 'a'.repeat(40),
    digests: [],
    by: 'ada',
    at: Date.UTC(2026, 0, 1, 12),
    details: 'https://ci.example/j',
    ...change,
  };
}

describe('which deployments are shown', () => {
  it.each([
    ['the first', [], [row('1', 'staging', 'queued')], ['1 staging queued']],
    ['its next state', [row('1', 'staging', 'queued')], [row('1', 'staging', 'success')], ['1 staging success']],
    [
      'a newer one that waits stands beside the one that is there',
      [row('1', 'staging', 'success')],
      [row('2', 'staging', 'pending')],
      ['2 staging pending', '1 staging success'],
    ],
    [
      'a newer one that failed, too',
      [row('1', 'staging', 'success')],
      [row('2', 'staging', 'failure')],
      ['2 staging failure', '1 staging success'],
    ],
    [
      'a newer one that succeeded takes its place, before the older is told to be gone',
      [row('1', 'staging', 'success')],
      [row('2', 'staging', 'success')],
      ['2 staging success'],
    ],
    ['and after', [row('2', 'staging', 'success')], [row('1', 'staging', 'inactive')], ['2 staging success']],
    [
      'one that is replaced from elsewhere stays, as gone',
      [row('1', 'staging', 'success')],
      [row('1', 'staging', 'inactive')],
      ['1 staging inactive'],
    ],
    [
      'an older one that failed goes',
      [row('1', 'staging', 'failure')],
      [row('2', 'staging', 'in_progress')],
      ['2 staging in_progress'],
    ],
    [
      'environments stand by name',
      [row('1', 'staging', 'success')],
      [row('2', 'production', 'pending'), row('2', 'staging', 'queued')],
      ['2 production pending', '2 staging queued', '1 staging success'],
    ],
    ['nothing', [], [], []],
  ] as const)('%s', (_what, known, news, shown) => {
    expect(mergeRows(known, news).map(({ run, environment, state }) => `${run} ${environment} ${state}`)).toEqual(
      shown,
    );
  });

  it('is the same in whatever order runs are told, and as often', () => {
    const rows = fc.uniqueArray(
      fc.record({
        run: fc.integer({ min: 1, max: 6 }).map(String),
        environment: fc.constantFrom('production', 'staging'),
        state: fc.constantFrom('pending' as const, 'success' as const, 'failure' as const, 'inactive' as const),
      }),
      { selector: ({ run, environment }) => `${run} ${environment}`, maxLength: 12 },
    );
    fc.assert(
      fc.property(rows, fc.infiniteStream(fc.nat()), (found, random) => {
        const all = found.map(({ run, environment, state }) => row(run, environment, state));
        const shuffled = all
          .map((it) => ({ it, at: random.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ it }) => it);
        const told = (order: readonly DeployRow[]) =>
          order.reduce<readonly DeployRow[]>((rs, it) => mergeRows(rs, [it]), []);
        expect(told(shuffled)).toEqual(mergeRows([], all));
        expect(told([...shuffled, ...all])).toEqual(mergeRows([], all));
      }),
    );
  });
});

it('the comment is a table, and the mark that finds it again', () => {
  const rows = [
    row('1', 'production', 'pending'),
    row('1', 'staging', 'success', {
      url: 'https://staging.example',
      digests: ['0123456789ab', '1', '2', '3'],
    }),
  ];
  expect(deployComment(rows, mark)).toBe(
    [
      '**Deployed from this pull request**',
      '',
      '| Environment | State | Commit | Image | By | When |  |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      '| production | ⏸️ Waits | `aaaaaaa` |  | ada | 2026-01-01 12:00 UTC | [Log](https://ci.example/j) |',
      '| [staging](https://staging.example) | ✅ Deployed | `aaaaaaa` | `0123456789ab` `1` `2` and 1 more | ada | 2026-01-01 12:00 UTC | [Log](https://ci.example/j) |',
      '',
      mark,
    ].join('\n'),
  );
});

it('a comment of hostile names harms nobody and fits', () => {
  const evil = '`]($(x))<img src=x> @acme/all | \n# Done <!-- -->'.repeat(20);
  const rows = Array.from({ length: 200 }, (_, i) => row('1', `${evil}${i}`, 'success', { by: evil, job: String(i) }));
  const text = deployComment(mergeRows([], rows), mark);
  expect(text.length).toBeLessThan(65_536);
  expect(text).not.toMatch(/<img|^# Done|@acme|<!-- -->/m);
});

it.each([
  ['waits for its turn', job('d', { plan, queuedAt: 5 }), 'queued', 5],
  ['runs', running('d', { plan, startedAt: 7 }), 'in_progress', 7],
  ['is there', ended('d', { kind: 'success' }, { plan, finishedAt: 9 }), 'success', 9],
] as const)('a deployment that %s is a row', (_what, it, state, at) => {
  const seen = view([it], { trigger: command, pullRequest: 7 });
  const deployed = { record: record(), images: { a: digest, b: digest, c: 'shop:latest' }, approvals: [] };
  const report = deploymentOf(seen, it, false, deployed);
  expect(report && rowOf(seen.run, it, report, deployed, 'https://ci.example/j')).toEqual({
    run: 'run1',
    job: 'd',
    environment: 'production',
    url: 'https://shop.example',
    state,
    sha: 'a'.repeat(40),
    digests: ['0123456789ab'],
    by: 'bob',
    at,
    details: 'https://ci.example/j',
  });
});
