import type { Cancellation, Job, Run } from '#src/model/run.ts';
import { UserError } from '#src/model/outcome.ts';
import { mayCancel } from '#src/model/cancel.ts';
import { retryOf, withTries } from '#src/model/retry.ts';
import { BegunElsewhere, isPlatformError, LostJob, outcomeOf } from './errors.ts';
import { type Gate, sleep } from './gate.ts';
import type { Assignment, Parts } from './parts.ts';
import { repeat } from './repeat.ts';
import { runDeploy } from './run-deploy.ts';
import { runPlan } from './run-plan.ts';
import { runPreview } from './run-preview.ts';
import { runImage } from './run-image.ts';
import { runScript } from './run-script.ts';
import type { Completion } from './track.ts';

export interface Workers {
  /** Claims and starts what may run now. Returns at once. */
  pump(): void;
  /** Goes on with jobs that another process began; they are this server's already. */
  inherit(jobs: readonly Job[]): void;
  /** Stops the run's jobs, or one of them, if that was asked for. */
  heed(runId: string): Promise<void>;
  /** Runs with jobs at work here. */
  runs(): ReadonlySet<string>;
  /** Lets go of everything: the jobs are another server's now. */
  lose(): void;
  /** Claims nothing more, waits this long for what runs, and leaves the rest running, for the next process to follow. */
  stop(graceMs: number): Promise<void>;
}

interface Active {
  readonly job: Job;
  readonly cancel: AbortController;
  readonly leave: AbortController;
}

const shortageMs = 5_000;
const troubleMs = 1_000;
/** No timer is longer: another server may have queued something. */
const longestPauseMs = 30_000;

/**
 * Claims queued jobs as long as there is room and runs each to its end. Deployments have room of their own: they
 * wait for Kubernetes, not for this machine.
 */
