import type { JobGate } from '#src/model/deploy-rules.ts';
import { type Outcome, reasonOf } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import { fullName } from '#src/model/repository.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Job, Run } from '#src/model/run.ts';
import { isPlatformError, LostJob } from '#src/engine/errors.ts';
import type { Parts } from '#src/engine/parts.ts';
import { repeat } from '#src/engine/repeat.ts';
import type { RolloutTime } from '#src/engine/rollout-time.ts';
import type { DeploymentDetails, DeploymentRecord } from '#src/engine/store-deployments.ts';
import { askerOf } from './asker.ts';

/** A deploy job's record in the store. What is awaited throws LostJob if the job is another server's. */
export interface Deployment {
  record(): DeploymentRecord;
  /** What another process stored of this attempt after the rollout had begun; null: no workload was patched yet. */
  readonly begun: readonly RolloutChange[] | null;
  /** What another process stored of this attempt; empty if there was none, or nothing was decided yet. */
  readonly details: DeploymentDetails;
  /** Stores how far the rollout got. */
  change(changes: readonly RolloutChange[]): Promise<void>;
  save(details: DeploymentDetails): Promise<void>;
  /** What the job waits for while it runs; null: nothing. */
  gate(gate: JobGate | null): Promise<void>;
  /** `doubt`: what is added to the words of a success. */
  end(outcome: Outcome, doubt?: string): Promise<void>;
  /** Shows a sentence on where it stands; returns at once. */
  tell(message: string): void;
  /** Shows what there is beside the log, in Markdown; returns at once. */
  report(markdown: string): void;
  /** Resolves when everything is shown. */
  settled(): Promise<void>;
}

/** Opens the job's deployment record: a new one, or that of an earlier attempt or process, which goes on. */
export async function openDeployment(
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  { leave, time, lose }: { readonly leave: AbortSignal; readonly time: RolloutTime; readonly lose: () => void },
): Promise<Deployment> {
  const { clock, log, reporter, store } = parts;
  const owned = { jobId: job.id, attempt: job.attempt, worker: parts.limits.worker };
  const shown = { progress: job.progress ?? 'Rolling out', report: job.report ?? '' };

  /** A database that can't be written for a moment must not leave a rollout half-way. */
  async function stored<T>(what: () => Promise<T>): Promise<T> {
    for (let pause = 200; ; pause = Math.min(10_000, pause * 2)) {
      try {
        return await what();
      } catch (error) {
        if (!isPlatformError(error)) throw error;
        leave.throwIfAborted();
        log.error({ err: error, job: job.id }, "a deployment's state can't be stored yet; trying again");
        await time.sleep(pause, leave).catch(() => undefined);
        leave.throwIfAborted();
      }
    }
  }

  async function hold(change: Parameters<typeof store.runs.progress>[1]): Promise<void> {
    leave.throwIfAborted();
    if (await stored(() => store.runs.progress(owned, change))) return;
    lose();
    throw new LostJob();
  }

  async function save(next: DeploymentRecord): Promise<void> {
    await hold({ ...shown });
    record = { ...next, updatedAt: clock.now() };
    const written = record;
    await stored(() => store.deployments.save(written));
  }

  const showing = repeat(async () => {
    try {
      if (await store.runs.progress(owned, { ...shown })) reporter.report(run.id);
      else lose();
    } catch (error) {
      log.warn({ err: error, job: job.id }, "a deployment's progress could not be stored");
    }
  });

  const existing = await stored(() => store.deployments.ofJob(job.id));
  const ours = existing !== null && attemptOf(existing) === job.attempt;
  // The record keeps the changes of an earlier attempt until this one has planned its own.
  const changes = existing?.changes.filter((it) => it.attempt === job.attempt) ?? [];
  const whole = changes.length > 0 && changes.length === work.rollout.length;
  const begun = whole && changes.some((it) => (it.phase ?? 'planned') !== 'planned') ? changes : null;
  let record: DeploymentRecord = {
    id: existing?.id ?? job.id,
    repositoryId: run.repository.id,
    repository: fullName(run.repository),
    environment: work.environment,
    sha: run.trigger.sha,
    runId: run.id,
    jobId: job.id,
    actor: askerOf(run, job).login,
    state: 'in_progress',
    description: 'Rolling out',
    changes: existing?.changes ?? [],
    // Another attempt is another deployment: the order in which they were made counts.
    createdAt: ours ? existing.createdAt : clock.now(),
    updatedAt: clock.now(),
    patchedAt: begun ? (existing?.patchedAt ?? null) : null,
    details: { ...(ours ? existing.details : {}), ...detailsOf(run, work), attempt: job.attempt },
  };
  await save(record);
  return {
    record: () => record,
    begun,
    details: ours ? existing.details : {},
    async change(next) {
      const moving = next.some((it) => (it.phase ?? 'planned') !== 'planned');
      await save({
        ...record,
        changes: next.map((it) => ({ ...it, attempt: job.attempt })),
        patchedAt: record.patchedAt ?? (moving ? clock.now() : null),
      });
    },
    save: (details) => save({ ...record, details: { ...record.details, ...details } }),
    async gate(gate) {
      await hold({ ...shown, gate });
      reporter.report(run.id);
    },
    async end(outcome, doubt = '') {
      await showing.settled();
      const success = outcome.kind === 'success';
      await save({
        ...record,
        state: success ? 'success' : outcome.kind === 'broken' ? 'error' : 'failure',
        description: success ? `${healthyWords(run, work)}${doubt}` : reasonOf(outcome),
        details: success ? { ...record.details, healthyAt: clock.now() } : record.details,
      });
      if (!success) return;
      const replaced = await stored(() => store.deployments.supersede(record, work.mode === 'rollback'));
      for (const { runId } of replaced) reporter.report(runId);
    },
    tell(message) {
      shown.progress = message;
      showing.ask();
    },
    report(markdown) {
      if (shown.report === markdown) return;
      shown.report = markdown;
      showing.ask();
    },
    settled: () => showing.settled(),
  };
}

/** The attempt of the job that wrote the record. Those of older versions say it with their changes only. */
function attemptOf({ details, changes }: DeploymentRecord): number | undefined {
  return details.attempt ?? changes[0]?.attempt;
}

/** What is known of the deployment before anything is decided. */
function detailsOf(run: Run, work: DeployWork): DeploymentDetails {
  const { trigger } = run;
  const branch = 'branch' in trigger ? trigger.branch : '';
  const tag = 'tag' in trigger ? trigger.tag : undefined;
  const number = 'number' in trigger ? trigger.number : null;
  const params = trigger.kind === 'deploy' ? trigger.params : undefined;
  return {
    mode: work.mode ?? 'deploy',
    title: trigger.title,
    ...(branch === '' ? {} : { branch }),
    ...(tag === undefined ? {} : { tag }),
    number: number ?? run.pullRequest ?? null,
    url: work.url,
    rollout: work.rollout,
    allow: work.rules?.allow ?? null,
    ...(params === undefined ? {} : { params }),
    ...(work.restores === undefined ? {} : { restores: work.restores }),
  };
}

function healthyWords(run: Run, work: DeployWork): string {
  const what = run.trigger.sha.slice(0, 12);
  return work.mode === 'rollback' ? `Rolled back to ${what}` : `Deployed ${what}`;
}
