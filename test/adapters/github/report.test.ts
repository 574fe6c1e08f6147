import { describe, expect, it } from '@jest/globals';
import { checkAnnotations, checkRunOf } from '#src/adapters/github/report/check-run.ts';
import { runCheckOf } from '#src/adapters/github/report/run-check.ts';
import { cutBytes, escapeMarkdown, fenced, plainLog, titleOf } from '#src/adapters/github/report/text.ts';
import { duration } from '#src/model/duration.ts';
import type { Job } from '#src/model/run.ts';
import { plannedOf } from '#test/model/samples.ts';
import { deployment, earlier, ended, job, running, view } from './support.ts';

const extras = { detailsUrl: 'https://ci.example/j', excerpt: '' };
const show = (it: Job, excerpt = '') => checkRunOf(view([it]), it, { ...extras, excerpt });
const failed = { kind: 'failure', reason: '`npm test` exited with 1' } as const;
const tests = { total: 120, failed: 3, skipped: 7, failures: ['adds', 'removes | @ada', 'counts'] };

describe('what a check run says', () => {
  it.each([
    [
      'a waiting job',
      job('t', { state: 'waiting', plan: plannedOf('t', { needs: ['lint'] }) }),
      'queued',
      null,
      'Waiting',
    ],
    ['a queued job', job('t'), 'queued', null, 'Queued'],
    ['a job that starts', running('t'), 'in_progress', null, 'Starting'],
    ['success', ended('t', { kind: 'success' }), 'completed', 'success', 'Passed in 1 m 12 s'],
    [
      'tests that passed',
      ended('t', { kind: 'success' }, { tests: { ...tests, failed: 0, failures: [] } }),
      'completed',
      'success',
      '120 tests passed in 1 m 12 s',
    ],
    ['a failure', ended('t', failed), 'completed', 'failure', '`npm test` exited with 1'],
    ['failed tests', ended('t', failed, { tests }), 'completed', 'failure', '3 of 120 tests failed'],
    [
      'a failure that is allowed',
      ended('t', failed, { plan: plannedOf('t', { continueOnError: true }) }),
      'completed',
      'neutral',
      'Failed, which is allowed: `npm test` exited with 1',
    ],
    [
      'a timeout',
      ended('t', { kind: 'timed_out', reason: '60 minutes' }),
      'completed',
      'timed_out',
      'Timed out: 60 minutes',
    ],
    ['a stop', ended('t', { kind: 'cancelled', reason: 'by Ada' }), 'completed', 'cancelled', 'Cancelled: by Ada'],
    [
      'a skip',
      ended('t', { kind: 'skipped', reason: 'Only on main.' }),
      'completed',
      'skipped',
      'Skipped: Only on main.',
    ],
    [
      'a failure of the platform',
      ended('t', { kind: 'broken', reason: 'The disk is full.' }),
      'completed',
      'cancelled',
      'Slipway failed, not your change: The disk is full.',
    ],
    [
      'a rollout under way',
      running('d', { plan: deployment('staging'), progress: '1 of 3 pods are new' }),
      'in_progress',
      null,
      '1 of 3 pods are new',
    ],
    [
      'a rollout',
      ended('d', { kind: 'success' }, { plan: deployment('staging') }),
      'completed',
      'success',
      'Deployed to staging in 1 m 12 s',
    ],
  ] as const)('%s', (_what, it, status, conclusion, title) => {
    expect(show(it)).toMatchObject({ status, conclusion, title });
  });

  it('names the jobs that it waits for, and not those that are done', () => {
    const waits = job('t', { state: 'waiting', plan: plannedOf('t', { needs: ['lint', 'types'] }) });
    const all = view([ended('lint', { kind: 'success' }), running('types'), waits]);
    expect(checkRunOf(all, waits, extras).title).toBe('Waiting for types');
  });

  it('has a table of steps and the failed tests by name', () => {
    const step = (index: number, change: Partial<Job['steps'][number]>) => ({
      index,
      name: `step ${index}`,
      state: 'completed' as const,
      exitCode: 0,
      startedAt: 0,
      finishedAt: 1500,
      logStart: 0,
      logEnd: 9,
      ...change,
    });
    const steps = [
      step(0, { name: 'echo a | tee b' }),
      step(1, { exitCode: 2 }),
      step(2, { state: 'pending', exitCode: null, startedAt: null, finishedAt: null }),
    ];
    const { summary } = show(ended('t', failed, { tests, steps }));
    expect(summary.split('\n')).toEqual([
      '**Failed.** \\`npm test\\` exited with 1. Took 1 m 12 s.',
      '',
      '**Tests:** 120 in all, 3 failed, 110 passed, 7 skipped.',
      '',
      '- ❌ adds',
      '- ❌ removes \\| @\u200Bada',
      '- ❌ counts',
      '',
      '| | Step | Time |',
      '|---|---|---:|',
      '| ✅ | echo a \\| tee b | 1.5 s |',
      '| ❌ | step 1 (exit code 2) | 1.5 s |',
      '| ⚪ | step 2 |  |',
      '',
      '[Live log](https://ci.example/j)',
    ]);
  });

  it('a failure of the platform says whose fault it is and what to do', () => {
    const { summary } = show(ended('t', { kind: 'broken', reason: 'Docker is down.' }));
    expect(summary).toContain('Your change is not at fault.** Docker is down.');
    expect(summary).toContain('Re-run the job');
  });

  it('shows the end of a running log, and the start of what failed', () => {
    const log = `first ${'x'.repeat(70_000)} last`;
    expect(show(running('t'), log).text).toMatch(/x last\n```\n\n\[The whole log]/);
    expect(show(ended('t', failed), log).text).toMatch(/^```text\nfirst /);
  });

  it('keeps to the limits, whatever it is made of', () => {
    const reason = '🐹@everyone '.repeat(20_000);
    const steps = Array.from({ length: 500 }, (_, index) => ({
      index,
      name: '🐹'.repeat(500),
      state: 'completed' as const,
      exitCode: 1,
      startedAt: 0,
      finishedAt: 0,
      logStart: 0,
      logEnd: 0,
    }));
    const failures = Array.from({ length: 100 }, () => 'ü'.repeat(5000));
    const it = ended(
      't',
      { kind: 'failure', reason },
      { steps, tests: { total: 100, failed: 100, skipped: 0, failures } },
    );
    const check = show(it, '🐹`'.repeat(100_000));
    expect(check.title.length).toBeLessThanOrEqual(255);
    for (const part of [check.summary, check.text ?? '']) {
      expect(Buffer.byteLength(part)).toBeLessThanOrEqual(65_535);
      expect(Buffer.from(part).toString()).toBe(part);
    }
  });
});