export function createWorkers(parts: Parts, gate: Gate, wake: (runId: string) => Promise<void>): Workers {
  const { runs } = parts.store;
  const active = new Map<Promise<void>, Active>();
  const stopping = new AbortController();
  const claiming = repeat(claimAll);
  let timer: NodeJS.Timeout | null = null;
  let short = '';
  /** Something may be stored as running here at which nobody works: a claim's answer was lost, or what failed was ours. */
  let doubtful = false;

  async function claimAll(): Promise<void> {
    try {
      if (doubtful) await regain();
      while (!stopping.signal.aborted) {
        const job = await runs.claim(parts.limits.worker, await kindsWithRoom(), parts.clock.now());
        if (job === null) return await pumpWhenDue();
        launch(job, false);
      }
    } catch (error) {
      parts.log.error({ err: error }, 'jobs could not be claimed');
      doubtful = true;
      pumpIn(troubleMs);
    }
  }

  /** Goes on with what is stored as running here and isn't worked at. Never beside a claim: its job would be begun twice. */
  async function regain(): Promise<void> {
    if (stopping.signal.aborted) return;
    doubtful = false;
    const { worker } = parts.limits;
    const busy = () => new Set([...active.values()].map(({ job }) => job.id));
    const before = busy();
    // Who ends while it is asked was busy before; its job may be queued again by now, but isn't running here.
    const idle = (await runs.inherit(worker, worker)).filter((job) => !before.has(job.id) && !busy().has(job.id));
    if (idle.length > 0) parts.log.warn({ jobs: idle.length }, 'going on with jobs at which nobody worked');
    for (const job of idle) launch(job, true);
  }

  async function kindsWithRoom(): Promise<readonly Job['plan']['work']['kind'][]> {
    const heavy = [...active.values()].filter((a) => usesMachine(a.job)).length;
    if (heavy >= parts.limits.jobs || !gate.open) return ['deploy', 'preview', 'plan'];
    const shortage = await parts.shortage();
    if (shortage === null) return ['script', 'image', 'deploy', 'preview', 'plan'];
    if (shortage !== short) parts.log.error({ why: shortage }, 'no job may begin');
    short = shortage;
    pumpIn(shortageMs);
    return ['deploy', 'preview', 'plan'];
  }

  async function pumpWhenDue(): Promise<void> {
    const due = await runs.nextDue(parts.clock.now());
    if (due !== null) pumpIn(Math.min(longestPauseMs, due - parts.clock.now()));
  }

  function pumpIn(ms: number): void {
    if (timer) clearTimeout(timer);
    timer = setTimeout(claiming.ask, Math.max(1, ms));
    timer.unref();
  }

  function launch(job: Job, inherited: boolean): void {
    const entry: Active = { job, cancel: new AbortController(), leave: new AbortController() };
    const done = work(entry, inherited).finally(() => {
      active.delete(done);
      claiming.ask();
    });
    active.set(done, entry);
  }

  /** From the claim to the stored end. What is cut short by the server's own end stores nothing: the next process goes on. */
  async function work(entry: Active, inherited: boolean): Promise<void> {
    const { job } = entry;
    const log = { run: job.runId, job: job.plan.key, attempt: job.attempt };
    const leaving = () => stopping.signal.aborted && entry.leave.signal.aborted;
    try {
      // Docker must answer before anything can be said of a job's container.
      if (inherited && usesMachine(job)) await gate.opened(entry.leave.signal);
      // Read anew: what was asked for since the claim, or while nobody worked at the job, was heard by nobody.
      const [run, fresh] = await Promise.all([runs.get(job.runId), runs.job(job.id)]);
      if (run === null || entry.leave.signal.aborted) return;
      if (run.cancel !== null || fresh?.cancel) stop(entry, fresh?.cancel ?? run.cancel);
      parts.reporter.report(run.id);
      const completion = await perform(run, entry, inherited).catch((error: unknown): Completion => {
        if (entry.leave.signal.aborted || error instanceof LostJob || error instanceof BegunElsewhere) throw error;
        if (error instanceof UserError) parts.log.info({ ...log, why: error.message }, 'job failed before it began');
        else parts.log.error({ ...log, err: error }, 'job broke');
        if (isPlatformError(error) && usesMachine(job)) gate.doubt();
        return { outcome: outcomeOf(error) };
      });
      // A half-told end of a job that is left isn't its end.
      if (entry.leave.signal.aborted && completion.outcome.kind === 'cancelled') return;
      const stored = await persist(() => end(run, job, completion), entry);
      if (!stored) parts.log.warn(log, "a job's end came too late: it is another server's");
    } catch (error) {
      if (error instanceof LostJob) parts.log.warn(log, 'a job was taken over by another server');
      else if (!leaving()) {
        parts.log.error({ ...log, err: error }, 'a job could not be worked at to its end; going on with it');
        await sleep(troubleMs, stopping.signal);
        // Not before: as long as this goes on, somebody works at the job.
        doubtful = true;
      }
      return;
    }
    parts.reporter.report(job.runId);
    void wake(job.runId);
  }

  /** Stores the end, or that the job runs again. False if it isn't this server's any more. */
  async function end(run: Run, job: Job, completion: Completion): Promise<boolean> {
    const present = parts.clock.now();
    // A clock that was set back meanwhile: nothing ends before it began.
    const at = Math.max(present, job.startedAt ?? present);
    const owned = { jobId: job.id, attempt: job.attempt, worker: parts.limits.worker };
    const log = { run: job.runId, job: job.plan.key, attempt: job.attempt, outcome: completion.outcome.kind };
    const [fresh, current] = await Promise.all([runs.get(run.id), runs.job(job.id)]);
    const cancelled = fresh === null || fresh.cancel !== null || (current?.cancel ?? null) !== null;
    const mayRetry = !cancelled && (completion.outcome.kind !== 'broken' || parts.limits.repeatsItself);
    const retry = mayRetry ? retryOf(job, completion.outcome) : null;
    if (retry !== null) {
      const { by, why, note, delayMs } = retry;
      const notBefore = delayMs > 0 ? present + delayMs : null;
      const again = await runs.again(owned, { outcome: completion.outcome, by, why, note, notBefore, at });
      if (again) parts.log.warn({ ...log, why, delayMs }, 'job runs again');
      parts.store.signals.send('jobs', '');
      return again;
    }
    const outcome = withTries(job, completion.outcome);
    const stored = await runs.complete(owned, { ...completion, outcome, at });
    if (stored) parts.log.info(log, 'job completed');
    return stored;
  }

  /** A database that can't be written for a moment (locked, full) must not cost a job its result. */
  async function persist(store: () => Promise<boolean>, entry: Active): Promise<boolean> {
    for (let pause = 200; ; pause = Math.min(10_000, pause * 2)) {
      try {
        return await store();
      } catch (error) {
        if (!isPlatformError(error) || entry.leave.signal.aborted) throw error;
        parts.log.error({ err: error, job: entry.job.id }, "a job's end can't be stored yet; trying again");
        await sleep(pause, entry.leave.signal);
      }
    }
  }

  function perform(run: Run, entry: Active, inherited: boolean): Promise<Completion> {
    const { job, cancel, leave } = entry;
    const lost = () => leave.abort(new LostJob());
    const assignment: Assignment = { job, inherited, ends: { cancel: cancel.signal, leave: leave.signal }, lost };
    const { kind } = job.plan.work;
    if (cancel.signal.aborted && kind !== 'deploy' && !(inherited && kind === 'script')) {
      // Nothing of it runs: it isn't begun only to be stopped.
      return Promise.resolve({ outcome: { kind: 'cancelled', reason: (cancel.signal.reason as Error).message } });
    }
    switch (job.plan.work.kind) {
      case 'script':
        return runScript(parts, run, job.plan.work, assignment);
      case 'image':
        return runImage(parts, run, job.plan.work, assignment);
      case 'deploy':
        return runDeploy(parts, run, job, job.plan.work, cancel.signal, leave.signal);
      case 'preview':
        return runPreview(parts, run, job, job.plan.work, cancel.signal, leave.signal);
      case 'plan':
        return runPlan(parts, run, job, cancel.signal, leave.signal);
    }
  }

  async function heed(runId: string): Promise<void> {
    const mine = [...active.values()].filter(({ job }) => job.runId === runId);
    if (mine.length === 0) return;
    const view = await runs.view(runId);
    for (const entry of mine) {
      stop(entry, view?.jobs.find((other) => other.id === entry.job.id)?.cancel ?? view?.run.cancel ?? null);
    }
  }

  function stop({ job, cancel }: Active, asked: Cancellation | null): void {
    if (asked === null || !mayCancel({ ...job, state: 'running' }, asked)) return;
    cancel.abort(new Error(asked.reason));
  }

  return {
    pump: claiming.ask,
    inherit(jobs) {
      for (const job of jobs) launch(job, true);
    },
    heed,
    runs: () => new Set([...active.values()].map(({ job }) => job.runId)),
    lose() {
      const left = [...active.entries()];
      for (const [, { leave }] of left) leave.abort(new LostJob());
      // What was claimed while the others took over is nobody else's: it is this server's still, and goes on.
      void Promise.allSettled(left.map(([done]) => done)).then(() => {
        doubtful = true;
        claiming.ask();
      });
    },
    async stop(graceMs) {
      stopping.abort();
      if (timer) clearTimeout(timer);
      await claiming.settled();
      const grace = new AbortController();
      const over = Promise.allSettled(active.keys()).then(() => grace.abort());
      if (active.size > 0) await sleep(graceMs, grace.signal);
      for (const { leave } of active.values()) leave.abort(new Error('The server stops.'));
      await over;
    },
  };
}

/** Its work needs Docker here; the rest is done elsewhere. */
function usesMachine({ plan }: Job): boolean {
  return plan.work.kind === 'script' || plan.work.kind === 'image';
}
