import { describe, expect, it } from '@jest/globals';
import { deploymentOf } from '#src/adapters/github/report/deployment.ts';
import { start, plan, record, show, approval, between, waits, runs } from './deploy-samples.ts';
import { ended, job, running, view } from './support.ts';

/** Where a deployment stands, as GitHub shows it: the check run `deploy ENV` and the deployment's status, for each state and gate. */

describe('where a deployment stands', () => {
  it.each([
    // what, job, check's status, conclusion, title, deployment's state (null: none), description (null: the title)
    ['it waits for other jobs', waits(null), 'queued', null, 'Waiting', null, null],
    [
      'an approval',
      waits(approval),
      'completed',
      'action_required',
      'Waits for approval: 1 of 2 given',
      'pending',
      null,
    ],
    [
      'an approval of which nothing is known',
      waits({ kind: 'approval' }),
      'completed',
      'action_required',
      'Waits for approval: 0 of 1 given',
      'pending',
      null,
    ],
    [
      'an approval between steps',
      runs(between),
      'completed',
      'action_required',
      'Waits for approval to go on with step 2: 0 of 1 given',
      'pending',
      null,
    ],
    [
      'a lock',
      waits({ kind: 'lock' }, '@ada has locked production: freeze'),
      'queued',
      null,
      '@\u200Bada has locked production: freeze',
      'pending',
      null,
    ],
    [
      'a lock without a word',
      waits({ kind: 'lock' }),
      'queued',
      null,
      'Waits for a lock to be released',
      'pending',
      null,
    ],
    [
      'a window',
      waits({ kind: 'window', until: Date.UTC(2026, 0, 2, 8, 30) }),
      'queued',
      null,
      'Waits until 2026-01-02 08:30 UTC: nothing is deployed outside of the windows',
      'pending',
      null,
    ],
    [
      'a window that never opens',
      waits({ kind: 'window' }, 'No window.'),
      'queued',
      null,
      'No window.',
      'pending',
      null,
    ],
    ['checks', waits({ kind: 'checks' }, 'Waits for lint.'), 'queued', null, 'Waits for lint.', 'pending', null],
    [
      'checks without a word',
      waits({ kind: 'checks' }),
      'queued',
      null,
      'Waits for checks of the commit',
      'pending',
      null,
    ],
    ['order', waits({ kind: 'order' }, 'Not on staging yet.'), 'queued', null, 'Not on staging yet.', 'pending', null],
    [
      'order without a word',
      waits({ kind: 'order' }),
      'queued',
      null,
      'Waits for another environment',
      'pending',
      null,
    ],
    [
      'its turn, which is next',
      waits({ kind: 'queue', position: 1 }),
      'queued',
      null,
      'Queued: next in line',
      'queued',
      null,
    ],
    ['its turn', waits({ kind: 'queue', position: 3 }), 'queued', null, 'Queued: number 3 in line', 'queued', null],
    [
      'its turn, unknown',
      waits({ kind: 'queue' }, 'Another goes first.'),
      'queued',
      null,
      'Another goes first.',
      'queued',
      null,
    ],
    ['it is queued', job('d', { plan }), 'queued', null, 'Queued', 'queued', null],
    ['it runs', runs(null), 'in_progress', null, '1 of 3 pods are new', 'in_progress', null],
    [
      'a check between steps',
      runs({ kind: 'checks' }),
      'in_progress',
      null,
      '1 of 3 pods are new',
      'in_progress',
      null,
    ],
    ['it begins', running('d', { plan }), 'in_progress', null, 'Deploying to production', 'in_progress', 'Starting'],
    [
      'success',
      ended('d', { kind: 'success' }, { plan, progress: 'Deployed to production.' }),
      'completed',
      'success',
      'Deployed to production in 1 m 12 s',
      'success',
      'Deployed to production.',
    ],
    [
      'failure',
      ended('d', { kind: 'failure', reason: 'api crashes.' }, { plan }),
      'completed',
      'failure',
      'api crashes.',
      'failure',
      null,
    ],
    [
      'the deadline',
      ended('d', { kind: 'timed_out', reason: '10 minutes.' }, { plan }),
      'completed',
      'timed_out',
      'Timed out: 10 minutes.',
      'failure',
      '10 minutes.',
    ],
    [
      'an end that was asked for',
      ended('d', { kind: 'cancelled', reason: 'Rejected by @bob.' }, { plan }),
      'completed',
      'cancelled',
      'Cancelled: Rejected by @\u200Bbob.',
      'error',
      null,
    ],
    [
      'the platform failed',
      ended('d', { kind: 'broken', reason: 'No cluster.' }, { plan }),
      'completed',
      'cancelled',
      'Slipway failed, not your change: No cluster.',
      'error',
      'Slipway failed: No cluster.',
    ],
    [
      'it was refused before it was seen',
      ended('d', { kind: 'failure', reason: 'Locked.' }, { plan, startedAt: null }),
      'completed',
      'failure',
      'Locked.',
      null,
      null,
    ],
  ] as const)('%s', (_what, it, status, conclusion, title, state, description) => {
    const { check, deployment } = show(it);
    expect([check.status, check.conclusion, check.title]).toEqual([status, conclusion, title]);
    const told = deployment === null ? null : { ...deployment.status, environmentUrl: null };
    expect(told).toEqual(state && { state, description: description ?? title, environmentUrl: null });
  });

  it.each([
    ['another has taken its place', {}, 'Another deployment has taken its place'],
    ['it was rolled back', { rolledBack: true }, 'It was rolled back'],
    [
      'its preview was removed',
      { preview: { cluster: null, namespace: 'pr-7', number: 7, expiresAt: 0, removedAt: start } },
      'Removed: the pull request was closed.',
    ],
  ])('replaced: %s', (_what, details, why) => {
    const description = 'Removed: the pull request was closed.';
    const gone = { record: record({ state: 'inactive', description, details }), images: {}, approvals: [] };
    const { check, deployment } = show(ended('d', { kind: 'success' }, { plan }), {}, gone);
    expect(check).toMatchObject({ conclusion: 'success', title: `Was deployed to production. ${why}` });
    expect(check.actions).toEqual([]);
    expect(deployment?.status).toMatchObject({ state: 'inactive', description: why });
  });

  it('an approval that is no longer waited for since somebody cancels is no question any more', () => {
    const cancel = { reason: 'Cancelled by @ada.', by: 'person' as const };
    const { check } = show(waits(approval), { cancel });
    expect(check).toMatchObject({ status: 'queued', conclusion: null, actions: [] });
  });

  it('one that was told keeps being told, whatever it waits for', () => {
    const it = waits(null);
    expect(deploymentOf(view([it]), it, true)?.status).toMatchObject({ state: 'queued', description: 'Queued' });
    const over = ended('d', { kind: 'failure', reason: 'Locked.' }, { plan, startedAt: null });
    expect(deploymentOf(view([over]), over, true)?.status.state).toBe('failure');
  });
});
