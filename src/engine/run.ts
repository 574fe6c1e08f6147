import { hasErrors } from '#src/model/diagnostic.ts';
import { isAdded } from '#src/model/event.ts';
import { conditionOf } from '#src/model/expression.ts';
import { type Outcome, reasonOf } from '#src/model/outcome.ts';
import { advance, type Job, type Run, type RunView } from '#src/model/run.ts';
import { isHeld, isStrange } from '#src/model/trust.ts';
import { afterPush, wakeAdded } from './added.ts';
import { isPlatformError, outcomeOf } from './errors.ts';
import { type Queued, queueDeploy } from './deploy/queue.ts';
import { groupOf, leaveGroups, mayGo, mayQueue } from './groups.ts';
import { type Ended, loadPlan } from './load-plan.ts';
import type { Parts } from './parts.ts';
import { settleTrust } from './trust.ts';

export interface Driven {
  readonly completed: boolean;
  /** To be driven again after so many milliseconds, whatever happens; null: once something happens. */
  readonly again: number | null;
}

type Wake = (runId: string) => Promise<void>;

const completed: Driven = { completed: true, again: null };
const onItsWay: Driven = { completed: false, again: null };

/** How long a run waits for a platform that can't be reached before it is given up, and the pauses in between. */
const planPatienceMs = 60 * 60_000;
const planPausesMs = [2_000, 5_000, 15_000, 60_000] as const;

/**
 * Takes one run as far as it goes without waiting for jobs: finds out whether it is a stranger's, and if so whether it has
 * to be approved first; plans it if it isn't planned, waits for its concurrency group,
 * queues the jobs whose needs are completed, ends those that don't run, ends the run when nothing is left.
 * Every transition is stored before the next; called again after a crash, or by two servers, it goes on from there.
 * `failedFor` answers since when it couldn't be planned, milliseconds.
 */
export async function driveRun(
  parts: Parts,
  runId: string,
  wake: Wake,
  signal: AbortSignal,
  failedFor: () => number,
): Promise<Driven> {
  const run = await parts.store.runs.get(runId);
  if (run === null || run.state === 'completed') return completed;
  if (run.state === 'pending') {
    if (run.cancel !== null) {
      return await finish(parts, run, { kind: 'cancelled', reason: run.cancel.reason }, wake);
    }
    const driven = await planRun(parts, run, wake, signal, failedFor);
    if (driven !== null) return driven;
  }
  const view = await parts.store.runs.view(runId);
  if (view === null || view.run.state === 'completed') {
    parts.reporter.report(runId);
    if (view !== null) await wakeAdded(parts, view.run, true, wake);
    return completed;
  }
  const driven = await moveOn(parts, view, wake);
  await wakeAdded(parts, view.run, driven.completed, wake);
  return driven;
}

/** Plans the run, or answers what it waits for: an approval, or another try. Null: it goes on. */
async function planRun(
  parts: Parts,
  given: Run,
  wake: Wake,
  signal: AbortSignal,
  failedFor: () => number,
): Promise<Driven | null> {
  const known = await trustKnown(parts, given, signal);
  if (known.kind === 'ended') return await failToPlan(parts, given, known, wake, failedFor);
  const { run } = known;
  if (run.state !== 'pending') return null;
  if (isAdded(run.trigger) && isStrange(run)) {
    return await finish(parts, run, { kind: 'skipped', reason: run.trust?.reason ?? '' }, wake);
  }
  if (isHeld(run)) {
    if (run.note !== null) await parts.store.runs.note(run.id, null);
    parts.reporter.report(run.id);
    return onItsWay;
  }
  const loaded = await loadPlan(parts, run, signal);
  if (loaded.kind === 'ended') return await failToPlan(parts, run, loaded, wake, failedFor);
  await parts.store.runs.plan(run.id, {
    jobs: loaded.plan.jobs,
    concurrency: loaded.plan.concurrency,
    diagnostics: loaded.diagnostics,
    pipelineFile: loaded.file,
    at: parts.clock.now(),
  });
  parts.log.info({ run: run.id, jobs: loaded.plan.jobs.length, file: loaded.file }, 'run planned');
  return null;
}

/** The run with its trust. GitHub's failure is an outcome, as when it can't be planned: it never makes a run trusted. */
async function trustKnown(
  parts: Parts,
  run: Run,
  signal: AbortSignal,
): Promise<{ readonly kind: 'run'; readonly run: Run } | Ended> {
  try {
    return { kind: 'run', run: await settleTrust(parts, run, signal) };
  } catch (error) {
    if (signal.aborted) throw error;
    if (!isPlatformError(error)) {
      parts.log.error({ err: error, run: run.id }, "could not find out whether a run is a stranger's");
    }
    return { kind: 'ended', outcome: outcomeOf(error), diagnostics: [] };
  }
}

