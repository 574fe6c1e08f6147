import type { DeployWork } from '#src/model/plan.ts';
import { isStrangers } from '#src/model/event.ts';
import { type Outcome, reasonOf } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { outcomeOf } from './errors.ts';
import type { Parts } from './parts.ts';
import { type RolloutItem, rollOut } from './rollout.ts';
import type { DeploymentRecord } from './store.ts';
import { type Completion, trackJob } from './track.ts';

/**
 * Rolls an environment's workloads to the digests recorded for the commit, with a deployment record and an audit
 * record. Nothing is patched unless everything is allowed and every image is there. `signal` cancels, and what was
 * patched goes back; `stop` leaves everything as it is, by throwing.
 */
export async function runDeploy(
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  signal: AbortSignal,
  stop: AbortSignal,
): Promise<Completion> {
  const track = await trackJob(parts, job, ['roll out'], () => {});
  const record = await openRecord(parts, run, job, work);
  const say = (message: string): void => {
    track.say(message);
    void parts.store.runs.progress(job.id, { progress: message }).then(
      () => parts.reporter.report(run.id),
      (error: unknown) => parts.log.warn({ err: error, job: job.id }, "a deployment's progress could not be stored"),
    );
  };
  track.listener.step({ kind: 'started', index: 0, at: parts.clock.now() });
  let changes: DeploymentRecord['changes'] = [];
  let outcome: Outcome;
  try {
    const targets = await decide(parts, run, work);
    await audit(parts, run, work, targets);
    if (targets.kind === 'refused') {
      outcome = { kind: 'failure', reason: targets.reason };
    } else {
      const result = await rollOut({
        items: await withHistory(parts, record, targets.targets),
        cluster: parts.cluster,
        clock: parts.clock,
        timeoutMs: job.plan.timeoutMinutes * 60_000,
        onProgress: say,
        onPlanned: async (planned) => await parts.store.deployments.save({ ...record, changes: planned }),
        signal,
        leave: stop,
      });
      outcome = result.outcome;
      changes = result.changes;
      if (result.lastLines !== '') track.say(`Last lines of the failing container:\n${result.lastLines}`);
      track.say(result.summary);
    }
  } catch (error) {
    if (stop.aborted) {
      await track.close();
      throw error;
    }
    parts.log.error({ err: error, run: run.id, job: job.plan.key }, 'deployment broke');
    outcome = outcomeOf(error);
  }
  say(outcome.kind === 'success' ? `Deployed to ${work.environment}.` : reasonOf(outcome));
  track.listener.step({
    kind: 'finished',
    index: 0,
    at: parts.clock.now(),
    exitCode: outcome.kind === 'success' ? 0 : 1,
  });
  await track.close();
  await parts.store.deployments.save({
    ...record,
    state: outcome.kind === 'success' ? 'success' : outcome.kind === 'broken' ? 'error' : 'failure',
    description: outcome.kind === 'success' ? `Deployed ${run.trigger.sha.slice(0, 12)}` : reasonOf(outcome),
    changes,
    updatedAt: parts.clock.now(),
  });
  return { outcome };
}

type Decision =
  | { readonly kind: 'allowed'; readonly targets: readonly RolloutItem[] }
  | { readonly kind: 'refused'; readonly reason: string };

async function decide(parts: Parts, run: Run, work: DeployWork): Promise<Decision> {
  if (isStrangers(run.trigger)) return { kind: 'refused', reason: "A fork's commit is never deployed." };
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

/** Adds to each target the image that an earlier attempt found there, and the last that was healthy. */
async function withHistory(
  parts: Parts,
  record: DeploymentRecord,
  targets: readonly RolloutItem[],
): Promise<readonly RolloutItem[]> {
  const healthy = await parts.store.deployments.lastHealthy(record.repositoryId, record.environment, record.id);
  return targets.map((item) => {
    const workload = `${item.target.namespace}/${item.target.name}`;
    return {
      ...item,
      before: record.changes.find((change) => change.workload === workload)?.before ?? null,
      lastHealthy: healthy?.changes.find((change) => change.workload === workload)?.after ?? null,
    };
  });
}

async function openRecord(parts: Parts, run: Run, job: Job, work: DeployWork): Promise<DeploymentRecord> {
  const at = parts.clock.now();
  const existing = await parts.store.deployments.ofJob(job.id);
  const record: DeploymentRecord = {
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
    changes: existing?.changes ?? [],
    createdAt: existing?.createdAt ?? at,
    updatedAt: at,
  };
  await parts.store.deployments.save(record);
  return record;
}

async function audit(parts: Parts, run: Run, work: DeployWork, decision: Decision): Promise<void> {
  const images = decision.kind === 'allowed' ? decision.targets.map((t) => t.image).join(', ') : '';
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: run.trigger.actor,
    action: 'deploy',
    repository: fullName(run.repository),
    subject: `${work.environment} ${run.trigger.sha} ${images}`.trim(),
    decision: decision.kind,
    reason: decision.kind === 'refused' ? decision.reason : `by ${run.trigger.kind} ${run.trigger.ref}`,
  });
}