describe('text', () => {
  it.each([
    ['abc', 2, 'start', 'ab'],
    ['aü', 2, 'start', 'a'],
    ['aü', 3, 'start', 'aü'],
    ['a🐹b', 4, 'start', 'a'],
    ['a🐹b', 4, 'end', 'b'],
    ['a🐹b', 5, 'end', '🐹b'],
    ['üü', 0, 'start', ''],
  ] as const)('%s cut to %i bytes at the %s', (text, max, keep, expected) => {
    expect(cutBytes(text, max, keep)).toBe(expected);
  });

  it.each([
    ['plain', '```text\nplain\n```'],
    ['```\n# out', '````text\n```\n# out\n````'],
    ['`````', '``````text\n`````\n``````'],
  ])('a fence that %j does not end', (content, expected) => {
    expect(fenced(content, 1000, 'start')).toBe(expected);
  });

  it.each([1000, 65_535])('a fence of backticks only, in %i bytes', (max) => {
    const block = fenced('`'.repeat(100_000), max, 'end');
    expect(Buffer.byteLength(block)).toBeLessThanOrEqual(max);
    const [first = '', ...rest] = block.split('\n');
    expect(rest.at(-1)).toBe(first.replace('text', ''));
    expect(rest.slice(0, -1).join('\n')).not.toContain(first.replace('text', ''));
  });

  it.each([
    ['\u001B[31mred\u001B[0m', 'red'],
    ['\u001B]8;;http://x\u0007link\u001B]8;;\u0007', 'link'],
    ['10%\r20%\r100%\nok\r\n', '100%\nok\n'],
    ['a\u0000b\u0008c\td', 'abc\td'],
    ['\r\r\n\rx\r\r', '\nx'],
  ])('the log %j is plain', (log, expected) => {
    expect(plainLog(log)).toBe(expected);
  });

  it.each([
    ['a|b', 'a\\|b'],
    ['<img src=x>', '&lt;img src=x\\>'],
    ['[x](http://y)', '\\[x\\]\\(http:\u200B//y\\)'],
    ['two\nlines', 'two lines'],
    ['by @ada', 'by @\u200Bada'],
    ['shop@sha256:00', 'shop@sha256:00'],
    ['@org/team', '@\u200Borg/team'],
  ])('%j in Markdown', (text, expected) => {
    expect(escapeMarkdown(text)).toBe(expected);
  });

  it('a title is one quiet line', () => {
    expect(titleOf('a\n@bob')).toBe('a @\u200Bbob');
    expect(titleOf(`${'x'.repeat(253)}🐹🐹`)).toBe(`${'x'.repeat(253)}…`);
  });

  it.each([
    [-5, '0.0 s'],
    [400, '0.4 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_600, '1 m 0 s'],
    [7_380_000, '2 h 3 m'],
  ])('%i ms is %s', (ms, expected) => {
    expect(duration(ms)).toBe(expected);
  });
});

it.each([
  ['a line', {}, { start_line: 3, end_line: 3 }],
  ['a column', { startColumn: 5 }, { start_column: 5, end_column: 5 }],
  ['columns in the wrong order', { startColumn: 5, endColumn: 2 }, { start_column: 5, end_column: 5 }],
  ['lines in the wrong order', { endLine: 1 }, { start_line: 3, end_line: 3 }],
  ['several lines have no columns', { endLine: 9, startColumn: 5 }, { start_line: 3, end_line: 9 }],
  ['a long title', { title: 'x'.repeat(300) }, { title: `${'x'.repeat(254)}…` }],
  ['a long message', { message: 'ü'.repeat(40_000) }, { message: 'ü'.repeat(32_768) }],
])('an annotation: %s', (_what, change, expected) => {
  const [made] = checkAnnotations([
    { path: 'a.js', startLine: 3, endLine: 3, level: 'failure', message: 'no', ...change },
  ]);
  expect(made).toEqual({
    path: 'a.js',
    annotation_level: 'failure',
    message: 'no',
    start_line: 3,
    end_line: 3,
    ...expected,
  });
});

it.each([
  ['outside of the repository', { path: '../etc/passwd' }],
  ['absolute', { path: '/usr/lib/x.js' }],
  ['without a line', { startLine: 0 }],
  ['without a message', { message: '' }],
])('an annotation %s is left out', (_what, change) => {
  const all = [{ path: 'a.js', startLine: 3, endLine: 3, level: 'failure' as const, message: 'no', ...change }];
  expect(checkAnnotations(all)).toEqual([]);
});

it('offers to retry failed jobs, within the lengths that GitHub allows, and only then', () => {
  const { actions } = show(ended('t', failed));
  expect(actions.map((action) => action.identifier)).toEqual(['retry-failed']);
  for (const { label, description, identifier } of actions) {
    expect([label.length <= 20, description.length <= 40, identifier.length <= 20]).toEqual([true, true, true]);
  }
  expect(show(ended('t', { kind: 'success' })).actions).toEqual([]);
  expect(show(running('t')).actions.map((button) => button.identifier)).toEqual(['cancel']);
});

describe('what it waits for', () => {
  const group = 'Waits for run 7 in the concurrency group "deploy".';
  it.each([
    ['a job that is queued', job('t', { note: group }), {}],
    ['a job that waits', job('t', { state: 'waiting', note: group }), {}],
    ['a run that waits as a whole', job('t', { state: 'waiting' }), { note: group }],
  ])('is said of %s', (_what, it, change) => {
    const shown = checkRunOf(view([it], change), it, extras);
    expect(shown).toMatchObject({
      status: 'queued',
      title: 'Queued: waits for run 7 in the concurrency group "deploy".',
    });
  });

  it('is said by the run itself as long as it has no jobs, and mended once it has', () => {
    const at = { detailsUrl: 'https://ci.example/', externalId: 'run:run1' };
    expect(runCheckOf(view([], { state: 'pending', note: 'GitHub can not be reached.' }), at)).toMatchObject({
      name: 'slipway',
      status: 'queued',
      title: 'Queued: GitHub can not be reached.',
    });
    expect(runCheckOf(view([], { state: 'pending' }), at)).toBeNull();
  });

  it('a run that is to end says who asked for it', () => {
    const cancel = { reason: 'Cancelled by @ada.', by: 'person' as const };
    const it = running('t');
    expect(checkRunOf(view([it], { cancel }), it, extras).title).toBe('Cancelling: Cancelled by @\u200Bada.');
    expect(show(running('t', { cancel })).actions).toEqual([]);
  });
});

describe('attempts before this one', () => {
  const platform = earlier(1, 'platform', 'the Docker engine restarted');
  const retry = earlier(2, 'retry', 'retry 1 of 2', failed);
  const person = earlier(3, 'person', '@ada re-ran it', failed);

  it('are said of a job that succeeded in the end', () => {
    const { summary } = show(ended('t', { kind: 'success' }, { attempt: 3, earlier: [platform, retry] }));
    expect(summary).toMatch(/^Passed\. Took 1 m 12 s\. Retried: the Docker engine restarted; retry 1 of 2\./);
    expect(summary).toContain('- Attempt 1: It was given up without an end. Then: the Docker engine restarted.');
    expect(summary).toContain('- Attempt 2: failed: \\`npm test\\` exited with 1. Then: retry 1 of 2.');
  });

  it('that a person asked to repeat are no retries of this one', () => {
    const { summary } = show(ended('t', { kind: 'success' }, { attempt: 4, earlier: [platform, retry, person] }));
    expect(summary).toMatch(/^Passed\. Took 1 m 12 s\.\n/);
    expect(summary).toContain('- Attempt 3: failed: \\`npm test\\` exited with 1. Then: @\u200Bada re-ran it.');
  });
});
