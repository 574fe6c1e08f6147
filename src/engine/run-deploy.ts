import type { DeployWork } from '#src/model/plan.ts';
import { isStrange } from '#src/model/trust.ts';
import { type Outcome, reasonOf } from '#src/model/outcome.ts';
import { maskText } from '#src/model/mask.ts';
import { fullName } from '#src/model/repository.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Job, Run } from '#src/model/run.ts';
import { isPlatformError, LostJob, outcomeOf } from './errors.ts';
import { hiddenInRun } from './job-secrets.ts';
import { maskOutcome } from './masked.ts';
import type { Parts } from './parts.ts';
import { type RolloutItem, rollOut } from './rollout.ts';
import { realTime, type RolloutTime } from './rollout-time.ts';
import type { DeploymentRecord } from './store-deployments.ts';
import { type Completion, trackJob } from './track.ts';

/**
 * Rolls an environment's workloads to the digests recorded for the commit, with a deployment record and an audit
 * record. Nothing is patched unless everything is allowed and every image is there. Called again for the same attempt, it
 * goes on where another process left it. `signal` cancels, and what was patched goes back; `stop` leaves everything as it
 * is, by throwing. Throws LostJob if the job is another server's meanwhile. `time` is for tests.
 */
export async function runDeploy(
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  signal: AbortSignal,
  stop: AbortSignal,
  time: RolloutTime = realTime,
): Promise<Completion> {
  const lost = new AbortController();
  const lose = (): void => lost.abort(new LostJob());
  const leave = AbortSignal.any([stop, lost.signal]);
  const track = await trackJob(parts, job, ['roll out'], () => {}, lose);
  try {
    const deployment = await openDeployment(parts, run, job, work, { leave, time, lose });
    // What a cluster says may hold what a job had: its own log and words are masked like a job's.
    track.hide(await hiddenInRun(parts, run));
    const say = (message: string): void => {
      track.say(message);
      deployment.tell(maskText(message, track.hidden));
    };
    track.listener.step({ kind: 'started', index: 0, at: parts.clock.now() });
    const attempted = await attempt(parts, run, job, work, {
      deployment,
      signal,
      leave,
      time,
      say,
      log: (it) => track.say(it),
    });
    const outcome = maskOutcome(attempted, track.hidden);
    say(outcome.kind === 'success' ? `Deployed to ${work.environment}.` : reasonOf(outcome));
    const exitCode = outcome.kind === 'success' ? 0 : 1;
    track.listener.step({ kind: 'finished', index: 0, at: parts.clock.now(), exitCode });
    await deployment.end(outcome);
    return { outcome };
  } finally {
    // What the cluster runs doesn't depend on the log.
    await track.close().catch((error: unknown) => parts.log.error({ err: error, job: job.id }, 'log is not whole'));
  }
}

interface Context {
  readonly deployment: Deployment;
  readonly signal: AbortSignal;
  readonly leave: AbortSignal;
  readonly time: RolloutTime;
  readonly say: (message: string) => void;
  /** Only into the log. */
  readonly log: (message: string) => void;
}

/** Throws only if the deployment is left as it is. */
async function attempt(parts: Parts, run: Run, job: Job, work: DeployWork, context: Context): Promise<Outcome> {
  const { deployment, leave } = context;
  try {
    const { begun } = deployment;
    if (begun) context.log('Slipway goes on with this rollout where another process left it.');
    // What was allowed and has begun is seen through: half of it would be worse than either end.
    const decision = begun ? resumed(work, begun) : await decide(parts, run, work);
    if (!begun) await audit(parts, run, job, work, decision);
    if (decision.kind === 'refused') return { kind: 'failure', reason: decision.reason };
    const result = await rollOut({
      items: begun ? decision.targets : await withHistory(parts, deployment.record, decision.targets),
      begun,
      cluster: parts.cluster,
      clock: parts.clock,
      timeoutMs: job.plan.timeoutMinutes * 60_000,
      onProgress: context.say,
      onChange: (changes) => deployment.change(changes),
      onLines: (lines) => context.log(`Last lines of the failing container:\n${lines}`),
      signal: context.signal,
      leave,
      time: context.time,
    });
    context.log(result.summary);
    return result.outcome;
  } catch (error) {
    if (error instanceof LostJob) throw error;
    leave.throwIfAborted();
    parts.log.error({ err: error, run: run.id, job: job.plan.key }, 'deployment broke');
    return outcomeOf(error);
  }
}

type Decision =
  | { readonly kind: 'allowed'; readonly targets: readonly RolloutItem[] }
  | { readonly kind: 'refused'; readonly reason: string };

async function decide(parts: Parts, run: Run, work: DeployWork): Promise<Decision> {
  if (isStrange(run)) return { kind: 'refused', reason: "A fork's commit is never deployed." };
  const targets: RolloutItem[] = [];
  for (const target of work.rollout) {
    const refusal = parts.policy.refuseRollout(run.repository, target);
    if (refusal !== null) return { kind: 'refused', reason: refusal };
    const image = await parts.store.images.find(run.repository.id, run.trigger.sha, target.image);
    if (image === null) {
      return {
        kind: 'refused',
        reason: `No image is recorded for the job "${target.image}" and commit ${run.trigger.sha.slice(0, 12)}: that job has to build and push it first.`,
      };
    }
    targets.push({ target, image: image.image });
  }
  return { kind: 'allowed', targets };
}

