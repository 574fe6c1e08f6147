import type { DeployWork } from '#src/model/plan.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import type { Parts } from '#src/engine/parts.ts';
import { askerOf } from './asker.ts';

export type Decision =
  /** `images`: `repository@sha256:...` by image job. */
  | { readonly kind: 'allowed'; readonly images: Readonly<Record<string, string>> }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Whether the deployment may go where it wants to, by the operator's word of this moment, and what it brings there: the
 * digests that were named (by a rollback or promotion), otherwise those recorded for the commit.
 */
export async function decide(parts: Parts, run: Run, work: DeployWork): Promise<Decision> {
  const { policy, store } = parts;
  if (isStrange(run)) return { kind: 'refused', reason: "A fork's commit is never deployed." };
  for (const target of work.rollout) {
    const refusal = policy.refuseRollout(run.repository, target);
    if (refusal !== null) return { kind: 'refused', reason: refusal };
  }
  const other = work.gitops?.repository;
  const refusal = other === undefined ? null : policy.refuseGitOps(run.repository, other);
  if (refusal !== null) return { kind: 'refused', reason: refusal };
  const images: Record<string, string> = {};
  for (const job of imagesOf(work)) {
    const named = work.images?.[job];
    const image = named ?? (await store.images.find(run.repository.id, run.trigger.sha, job))?.image;
    if (image === undefined) return { kind: 'refused', reason: missing(run, work, job) };
    images[job] = image;
  }
  return { kind: 'allowed', images };
}

/** Ids of the image jobs whose images the deployment brings. */
function imagesOf(work: DeployWork): ReadonlySet<string> {
  return new Set([...work.rollout, ...(work.gitops?.changes ?? [])].map(({ image }) => image));
}

function missing(run: Run, work: DeployWork, job: string): string {
  if (work.images !== undefined && Object.keys(work.images).length > 0) {
    return `The deployment whose digests were to be taken has none of the job "${job}": the environment's rollout names one that it didn't have then. Deploy a commit instead.`;
  }
  return `No image is recorded for the job "${job}" and commit ${run.trigger.sha.slice(0, 12)}: that job has to build and push it first.`;
}

/** Who, what, which commit, which digests, what was decided and why. Once for each attempt: a process that died may have written it already. */
export async function audit(parts: Parts, run: Run, job: Job, work: DeployWork, decision: Decision): Promise<void> {
  const repository = fullName(run.repository);
  const images = decision.kind === 'allowed' ? [...new Set(Object.values(decision.images))] : [];
  const subject = [work.environment, run.trigger.sha, ...images, `(job ${job.id}-${job.attempt})`].join(' ');
  const last = await parts.store.audit.list(repository, 100);
  if (last.some((it) => it.subject === subject && it.decision === decision.kind)) return;
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: askerOf(run, job).login,
    action: work.mode ?? 'deploy',
    repository,
    subject,
    decision: decision.kind,
    reason: decision.kind === 'refused' ? decision.reason : allowedBecause(run, work),
  });
}

function allowedBecause({ trigger }: Run, work: DeployWork): string {
  const via = trigger.kind === 'deploy' ? (trigger.via ?? 'command') : trigger.kind;
  const restored = work.restores === undefined ? '' : `, restoring deployment ${work.restores}`;
  return `by ${via} ${trigger.ref}${restored}${work.overLock === true ? ', over the lock' : ''}`;
}
