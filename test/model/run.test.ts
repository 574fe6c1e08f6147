import { describe, expect, it } from '@jest/globals';
import { conditionOf } from '#src/model/expression.ts';
import type { Outcome } from '#src/model/outcome.ts';
import { advance } from '#src/model/run.ts';
import { jobOf, repository, sha } from './samples.ts';

const condition = conditionOf({
  trigger: { kind: 'push', branch: 'main', sha, ref: 'refs/heads/main', actor: 'ada', title: 't' },
  repository,
});
const ok: Outcome = { kind: 'success' };
const failed: Outcome = { kind: 'failure', reason: 'exit code 1' };
const cancelled: Outcome = { kind: 'cancelled', reason: 'x' };
const broken: Outcome = { kind: 'broken', reason: 'x' };
const timedOut: Outcome = { kind: 'timed_out', reason: 'x' };
const skipped: Outcome = { kind: 'skipped', reason: 'x' };
const deploy = { kind: 'deploy', environment: 'staging', url: null, rollout: [] } as const;

function settled(jobs: Parameters<typeof advance>[0]) {
  const { queue, end, outcome } = advance(jobs, condition);
  return {
    queue: queue.map((job) => job.plan.key),
    end: Object.fromEntries(end.map(({ job, outcome }) => [job.plan.key, 'reason' in outcome ? outcome.reason : ''])),
    outcome: outcome?.kind ?? null,
  };
}

describe('a run goes on', () => {
  it('starts what needs nothing, and no more', () => {
    expect(settled([jobOf('a'), jobOf('b'), jobOf('c', { needs: ['a', 'b'] })])).toEqual({
      queue: ['a', 'b'],
      end: {},
      outcome: null,
    });
  });

  it('starts the end of a diamond when both sides are done', () => {
    const tip = jobOf('d', { needs: ['b', 'c'] });
    const sides = { needs: ['a'] };
    expect(settled([jobOf('a', {}, ok), jobOf('b', sides, ok), jobOf('c', sides), tip]).queue).toEqual(['c']);
    expect(settled([jobOf('a', {}, ok), jobOf('b', sides, ok), jobOf('c', sides, ok), tip]).queue).toEqual(['d']);
  });

  it('settles a whole chain behind a failure at once', () => {
    expect(settled([jobOf('a', {}, failed), jobOf('b', { needs: ['a'] }), jobOf('c', { needs: ['b'] })])).toEqual({
      queue: [],
      end: { b: '"a" failed.', c: '"b" was skipped.' },
      outcome: 'failure',
    });
  });

  it('ends jobs that the event skips, and those behind them', () => {
    expect(settled([jobOf('a', { skip: 'not today' }), jobOf('b', { needs: ['a'] })])).toEqual({
      queue: [],
      end: { a: 'not today', b: '"a" was skipped.' },
      outcome: 'skipped',
    });
  });

  it('takes a need that is not in the run as passed', () => {
    expect(settled([jobOf('b', { needs: ['a'] })]).queue).toEqual(['b']);
    expect(settled([jobOf('b', { needs: ['a'], if: "needs.a.result == 'success'" })]).queue).toEqual(['b']);
  });

  it('does not touch what is queued or running', () => {
    const jobs = [
      { ...jobOf('a'), state: 'queued' as const },
      { ...jobOf('b'), state: 'running' as const },
    ];
    expect(settled(jobs)).toEqual({ queue: [], end: {}, outcome: null });
  });

  it.each([
    ['success', [ok, ok], 'success'],
    ['skipped jobs do no harm', [ok, skipped], 'success'],
    ['the worst counts', [failed, broken], 'broken'],
    ['failure before time-out', [timedOut, failed], 'failure'],
    ['cancelled', [ok, cancelled], 'cancelled'],
    ['nothing ran', [skipped, skipped], 'skipped'],
  ] as const)('ends with its jobs: %s', (_, outcomes, expected) => {
    expect(settled(outcomes.map((outcome, index) => jobOf(`j${index}`, {}, outcome))).outcome).toBe(expected);
  });

  it.each([
    ['waits with its rollout', null, null, {}, null],
    ['is not begun by a rollout that runs', 'running', null, {}, null],
    ['ends with it', null, ok, { check: 'The rollout ended before this check.' }, 'success'],
    ['ends with one that failed', null, failed, { check: 'The rollout ended before this check.' }, 'failure'],
  ] as const)('a check between the steps of a rollout %s', (_, state, outcome, end, whole) => {
    const holder = jobOf('go', { work: deploy }, outcome);
    const check = jobOf('check', { heldBy: 'go' });
    const jobs = [state ? { ...holder, state } : holder, check];
    expect(settled(jobs)).toEqual({ queue: state === null && outcome === null ? ['go'] : [], end, outcome: whole });
  });

  it.each([
    [
      'its rollout is skipped',
      [jobOf('go', { work: deploy, skip: 'not today' })],
      'The rollout ended before this check.',
      {},
    ],
    ['its rollout is not in the run', [], 'The rollout ended before this check.', {}],
    ['it is skipped itself', [jobOf('go', { work: deploy })], 'skip ci', { skip: 'skip ci' }],
  ])('a check ends where %s', (_, jobs, reason, plan) => {
    expect(settled([...jobs, jobOf('check', { heldBy: 'go', ...plan })]).end).toMatchObject({ check: reason });
  });

  it('a check that runs is waited for, and one that failed counts', () => {
    const running = { ...jobOf('check', { heldBy: 'go' }), state: 'running' as const };
    expect(settled([jobOf('go', { work: deploy }, failed), running])).toEqual({ queue: [], end: {}, outcome: null });
    const done = jobOf('check', { heldBy: 'go' }, failed);
    expect(settled([jobOf('go', { work: deploy }, failed), done]).outcome).toBe('failure');
  });

  it('passes over jobs that may fail', () => {
    const flaky = jobOf('a', { continueOnError: true }, failed);
    expect(settled([flaky, jobOf('b', { needs: ['a'] })]).queue).toEqual(['b']);
    expect(settled([flaky, jobOf('b', {}, ok)]).outcome).toBe('success');
  });
});

