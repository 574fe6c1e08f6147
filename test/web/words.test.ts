import { describe, expect, it } from '@jest/globals';
import type { Job, Step } from '#src/model/run.ts';
import { describeTrigger, formatDuration, repositoryUrl, statusOf } from '#src/web/format.ts';
import { stepSummary } from '#src/web/job-page.ts';
import { columns } from '#src/web/run-page.ts';
import type { Trigger } from '#src/model/event.ts';
import { deploy, planned, pullRequest, push, shop } from '#test/contracts/store-fixtures.ts';

it.each([
  [-5, '0 ms'],
  [850, '850 ms'],
  [12_400, '12 s'],
  [59_700, '1 min'],
  [185_000, '3 min 5 s'],
  [3_600_000, '1 h'],
  [7_800_000, '2 h 10 min'],
])('writes %i ms as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it.each([
  [push('a'), 'push to main'],
  [pullRequest('a', 7, 'x'), 'pull request #7'],
  [pullRequest('a', 7, 'x', true), 'pull request #7 from a fork'],
  [deploy('a', '1'), 'deployment to staging'],
  [{ ...deploy('a', '1'), mode: 'rollback' } as Trigger, 'rollback of staging'],
  [{ ...deploy('a', '1'), mode: 'promote' } as Trigger, 'promotion to staging'],
])('says what started a run', (trigger, text) => {
  expect(describeTrigger(trigger)).toBe(text);
});

it.each([
  ['https://github.example/acme/shop.git', 'https://github.example/acme/shop'],
  ['/home/ada/shop', null],
  ['javascript:alert(1)', null],
])('links the repository cloned from %s', (cloneUrl, url) => {
  expect(repositoryUrl({ ...shop, cloneUrl })).toBe(url);
});

it('tells the platform’s failure from the user’s', () => {
  const texts = (['failure', 'broken', 'timed_out'] as const).map(
    (kind) => statusOf({ state: 'completed', note: null, outcome: { kind, reason: '' } }).text,
  );
  expect(texts).toEqual(['failed', 'platform error', 'timed out']);
});

describe('the graph', () => {
  const job = (key: string, ...needs: string[]) => ({ plan: { ...planned(key), needs } }) as unknown as Job;
  const keys = (jobs: Job[]) => columns(jobs).map((column) => column.map((one) => one.plan.key));

  it('puts each job right of all that it needs', () => {
    const jobs = [job('ship', 'image', 'lint'), job('lint'), job('test'), job('image', 'test'), job('docs', 'gone')];
    expect(keys(jobs)).toEqual([['lint', 'test', 'docs'], ['image'], ['ship']]);
  });

  it("isn't led astray by a circle", () => {
    expect(
      keys([job('a', 'b'), job('b', 'a')])
        .flat()
        .sort(),
    ).toEqual(['a', 'b']);
  });
});

describe('a step', () => {
  const step = (change: Partial<Step>): Step => ({
    index: 0,
    name: '<b>',
    state: 'completed',
    exitCode: 0,
    startedAt: 0,
    finishedAt: 3000,
    logStart: 0,
    logEnd: 9,
    ...change,
  });
  const running = { state: 'running', exitCode: null, finishedAt: null } as const;
  const pending = { state: 'pending', exitCode: null, startedAt: null, finishedAt: null } as const;

  it.each([
    [step({}), true, 'done · 3 s'],
    [step({ exitCode: 2 }), false, 'exit code 2 · 3 s'],
    [step(running), false, 'running'],
    [step(running), true, 'stopped'],
    [step(pending), false, 'not started'],
    [step(pending), true, 'not run'],
  ])('says how it stands', async (one, over, text) => {
    const summary = (await stepSummary(one, over)).toString();
    expect(summary).toContain(`<span class="note">${text}</span>`);
    expect(summary).toContain('&lt;b&gt;');
  });
});