function resumed(work: DeployWork, begun: readonly RolloutChange[]): Decision {
  const targets = work.rollout.map((target, index) => ({ target, image: begun[index]?.after ?? '' }));
  return { kind: 'allowed', targets };
}

/** Adds to each target the image that an earlier attempt found there, and the last that was healthy. */
async function withHistory(
  parts: Parts,
  record: DeploymentRecord,
  targets: readonly RolloutItem[],
): Promise<readonly RolloutItem[]> {
  const healthy = await parts.store.deployments.lastHealthy(record.repositoryId, record.environment, record.id);
  return targets.map((item, index) => {
    const workload = `${item.target.namespace}/${item.target.name}`;
    const earlier = record.changes[index];
    return {
      ...item,
      before: earlier?.workload === workload ? earlier.before : null,
      lastHealthy: healthy?.changes.find((change) => change.workload === workload)?.after ?? null,
    };
  });
}

interface Deployment {
  readonly record: DeploymentRecord;
  /** What another process stored of this attempt after it had begun; null: nothing was patched yet. */
  readonly begun: readonly RolloutChange[] | null;
  /** Stores how far it got. Throws LostJob if the job is another server's. */
  change(changes: readonly RolloutChange[]): Promise<void>;
  end(outcome: Outcome): Promise<void>;
  /** Shows a sentence on where it stands; returns at once. */
  tell(message: string): void;
}

/** The job's deployment record: a new one, or that of an earlier attempt or process, which goes on. */
async function openDeployment(
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  { leave, time, lose }: { readonly leave: AbortSignal; readonly time: RolloutTime; readonly lose: () => void },
): Promise<Deployment> {
  const { clock, log, reporter, store } = parts;
  const owned = { jobId: job.id, attempt: job.attempt, worker: parts.limits.worker };
  let shown = job.progress ?? 'Rolling out';

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

  async function save(next: DeploymentRecord): Promise<void> {
    leave.throwIfAborted();
    const mine = await stored(() => store.runs.progress(owned, { progress: shown }));
    if (!mine) {
      lose();
      throw new LostJob();
    }
    record = { ...next, updatedAt: clock.now() };
    const written = record;
    await stored(() => store.deployments.save(written));
  }

  const existing = await stored(() => store.deployments.ofJob(job.id));
  const changes = existing?.changes ?? [];
  const ours = changes.length === work.rollout.length && changes.every((it) => it.attempt === job.attempt);
  const begun = ours && changes.some((it) => (it.phase ?? 'planned') !== 'planned') ? changes : null;
  let record: DeploymentRecord = {
    id: existing?.id ?? job.id,
    repositoryId: run.repository.id,
    repository: fullName(run.repository),
    environment: work.environment,
    sha: run.trigger.sha,
    runId: run.id,
    jobId: job.id,
    actor: run.trigger.actor,
    state: 'in_progress',
    description: 'Rolling out',
    changes,
    createdAt: existing?.createdAt ?? clock.now(),
    updatedAt: clock.now(),
    patchedAt: begun ? (existing?.patchedAt ?? null) : null,
    details: existing?.details ?? {},
  };
  await save(record);
  return {
    record,
    begun,
    async change(next) {
      const moving = next.some((it) => (it.phase ?? 'planned') !== 'planned');
      await save({
        ...record,
        changes: next.map((it) => ({ ...it, attempt: job.attempt })),
        patchedAt: record.patchedAt ?? (moving ? clock.now() : null),
      });
    },
    async end(outcome) {
      const success = outcome.kind === 'success';
      await save({
        ...record,
        state: success ? 'success' : outcome.kind === 'broken' ? 'error' : 'failure',
        description: success ? `Deployed ${run.trigger.sha.slice(0, 12)}` : reasonOf(outcome),
      });
    },
    tell(message) {
      shown = message;
      void store.runs.progress(owned, { progress: message }).then(
        (mine) => (mine ? reporter.report(run.id) : lose()),
        (error: unknown) => log.warn({ err: error, job: job.id }, "a deployment's progress could not be stored"),
      );
    },
  };
}

/** Once for each attempt: a process that died may have written it already. */
async function audit(parts: Parts, run: Run, job: Job, work: DeployWork, decision: Decision): Promise<void> {
  const repository = fullName(run.repository);
  const images = decision.kind === 'allowed' ? decision.targets.map((t) => `${t.image} `).join('') : '';
  const subject = `${work.environment} ${run.trigger.sha} ${images}(job ${job.id}-${job.attempt})`;
  const last = await parts.store.audit.list(repository, 100);
  if (last.some((it) => it.action === 'deploy' && it.subject === subject && it.decision === decision.kind)) return;
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: run.trigger.actor,
    action: 'deploy',
    repository,
    subject,
    decision: decision.kind,
    reason: decision.kind === 'refused' ? decision.reason : `by ${run.trigger.kind} ${run.trigger.ref}`,
  });
}
