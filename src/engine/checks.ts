import type { CheckStep, CheckTimes, StepsFailure } from '#src/model/delivery.ts';
import { PlatformError, reasonOf, UserError } from '#src/model/outcome.ts';
import type { Job } from '#src/model/run.ts';
import type { Result } from '#src/model/steps.ts';
import { limits } from '#src/model/steps-report.ts';
import { messageOf } from './rollout-words.ts';
import type { StepsRequest } from './steps.ts';
import type { Stepping } from './steps-book.ts';
import { openEar } from './steps-turn.ts';

/** Asks what the step says, as often as it says. `number`: the step's, from 1. The first check that fails ends the rollout. */
export async function check(stepping: Stepping, step: CheckStep, number: number, signal: AbortSignal): Promise<Result> {
  const { parts, run } = stepping;
  if (step.kind === 'job') return await jobCheck(stepping, number, signal);
  if (step.kind === 'probe') {
    const refused = parts.policy.refuseProbe(run.repository, step.url);
    if (refused !== null) return fail('failure', refused);
    return await repeated(stepping, `probe ${step.url}`, step.every, signal, async () => probe(stepping, step, signal));
  }
  const refused = parts.policy.refuseMetrics(run.repository, step.server);
  if (refused !== null) return fail('failure', refused);
  return await repeated(stepping, `Prometheus ${step.server}`, step.every, signal, async () => {
    return metric(stepping, step, signal);
  });
}

interface Answer {
  readonly good: boolean;
  /** What was answered, in few words. Never the body. */
  readonly said: string;
  /** Nobody answered: Slipway's side, or the network between. */
  readonly platform?: boolean;
}

async function probe(
  { parts }: Stepping,
  step: Extract<CheckStep, { readonly kind: 'probe' }>,
  signal: AbortSignal,
): Promise<Answer> {
  const answer = await answered(() => parts.probes.get(step.url, signal), signal);
  if ('good' in answer) return { ...answer, platform: false };
  const { status, body } = answer.value;
  if (status !== step.status) return { good: false, said: `status ${status} in place of ${step.status}` };
  if (step.contains !== null && !body.includes(step.contains)) {
    return {
      good: false,
      said: `status ${status}, but without the text ${JSON.stringify(step.contains.slice(0, 60))}`,
    };
  }
  return { good: true, said: `status ${status}` };
}

async function metric(
  { parts }: Stepping,
  step: Extract<CheckStep, { readonly kind: 'prometheus' }>,
  signal: AbortSignal,
): Promise<Answer> {
  const answer = await answered(() => parts.probes.query(step.server, step.query, signal), signal);
  if ('good' in answer) return answer;
  const { value } = answer;
  if (value === null) return { good: false, said: 'no number' };
  const good = !Number.isNaN(value) && value >= (step.min ?? -Infinity) && value <= (step.max ?? Infinity);
  return { good, said: `${value} (${limits(step)})` };
}

async function answered<T>(what: () => Promise<T>, signal: AbortSignal): Promise<Answer | { readonly value: T }> {
  try {
    return { value: await what() };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof PlatformError)) throw error;
    return { good: false, said: error.message, platform: true };
  }
}

async function repeated(
  { book, time }: Stepping,
  what: string,
  { intervalSeconds, count, failures }: CheckTimes,
  signal: AbortSignal,
  once: () => Promise<Answer>,
): Promise<Result> {
  let bad = 0;
  let last = '';
  for (let asked = 1; asked <= count; asked += 1) {
    if (asked > 1) await time.sleep(intervalSeconds * 1000, signal).catch(() => undefined);
    signal.throwIfAborted();
    let answer: Answer;
    try {
      answer = await once();
    } catch (error) {
      signal.throwIfAborted();
      // The query is wrong, or the address may never be asked: asking again doesn't help.
      if (error instanceof UserError) return fail('failure', `${what}: ${error.message}`);
      throw error;
    }
    if (!answer.good) bad += 1;
    last = answer.said;
    if (bad > failures) {
      const may = failures === 0 ? '' : ` (${bad} of ${asked} answers were bad, ${failures} may be)`;
      return fail(
        answer.platform === true ? 'broken' : 'failure',
        `${what}: ${last}${may}`.replace(/([^.!?])$/, '$1.'),
      );
    }
    book.tell(`${what}: ${last}, ${asked} of ${count}`);
  }
  return { kind: 'done', note: `${last}; ${count - bad} of ${count} answers were good` };
}

