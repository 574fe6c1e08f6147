import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { type Role, sameLogin } from '#src/model/trust.ts';
import type { Parts } from './parts.ts';
import type { PullRequest } from './ports-forge.ts';
import { startAhead } from './trust.ts';

/** Who approves, with the role that GitHub reports now, and by what: `ok-to-test command`. */
export interface Approver {
  readonly login: string;
  readonly role: Role;
  readonly action: string;
}

/**
 * Lets a held run go on, its commit and no other, with an audit record. Done again, it changes nothing. False if it doesn't
 * wait any more, unless the same person has approved it before.
 */
export async function approveRun(
  parts: Parts,
  run: Run,
  by: Approver,
  wake: (runId: string) => Promise<void>,
): Promise<boolean> {
  const { store } = parts;
  const approved = await store.runs.approve(run.id, by.login);
  const before = approved ? null : (await store.runs.get(run.id))?.trust;
  if (!approved && (before?.approvedBy == null || !sameLogin(before.approvedBy, by.login))) return false;
  await auditOnce(parts, run, by);
  if (!approved) return true;
  parts.log.info({ run: run.id, by: by.login }, 'run approved');
  startAhead(parts, run);
  store.signals.send('run', run.id);
  parts.reporter.report(run.id);
  void wake(run.id);
  return true;
}

/** A server that was killed after it had approved may have written the record, or not. */
async function auditOnce(parts: Parts, run: Run, { login, role, action }: Approver): Promise<void> {
  const repository = fullName(run.repository);
  const subject = subjectOf(run.pullRequest, run.trigger.sha);
  const last = await parts.store.audit.list(repository, 100);
  const known = last.some(
    (it) => it.action === action && it.subject === subject && it.decision === 'allowed' && sameLogin(it.actor, login),
  );
  if (known) return;
  const reason = `GitHub reports "${role}". ${run.trust?.reason ?? ''}`.trim();
  const at = parts.clock.now();
  await parts.store.audit.append({ at, actor: login, action, repository, subject, decision: 'allowed', reason });
}

/** What an approval is about, in the audit. */
export function subjectOf(number: number | null, sha: string): string {
  return `#${number} ${sha}`;
}

/** Why this person can't approve this run of the pull request, as it is on GitHub now; null if they may. */
export function refuseApproval(run: Run, pull: PullRequest, login: string): string | null {
  if (sameLogin(pull.author, login)) return ownPull(login);
  if (pull.state !== 'open') return `Pull request #${pull.number} is ${pull.state}; only an open one is approved.`;
  if (pull.sha === run.trigger.sha) return null;
  return `The head of this pull request has moved to ${pull.sha} since. ${lookAt(pull.sha)}`;
}

export function ownPull(login: string): string {
  return `@${login} opened this pull request: somebody else with write permission has to approve its commits.`;
}

/** What to do with a commit that waits. */
export function lookAt(sha: string): string {
  return `Look at what that commit does, then comment \`/ok-to-test ${sha}\`: it runs that commit and no other.`;
}
