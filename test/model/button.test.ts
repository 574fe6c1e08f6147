import { describe, expect, it } from '@jest/globals';
import { type Button, buttonsOf, environmentMark, pressOf } from '#src/model/button.ts';
import { cancelledBy } from '#src/model/cancel.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { DeployWork, PlanWork } from '#src/model/plan.ts';
import type { Job } from '#src/model/run.ts';
import { jobOf } from './samples.ts';

const deploy = (change: Partial<DeployWork> = {}): DeployWork => ({
  kind: 'deploy',
  environment: 'staging',
  url: null,
  rollout: [],
  ...change,
});
const failed: Outcome = { kind: 'failure', reason: 'x' };
const success: Outcome = { kind: 'success' };
const planned = (environments: readonly string[]): Job => {
  const work: PlanWork = { kind: 'plan', environments };
  return jobOf('deployment plan', { work }, { kind: 'neutral', reason: 'x' });
};
const waiting = (gate: JobGate | null, change: Partial<Job> = {}): Job => ({
  ...jobOf('deploy staging', { work: deploy() }),
  gate,
  ...change,
});

describe('buttons', () => {
  it.each<[string, Job, readonly string[]]>([
    ['a job that waits', jobOf('a'), ['Cancel run']],
    ['a job that runs', { ...jobOf('a'), state: 'running' }, ['Cancel run']],
    ['a job that is being cancelled', { ...jobOf('a'), state: 'running', cancel: cancelledBy('ada') }, []],
    ['a job that will be skipped', jobOf('a', { skip: 'x' }), []],
    ['a job that failed', jobOf('a', {}, failed), ['Retry failed jobs']],
    ['a job that was cancelled', jobOf('a', {}, { kind: 'cancelled', reason: 'x' }), ['Retry failed jobs']],
    ['a job that passed', jobOf('a', {}, success), []],
    ['a deployment that waits in its line', waiting({ kind: 'queue', position: 1 }), ['Cancel run']],
    ['a deployment that waits for a window', waiting({ kind: 'window' }), ['Cancel run']],
    ['a deployment that waits for approval', waiting({ kind: 'approval', gate: 'start' }), ['Approve', 'Reject']],
    [
      'a deployment that waits for approval between steps',
      waiting({ kind: 'approval', gate: 'step 2' }, { state: 'running' }),
      ['Approve', 'Abort'],
    ],
    [
      'a deployment that was rejected',
      waiting({ kind: 'approval', gate: 'start' }, { cancel: cancelledBy('ada') }),
      [],
    ],
    ['a deployment under way', waiting(null, { state: 'running' }), ['Cancel run']],
    ['a deployment that succeeded', jobOf('d', { work: deploy() }, success), ['Roll back']],
    [
      'a deployment that can be promoted',
      jobOf('d', { work: deploy({ next: ['production', 'eu', 'us'] }) }, success),
      ['Roll back', 'Promote: production', 'Promote: eu'],
    ],
    ['a deployment that failed', jobOf('d', { work: deploy({ next: ['eu'] }) }, failed), ['Retry failed jobs']],
    [
      'a plan',
      planned(['staging', 'a-very-long-environment', 'c', 'd']),
      ['Deploy staging', 'Deploy a-very-long-…', 'Deploy c'],
    ],
    ['a plan of nothing', planned([]), []],
  ])('of %s', (_, job, labels) => {
    const buttons = buttonsOf(job);
    expect(buttons.map((button) => button.label)).toEqual(labels);
    expect(buttons.length).toBeLessThanOrEqual(3);
    for (const button of buttons) expect(fits(button)).toBe(true);
  });

  it.each(['x', '😀'.repeat(40), 'a'.repeat(200), 'ä'.repeat(30)])(
    'fit whatever the environment is called: %s',
    (name) => {
      const buttons = [
        ...buttonsOf(planned([name])),
        ...buttonsOf(jobOf('d', { work: deploy({ next: [name] }) }, success)),
      ];
      for (const button of buttons) {
        expect(fits(button)).toBe(true);
        expect(button.label).toBe(button.label.toWellFormed());
        expect(pressOf(button.identifier)).not.toBeNull();
      }
    },
  );

  it('are understood when they are pressed', () => {
    const [, promote] = buttonsOf(jobOf('d', { work: deploy({ next: ['eu'] }) }, success));
    expect(pressOf(promote?.identifier ?? '')).toEqual({ kind: 'promote', environment: environmentMark('eu') });
    const [first] = buttonsOf(planned(['eu']));
    expect(pressOf(first?.identifier ?? '')).toEqual({ kind: 'deploy', environment: environmentMark('eu') });
  });

  it.each(['', 'deploy', 'deploy:', 'deploy:production', 'constructor', 'approve ', 'promote:../../etc/'])(
    '%j is none',
    (identifier) => {
      expect(pressOf(identifier)).toBeNull();
    },
  );

  it('tell environments apart', () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `environment-${i}`);
    expect(new Set(names.map(environmentMark)).size).toBe(names.length);
    expect(names.every((name) => /^[0-9a-z]{12}$/.test(environmentMark(name)))).toBe(true);
  });
});

function fits({ identifier, label, description }: Button): boolean {
  return identifier.length <= 20 && label.length <= 20 && description.length <= 40;
}
