import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Job, Run } from '#src/model/run.ts';
import { planFor, planText } from './deploy/plan.ts';
import type { Parts } from './parts.ts';
import type { Completion } from './track.ts';

const deadlineMs = 60_000;

/**
 * Says what a deployment of the run's commit to each environment would change. Always ends neutral: nobody's commit fails
 * because it couldn't be found out. `signal` cancels; `stop` leaves it to the next process by throwing.
 */
export async function runPlan(
  parts: Parts,
  run: Run,
  job: Job,
  signal: AbortSignal,
  stop: AbortSignal,
): Promise<Completion> {
  const { repository, trigger } = run;
  const branch = 'branch' in trigger ? trigger.branch : '';
  const deadline = AbortSignal.timeout(deadlineMs);
  const ended = AbortSignal.any([signal, stop, deadline]);
  try {
    const asked = planFor(parts, { repository, environment: null, sha: trigger.sha, branch, by: null }, ended);
    const plans = await untilAborted(asked, ended);
    const names = plans.map(({ environment }) => environment).join(', ');
    const reason = names === '' ? 'There are no environments.' : `What a deployment would change in ${names}.`;
    return { outcome: { kind: 'neutral', reason }, report: planText(plans) };
  } catch (error) {
    stop.throwIfAborted();
    if (signal.aborted) return { outcome: { kind: 'cancelled', reason: (signal.reason as Error).message } };
    const told = error instanceof UserError || error instanceof PlatformError;
    if (!deadline.aborted && !told) parts.log.error({ err: error, job: job.id }, 'a plan could not be made');
    const why = deadline.aborted ? "it couldn't be found out within 60 s" : told ? error.message : 'something failed';
    return {
      outcome: { kind: 'neutral', reason: `There is no plan: ${why.replace(/\.$/, '')}. Re-run it to try again.` },
    };
  }
}

/** GitHub is asked without a signal: nobody waits for its answers longer. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  work.catch(() => {});
  try {
    signal.throwIfAborted();
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
