import { describe, expect, it } from '@jest/globals';
import type { Outcome } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import { retryOf, withTries } from '#src/model/retry.ts';
import type { Attempt, Job } from '#src/model/run.ts';
import { jobOf } from './samples.ts';

const failed: Outcome = { kind: 'failure', reason: 'Step "npm test" exited with code 1.' };
const late: Outcome = { kind: 'timed_out', reason: 'x' };
const restarted: Outcome = {
  kind: 'broken',
  reason: 'The Docker engine restarted while the job ran, and ended it. Run it again.',
  retry: 'once',
};
const broken: Outcome = { kind: 'broken', reason: "The registry can't be reached (timeout). See that it runs." };
const hopeless: Outcome = { ...broken, retry: 'never' };

/** `retries` of the file, and who had the attempts before run again, oldest first. */
function job(retries: number, before: readonly Attempt['by'][] = []): Job {
  const earlier = before.map(
    (by, index): Attempt => ({ attempt: index + 1, outcome: null, by, why: '', startedAt: null, finishedAt: null }),
  );
  return { ...jobOf('a', { retries }), state: 'running', attempt: earlier.length + 1, earlier };
}

describe('a job runs again by itself', () => {
  it.each<[string, Job, Outcome, string | null, number]>([
    ['not without a retry', job(0), failed, null, 0],
    ['after its failure', job(2), failed, 'retry 1 of 2', 0],
    ['when it took too long', job(2), late, 'retry 1 of 2', 0],
    ['as often as the file says', job(2, ['retry']), failed, 'retry 2 of 2', 0],
    ['and no more', job(2, ['retry', 'retry']), failed, null, 0],
    ['from the start when a person restarted it', job(2, ['retry', 'retry', 'person']), failed, 'retry 1 of 2', 0],
    ['and again to its end', job(1, ['retry', 'person', 'retry']), failed, null, 0],
    ["and the platform's failures don't count", job(1, ['platform', 'platform']), failed, 'retry 1 of 1', 0],
    ['when the platform failed', job(0), broken, "the registry can't be reached", 5_000],
    ['with longer pauses', job(0, ['platform']), broken, "the registry can't be reached", 30_000],
    ['a third time', job(0, ['platform', 'retry', 'platform']), broken, "the registry can't be reached", 120_000],
    ['and no fourth', job(5, ['platform', 'platform', 'platform']), broken, null, 0],
    [
      'but by a person',
      job(0, ['platform', 'platform', 'platform', 'person']),
      broken,
      "the registry can't be reached",
      5_000,
    ],
    ['once when its container was ended', job(0), restarted, 'the Docker engine restarted', 1_000],
    ['not twice then', job(0, ['platform']), restarted, null, 0],
    ['not when that can not help', job(5), hopeless, null, 0],
    ['not when it was cancelled', job(5), { kind: 'cancelled', reason: 'x' }, null, 0],
    ['not when it was skipped', job(5), { kind: 'skipped', reason: 'x' }, null, 0],
    ['not when it passed', job(5), { kind: 'success' }, null, 0],
    ['not when it was neutral', job(5), { kind: 'neutral', reason: 'x' }, null, 0],
  ])('%s', (_, given, outcome, why, delayMs) => {
    const retry = retryOf(given, outcome);
    expect(retry && [retry.why, retry.delayMs]).toEqual(why === null ? null : [why, delayMs]);
    expect(retry?.by ?? null).toBe(why === null ? null : why.startsWith('retry') ? 'retry' : 'platform');
  });

  it.each([failed, late, restarted, broken])('never if it deploys: $kind', (outcome) => {
    const work: DeployWork = { kind: 'deploy', environment: 'staging', url: null, rollout: [] };
    expect(retryOf({ ...job(5), plan: { ...job(5).plan, work } }, outcome)).toBeNull();
  });

  it('and says meanwhile why', () => {
    expect(retryOf(job(2), failed)?.note).toBe('Runs again, because it failed: retry 1 of 2.');
    expect(retryOf(job(2), late)?.note).toBe('Runs again, because it took too long: retry 1 of 2.');
    expect(retryOf(job(0, ['platform']), broken)?.note).toBe("Runs again after 30 s: the registry can't be reached.");
  });
});

it.each([
  ['Docker did not answer within 5 s. See that the engine is well.', 'Docker did not answer within 5 s'],
  [
    'GitHub could not be asked to give a token for acme/shop.js: 503. Later.',
    'GitHub could not be asked to give a token for acme/shop.js',
  ],
  [
    "The job's container was ended from outside while the job ran (exit code 137): somebody.",
    "the job's container was ended from outside",
  ],
  ["Can't fetch v1.2.3 of acme/shop: the connection failed (x).", "can't fetch v1.2.3 of acme/shop"],
  ['The server was stopped', 'the server was stopped'],
  [
    "The Docker engine has no runtime runsc, which the operator's file (SLIPWAY_CONFIG) names for this repository's jobs. Install it.",
    "the Docker engine has no runtime runsc, which the operator's file names for this repository's jobs",
  ],
  ['', 'the platform failed'],
  [`The ${'x'.repeat(200)}.`, `the ${'x'.repeat(95)}…`],
])('the reason %j is %j in short', (reason, why) => {
  expect(retryOf(job(0), { kind: 'broken', reason })?.why).toBe(why);
});

it.each<[Job, Outcome, string]>([
  [job(0), hopeless, hopeless.reason],
  [job(0, ['platform', 'platform', 'platform']), broken, `${broken.reason} It was tried 4 times.`],
  [job(0, ['platform']), restarted, `${restarted.reason} It was tried 2 times.`],
  [job(0, ['platform', 'person']), hopeless, hopeless.reason],
  [job(1, ['retry', 'platform']), failed, failed.reason],
])('the last outcome says how often it was tried', (given, outcome, reason) => {
  expect(withTries(given, outcome)).toEqual({ ...outcome, reason });
});
