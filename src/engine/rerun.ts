import { type ButtonIdentifier, isButton } from '#src/model/button.ts';
import { cancelledBy } from '#src/model/cancel.ts';
import type { ButtonEvent, RerunEvent } from '#src/model/event.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { isHeld, mayWrite, type Role } from '#src/model/trust.ts';
import { approveRun, refuseApproval, subjectOf } from './approve.ts';
import { cancelRun } from './cancel.ts';
import type { Parts } from './parts.ts';
import type { AuditRecord } from './store.ts';

type Wake = (runId: string) => Promise<void>;

/** "Re-run" on one check run (a job, with the jobs behind it that didn't pass) or on all failed ones of a commit. */
export async function rerun(parts: Parts, event: RerunEvent, wake: Wake): Promise<string> {
  const why = reranBy(event.actor);
  if (event.externalId === null) return await rerunCommit(parts, event.repository.id, event.sha, why, wake);
  const job = await parts.store.runs.job(event.externalId);
  const run = await parts.store.runs.get(job?.runId ?? event.externalId);
  if (run === null || run.repository.id !== event.repository.id) return 'The check run is none of ours.';
  return await restart(parts, run.id, job === null ? [] : [job], why, wake);
}

/** A press on a button. Who may press isn't checked by GitHub, so it is here. */
export async function pressed(parts: Parts, event: ButtonEvent, wake: Wake): Promise<string> {
  const { identifier } = event;
  if (!isButton(identifier)) return `There is no button ${identifier}.`;
  const pressing = await whatIsPressed(parts, event, identifier);
  if (pressing === null) return 'The check run is none of ours.';
  const { view, subject } = pressing;
  const action = `${identifier} button`;
  const refused = async (reason: string): Promise<string> => {
    await audit(parts, event, { action, subject, decision: 'refused', reason });
    return reason;
  };
  const role = await parts.forge.role(event.repository, event.actor);
  if (!mayWrite(role)) {
    return await refused(`@${event.actor} may not do that: it needs write permission, and GitHub reports "${role}".`);
  }
  if (identifier === 'approve') return await approve(parts, event, view.run, role, wake, refused);
  const reason = `GitHub reports "${role}".`;
  if (identifier === 'cancel') {
    const asked = await cancelRun(parts, view.run.id, cancelledBy(event.actor), wake);
    if (!asked) return 'The run is over already, or being cancelled.';
    await audit(parts, event, { action, subject, decision: 'allowed', reason });
    return `Run ${view.run.id} is being cancelled.`;
  }
  return await restart(parts, view.run.id, view.jobs.filter(failed), reranBy(event.actor), wake);
}

/** The run behind the check run on which a button was pressed, and what the audit calls it. Null if it is none of ours. */
async function whatIsPressed(
  parts: Parts,
  event: ButtonEvent,
  identifier: ButtonIdentifier,
): Promise<{ readonly view: RunView; readonly subject: string } | null> {
  const { runs } = parts.store;
  const whole = identifier === 'approve';
  const runId = whole ? event.externalId : (await runs.job(event.externalId))?.runId;
  const view = runId === undefined ? null : await runs.view(runId);
  if (view === null || view.run.repository.id !== event.repository.id) return null;
  // What was looked at is what runs.
  if (view.run.trigger.sha !== event.sha) return null;
  return { view, subject: whole ? subjectOf(view.run.pullRequest, event.sha) : `run ${view.run.id}` };
}

async function approve(
  parts: Parts,
  event: ButtonEvent,
  run: Run,
  role: Role,
  wake: Wake,
  refused: (reason: string) => Promise<string>,
): Promise<string> {
  const by = { login: event.actor, role, action: 'approve button' };
  if (isHeld(run) && run.cancel === null && run.pullRequest !== null) {
    const pull = await parts.forge.pullRequest(event.repository, run.pullRequest);
    const refusal = refuseApproval(run, pull, event.actor);
    if (refusal !== null) return await refused(refusal);
  } else if (run.trust?.approval !== 'given') return 'The run does not wait for approval.';
  if (await approveRun(parts, run, by, wake)) return `Run ${run.id} is approved.`;
  return `Run ${run.id} does not wait for approval any more.`;
}

async function audit(
  parts: Parts,
  event: ButtonEvent,
  record: Pick<AuditRecord, 'action' | 'subject' | 'decision' | 'reason'>,
): Promise<void> {
  const { actor, repository } = event;
  await parts.store.audit.append({ ...record, actor, at: parts.clock.now(), repository: fullName(repository) });
}

/** All failed jobs of every run of the commit; if none failed, all jobs of the newest run. */
async function rerunCommit(parts: Parts, repositoryId: number, sha: string, why: string, wake: Wake): Promise<string> {
  const [newest, ...others] = await parts.store.runs.ofCommit(repositoryId, sha);
  if (newest === undefined) return 'No run is known for this commit.';
  const answers: string[] = [];
  for (const run of [newest, ...others]) {
    const view = await parts.store.runs.view(run.id);
    const chosen = (view?.jobs ?? []).filter(failed);
    const unplanned = view?.jobs.length === 0 && run.state === 'completed';
    if (chosen.length > 0 || unplanned) answers.push(await restart(parts, run.id, chosen, why, wake));
  }
  if (answers.length > 0) return answers.join(' ');
  const view = await parts.store.runs.view(newest.id);
  const all = (view?.jobs ?? []).filter((job) => job.plan.skip === null && job.plan.work.kind !== 'deploy');
  return await restart(parts, newest.id, all, why, wake);
}

function failed(job: Job): boolean {
  const kind = job.outcome?.kind;
  return kind === 'failure' || kind === 'timed_out' || kind === 'broken' || kind === 'cancelled';
}

/** Starts the jobs over, and every job behind them that did not succeed. With no jobs: plans the run anew. */
export async function restart(
  parts: Parts,
  runId: string,
  jobs: readonly Job[],
  why: string,
  wake: Wake,
): Promise<string> {
  const view = await parts.store.runs.view(runId);
  if (view === null) return 'The run is gone.';
  const chosen = withDependents(view.jobs, jobs).filter((job) => job.state === 'completed');
  if (isHeld(view.run)) return `Run ${runId} waits for a maintainer's approval; running it again doesn't give it.`;
  if (chosen.length === 0 && (view.jobs.length > 0 || view.run.state !== 'completed')) {
    return 'Those jobs are under way already.';
  }
  await parts.store.runs.restart(
    runId,
    chosen.map((job) => job.id),
    why,
    parts.clock.now(),
  );
  parts.reporter.report(runId);
  void wake(runId);
  return chosen.length === 0
    ? 'The run is planned anew.'
    : `Starts over: ${chosen.map((job) => job.plan.key).join(', ')}.`;
}

/** The jobs, and the jobs that need them (directly or not) and didn't pass. */
function withDependents(all: readonly Job[], jobs: readonly Job[]): readonly Job[] {
  const keys = new Set(jobs.map((job) => job.plan.key));
  for (let size = -1; size !== keys.size; ) {
    size = keys.size;
    for (const job of all) {
      const behind = job.plan.needs.some((key) => keys.has(key));
      if (behind && job.outcome?.kind !== 'success' && job.plan.skip === null) keys.add(job.plan.key);
    }
  }
  return all.filter((job) => keys.has(job.plan.key));
}

function reranBy(actor: string): string {
  return `@${actor} re-ran it`;
}