/** The planned jobs that are the check of this step (several of a matrix), as they stand. */
export async function findCheckJobs(
  { parts, run, job, work }: Pick<StepsRequest, 'parts' | 'run' | 'job' | 'work'>,
  number: number,
): Promise<readonly Job[]> {
  const view = await parts.store.runs.view(run.id);
  const end = `(${work.environment}, step ${number})`;
  return (view?.jobs ?? []).filter((it) => it.plan.heldBy === job.plan.key && it.plan.key.endsWith(end));
}

/**
 * Lets the step's jobs begin and waits for their end. What another process let begin in this step isn't begun again; what
 * ended before the step began is of an earlier deployment, and runs once more.
 */
async function jobCheck(stepping: Stepping, number: number, signal: AbortSignal): Promise<Result> {
  const { parts, run, book, clock } = stepping;
  const { runs, signals } = parts.store;
  const { since } = book.now();
  const isOld = (it: Job): boolean => it.state === 'completed' && (it.finishedAt ?? 0) < since;
  const ear = openEar(stepping);
  let told = '';
  try {
    for (;;) {
      const jobs = await stored(() => findCheckJobs(stepping, number), stepping, signal);
      if (jobs.length === 0) return fail('failure', `The jobs of step ${number} aren't in this run any more.`);
      const old = jobs.filter(isOld).map((it) => it.id);
      if (old.length > 0) {
        const why = 'the deployment asks for it again';
        await stored(() => runs.restart(run.id, old, why, clock.now()), stepping, signal);
        continue;
      }
      for (const { id } of jobs.filter((it) => it.state === 'waiting')) {
        await stored(() => runs.queue(id, clock.now()), stepping, signal);
        signals.send('jobs', '');
      }
      const failed = jobs.find((it) => it.state === 'completed' && !isGood(it));
      if (failed)
        return fail(kindOf(failed), `${failed.plan.key}: ${failed.outcome ? reasonOf(failed.outcome) : 'it ended'}`);
      if (jobs.every((it) => it.state === 'completed')) {
        return { kind: 'done', note: jobs.map((it) => `${it.plan.key} succeeded`).join(', ') };
      }
      const waits = `waits for ${jobs.find((it) => it.state !== 'completed')?.plan.key ?? 'its job'}`;
      // Told once: what is told is heard too.
      if (waits !== told) book.tell(waits);
      told = waits;
      await ear.wait(2000, signal);
      signal.throwIfAborted();
    }
  } catch (error) {
    if (!stepping.leave.aborted) await cancelJobs(stepping, number);
    throw error;
  } finally {
    ear.close();
  }
}

/** A check whose answer nobody waits for any more. Best effort. */
async function cancelJobs(stepping: Stepping, number: number): Promise<void> {
  const { runs, signals } = stepping.parts.store;
  const jobs = await findCheckJobs(stepping, number).catch(() => []);
  for (const job of jobs.filter((it) => it.state === 'queued' || it.state === 'running')) {
    const reason = 'The rollout that asked for it goes back.';
    await runs.cancelJob(job.id, { reason, by: 'slipway' }).catch(() => false);
  }
  if (jobs.length > 0) signals.send('run', stepping.run.id);
}

function isGood({ outcome }: Job): boolean {
  return outcome?.kind === 'success' || outcome?.kind === 'neutral';
}

function kindOf({ outcome }: Job): StepsFailure['kind'] {
  if (outcome?.kind === 'broken' || outcome?.kind === 'cancelled' || outcome?.kind === 'timed_out') return outcome.kind;
  return 'failure';
}

/** A database that doesn't answer for a moment is no failed check. */
async function stored<T>(what: () => Promise<T>, { time }: Stepping, signal: AbortSignal): Promise<T> {
  for (let pause = 200; ; pause = Math.min(10_000, pause * 2)) {
    try {
      return await what();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof PlatformError)) throw new Error(messageOf(error), { cause: error });
      await time.sleep(pause, signal).catch(() => undefined);
      signal.throwIfAborted();
    }
  }
}

function fail(kind: StepsFailure['kind'], reason: string): Result {
  return { kind: 'failed', failure: { kind, reason } };
}