/** Ends a run that can't be planned, or answers when to try again; null if it is over. */
async function failToPlan(
  parts: Parts,
  run: Run,
  { outcome, diagnostics }: Ended,
  wake: Wake,
  failedFor: () => number,
): Promise<Driven | null> {
  const again = outcome.kind === 'broken' && outcome.retry !== 'never' && parts.limits.repeatsItself;
  // By this process's watch: how long nobody was there to try doesn't count.
  const failed = again ? failedFor() : 0;
  if (again && failed < planPatienceMs) {
    const pause = planPausesMs.find((ms) => failed < 4 * ms) ?? planPausesMs.at(-1) ?? 0;
    parts.log.warn({ run: run.id, why: outcome.reason, pause }, 'a run could not be planned yet; trying again');
    const note = `${outcome.reason} Slipway tries again by itself for an hour.`;
    if (run.note !== note) await parts.store.runs.note(run.id, note);
    parts.reporter.report(run.id);
    return { completed: false, again: pause };
  }
  await finish(parts, run, outcome, wake, diagnostics);
  parts.log.info({ run: run.id, outcome: outcome.kind, mistakes: hasErrors(diagnostics) }, 'run ended without jobs');
  return null;
}

async function moveOn(parts: Parts, given: RunView, wake: Wake): Promise<Driven> {
  const { runs, signals } = parts.store;
  const { run } = given;
  const at = parts.clock.now();
  let { jobs } = given;
  const dropped = jobs.filter(
    (job) => (job.state === 'waiting' || job.state === 'queued') && (run.cancel ?? job.cancel),
  );
  for (const job of dropped) {
    const reason = (run.cancel ?? job.cancel)?.reason ?? '';
    await runs.drop(job.id, { kind: 'cancelled', reason }, at);
    if (groupOf(job) !== null) await leaveGroups(parts, `job:${job.id}`, wake);
  }
  if (dropped.length > 0) jobs = (await runs.view(run.id))?.jobs ?? jobs;

  const next = advance(jobs, conditionOf(run));
  for (const { job, outcome } of next.end) await runs.drop(job.id, outcome, at);
  for (const job of jobs) {
    // Also what waits for its needs again, because a person restarted them: it would keep its place from them.
    const stands = job.state === 'queued' || job.state === 'running' || next.queue.includes(job);
    if (stands || groupOf(job) === null) continue;
    await leaveGroups(parts, `job:${job.id}`, wake);
    if (job.state === 'waiting' && job.gate !== null) await runs.noteJob(job.id, null);
  }
  if (next.outcome !== null) return await finish(parts, run, next.outcome, wake);

  let again: number | null = null;
  if (next.queue.length > 0 && (await mayGo(parts, run, wake))) {
    for (const job of next.queue) {
      const queued = await queueJob(parts, run, job, wake);
      if (queued.kind === 'go') await runs.queue(job.id, at);
      if (queued.kind === 'wait' && queued.again !== null) again = Math.min(again ?? queued.again, queued.again);
      if (queued.kind !== 'end') continue;
      await runs.drop(job.id, queued.outcome, at);
      void wake(run.id);
    }
    signals.send('jobs', '');
  }
  parts.reporter.report(run.id);
  return { completed: false, again };
}

/** What becomes of a job that may be claimed as far as its run goes: it takes its turn, and a deployment passes its gates. */
async function queueJob(parts: Parts, run: Run, job: Job, wake: Wake): Promise<Queued> {
  const { work } = job.plan;
  if (work.kind === 'deploy') return await queueDeploy(parts, run, job, work, wake);
  const pushed = await afterPush(parts, run, job);
  if (pushed.kind !== 'go') return pushed;
  const answer = await mayQueue(parts, run, job, wake);
  if (typeof answer === 'boolean') return answer ? { kind: 'go' } : { kind: 'wait', again: null };
  return { kind: 'end', outcome: answer };
}

async function finish(
  parts: Parts,
  run: Run,
  outcome: Outcome,
  wake: Wake,
  diagnostics: Parameters<Parts['store']['runs']['finish']>[2] = run.diagnostics,
): Promise<Driven> {
  await parts.store.runs.finish(run.id, outcome, diagnostics, parts.clock.now());
  if ((await parts.store.runs.get(run.id))?.state === 'running') {
    // A person restarted a job at the same moment: the run goes on, and keeps its group.
    void wake(run.id);
    return onItsWay;
  }
  parts.log.info({ run: run.id, outcome: outcome.kind, why: reasonOf(outcome) }, 'run completed');
  if (run.concurrency !== null) await leaveGroups(parts, `run:${run.id}`, wake);
  parts.reporter.report(run.id);
  return completed;
}