describe('conditions while a run goes on', () => {
  const chain = (outcome: Outcome, text: string | null, plan = {}) =>
    settled([
      jobOf('a', {}, outcome),
      jobOf('b', { needs: ['a'] }, outcome === ok ? ok : skipped),
      jobOf('c', { needs: ['b'], if: text, ...plan }),
    ]);

  it.each([
    [ok, null, true],
    [failed, null, false],
    [failed, 'always()', true],
    [failed, 'failure()', true],
    [broken, 'failure()', true],
    [timedOut, 'failure()', true],
    [ok, 'failure()', false],
    [cancelled, 'failure()', false],
    [cancelled, 'cancelled()', true],
    [failed, 'success() || failure()', true],
    [failed, "always() && needs.b.result == 'skipped'", true],
    [failed, "needs.b.result == 'skipped'", false],
    [ok, "event.branch == 'main' && needs.b.result == 'success'", true],
  ])('%j and %s: %s', (outcome, text, runs) => {
    expect(chain(outcome, text).queue).toEqual(runs ? ['c'] : []);
  });

  it('says why', () => {
    expect(chain(ok, "needs.b.result == 'failure'").end).toEqual({
      c: "The condition `needs.b.result == 'failure'` is false.",
    });
    expect(chain(ok, 'fromJSON(needs.b.result) == 1').end['c']).toContain("can't be evaluated");
    const guard = { work: deploy };
    const jobs = [
      jobOf('lint', {}, failed),
      jobOf('image', {}, ok),
      jobOf('go', { needs: ['lint', 'image'], if: '!failure()', ...guard }),
    ];
    expect(settled(jobs).end).toEqual({ go: '"lint" failed.' });
  });

  it('sees the worst instance of a matrix', () => {
    const jobs = [
      jobOf('t (1)', { id: 't' }, ok),
      jobOf('t (2)', { id: 't' }, failed),
      jobOf('c', { needs: ['t (1)', 't (2)'], if: "always() && needs.t.result == 'failure'" }),
    ];
    expect(settled(jobs).queue).toEqual(['c']);
  });
});
