import { describe, expect, it } from '@jest/globals';
import { cancelledBy, endedByClosing, mayCancel, superseded } from '#src/model/cancel.ts';
import type { Trigger } from '#src/model/event.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { jobOf, repository, runOf } from './samples.ts';

const pull = (sha: string, change: Partial<Trigger> = {}): Trigger =>
  ({
    kind: 'pull_request',
    number: 7,
    branch: 'topic',
    base: 'main',
    fork: false,
    sha: sha.padEnd(40, '0'),
    ref: 'r',
    actor: 'ada',
    title: 't',
    ...change,
  }) as Trigger;
const run = (id: string, trigger: Trigger, change: Partial<Run> = {}): Run => ({
  ...runOf(trigger),
  id,
  pullRequest: 7,
  createdAt: Number(id),
  ...change,
});
const pushed = (sha: string, branch: string): Trigger => ({
  kind: 'push',
  branch,
  sha,
  ref: 'r',
  actor: 'ada',
  title: 't',
});
const deploy: Trigger = {
  kind: 'deploy',
  environment: 'e',
  branch: 'topic',
  number: 7,
  request: '1',
  sha: 'a',
  ref: 'r',
  actor: 'ada',
  title: 't',
};

describe('a newer commit of a pull request', () => {
  const newer = run('5', pull('abc1234'));

  it.each<[string, Run, boolean]>([
    ['ends a run of an older one', run('1', pull('a')), true],
    ['that is not planned yet', run('1', pull('a'), { state: 'pending' }), true],
    ['that came as a push', run('1', pushed('a', 'topic')), true],
    ['that was made in the same millisecond', run('4', pull('a'), { createdAt: 5 }), true],
    ["of a fork's branch that is called main", run('1', pull('a', { fork: true, branch: 'main' })), true],
    ['not a run that has ended', run('1', pull('a'), { state: 'completed' }), false],
    ['not a run of the same commit', run('1', pull('abc1234')), false],
    ['not a deployment that somebody asked for', run('1', deploy), false],
    ['not what was pushed to the default branch', run('1', pushed('a', 'main')), false],
    ['not another pull request', run('1', pull('a'), { pullRequest: 8 }), false],
    ['not another repository', run('1', pull('a'), { repository: { ...repository, id: 2 } }), false],
  ])('%s', (_, older, ends) => {
    expect(superseded([older, newer], newer).map((ending) => ending.runId)).toEqual(ends ? [older.id] : []);
  });

  it('says which and where', () => {
    expect(superseded([run('1', pull('a'))], newer)).toEqual([
      { runId: '1', cancellation: { reason: 'Cancelled: a newer commit, abc1234, was pushed to #7.', by: 'slipway' } },
    ]);
  });

  it('is told by when it was pushed, not by when its delivery came', () => {
    const older = run('9', pull('a', { at: 1000 }));
    const first = run('5', pull('abc1234', { at: 2000 }), { state: 'completed' });
    expect(superseded([first, older], older)).toMatchObject([
      { runId: '9', cancellation: { reason: 'Cancelled: a newer commit, abc1234, was pushed to #7.' } },
    ]);
    expect(superseded([older], run('5', pull('abc1234', { at: 2000 })))).toMatchObject([{ runId: '9' }]);
  });

  it('ends nothing where there is no pull request', () => {
    expect(
      superseded(
        [run('1', pushed('a', 'topic'), { pullRequest: null })],
        run('2', pushed('b', 'topic'), { pullRequest: null }),
      ),
    ).toEqual([]);
  });
});

describe('closing a pull request', () => {
  const closed = { repository, number: 7 };

  it('ends its runs, and says so', () => {
    const runs = [
      run('1', pull('a')),
      run('2', deploy),
      run('3', pull('b'), { state: 'completed' }),
      run('4', pull('c')),
    ];
    const reason = 'Cancelled: pull request #7 was closed.';
    expect(endedByClosing(runs, closed)).toEqual([
      { runId: '1', cancellation: { reason, by: 'slipway' } },
      { runId: '4', cancellation: { reason, by: 'slipway' } },
    ]);
  });

  it('leaves what was pushed before there was one: a stranger may open and close it', () => {
    expect(endedByClosing([run('1', pushed('a', 'topic')), run('2', pushed('a', 'main'))], closed)).toEqual([]);
  });

  it('leaves what was pushed after it was opened again', () => {
    const runs = [run('1', pull('a', { at: 1000 })), run('2', pull('b', { at: 3000 }))];
    expect(endedByClosing(runs, { ...closed, at: 2000 }).map((ending) => ending.runId)).toEqual(['1']);
  });
});

describe('who may end a job', () => {
  const work: DeployWork = { kind: 'deploy', environment: 'staging', url: null, rollout: [] };
  const slipway = { reason: 'x', by: 'slipway' } as const;
  const running = (job: Job): Job => ({ ...job, state: 'running' });

  it('is anybody, but a person alone while it deploys', () => {
    expect(mayCancel(running(jobOf('a')), slipway)).toBe(true);
    expect(mayCancel(jobOf('d', { work }), slipway)).toBe(true);
    expect(mayCancel(running(jobOf('d', { work })), slipway)).toBe(false);
    expect(mayCancel(running(jobOf('d', { work })), cancelledBy('ada'))).toBe(true);
  });

  it('is said', () => {
    expect(cancelledBy('ada')).toEqual({ reason: 'Cancelled by @ada.', by: 'person' });
  });
});
