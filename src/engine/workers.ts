import type { Job, Run } from '#src/model/run.ts';
import { outcomeOf } from './errors.ts';
import type { Parts } from './parts.ts';
import { repeat } from './repeat.ts';
import { runDeploy } from './run-deploy.ts';
import { runImage } from './run-image.ts';
import { runScript } from './run-script.ts';
import type { Completion } from './track.ts';

export interface Workers {
  /** Claims and starts what may run now. Returns at once. */
  pump(): void;
  /** Stops the run's running jobs. */
  cancel(runId: string, reason: string): void;
  /** Resolves when nothing runs any more. */
  stopped(): Promise<void>;
}

/**
 * Claims queued jobs as long as there is room and runs each to its end. Deployments have room of their own: they
 * wait for Kubernetes, not for this machine.
 */
export function createWorkers(parts: Parts, wake: (runId: string) => Promise<void>, stopping: AbortSignal): Workers {
  const active = new Map<Promise<void>, { readonly job: Job; readonly abort: AbortController }>();
  const claiming = repeat(claimAll);

  async function claimAll(): Promise<void> {
    try {
      while (!stopping.aborted) {
        const heavy = [...active.values()].filter((a) => a.job.plan.work.kind !== 'deploy').length;
        const kinds = heavy < parts.limits.jobs ? (['script', 'image', 'deploy'] as const) : (['deploy'] as const);
        const job = await parts.store.runs.claim(parts.limits.worker, kinds, parts.clock.now());
        if (job === null) return;
        launch(job);
      }
    } catch (error) {
      parts.log.error({ err: error }, 'jobs could not be claimed');
      setTimeout(claiming.ask, 1_000).unref();
    }
  }

  function launch(job: Job): void {
    const abort = new AbortController();
    const done = work(job, abort.signal).finally(() => {
      active.delete(done);
      claiming.ask();
    });
    active.set(done, { job, abort });
  }

  async function work(job: Job, cancel: AbortSignal): Promise<void> {
    const log = { run: job.runId, job: job.plan.key, attempt: job.attempt };
    try {
      const run = await parts.store.runs.get(job.runId);
      if (run === null) return;
      parts.reporter.report(run.id);
      const completion = await perform(run, job, cancel).catch((error: unknown): Completion => {
        if (!stopping.aborted) parts.log.error({ ...log, err: error }, 'job broke');
        return { outcome: outcomeOf(error) };
      });
      // Stopped with the server: nothing is recorded, so that the next start repeats the job.
      if (stopping.aborted && completion.outcome.kind !== 'success') return;
      await parts.store.runs.complete(job.id, { ...completion, at: parts.clock.now() });
      parts.log.info({ ...log, outcome: completion.outcome.kind }, 'job completed');
      parts.reporter.report(run.id);
    } catch (error) {
      parts.log.error({ ...log, err: error }, "a job's end could not be stored");
    }
    void wake(job.runId);
  }

  function perform(run: Run, job: Job, cancel: AbortSignal): Promise<Completion> {
    const signal = AbortSignal.any([cancel, stopping]);
    switch (job.plan.work.kind) {
      case 'script':
        return runScript(parts, run, job, job.plan.work, signal);
      case 'image':
        return runImage(parts, run, job, job.plan.work, signal);
      case 'deploy':
        return runDeploy(parts, run, job, job.plan.work, cancel, stopping);
    }
  }

  return {
    pump: claiming.ask,
    cancel(runId, reason) {
      for (const { job, abort } of active.values()) if (job.runId === runId) abort.abort(new Error(reason));
    },
    async stopped() {
      await claiming.settled();
      await Promise.allSettled(active.keys());
    },
  };
}
