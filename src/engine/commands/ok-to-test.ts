import { isAdded } from '#src/model/event.ts';
import { UserError } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { isHeld, sameLogin } from '#src/model/trust.ts';
import { approveRun, lookAt, ownPull, refuseApproval } from '#src/engine/approve.ts';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import { settleTrust } from '#src/engine/trust.ts';
import { type Answer, type Context, done, type Handler, writing } from './context.ts';

const action = 'ok-to-test command';

/** `/ok-to-test SHA` lets a stranger's commit run that a maintainer has looked at: the one that is named, and no other. */
export const okToTest: Handler<'ok-to-test'> = async (context, { sha }) => {
  const { parts, event, wake } = context;
  const pull = await context.pull();
  if (sameLogin(pull.author, event.actor)) throw new UserError(ownPull(event.actor));
  const role = await writing(context, 'approve');
  if (sha === null) {
    throw new UserError(
      `Name the commit that is to run. The head of this pull request is ${pull.sha} now. ${lookAt(pull.sha)}`,
    );
  }
  const { held, approved } = await waitingOf(context, sha);
  const [run, other] = held.filter((it) => it.trigger.sha.startsWith(sha));
  if (other !== undefined) throw new UserError(`More than one commit begins with ${sha}: name all of it.`);
  const chosen = run ?? approved;
  if (chosen === null) throw new UserError(nothingWaits(sha, held, pull));
  const refusal = run ? refuseApproval(run, pull, event.actor) : null;
  if (refusal !== null) return await refused(context, chosen.trigger.sha, refusal);
  if (!(await approveRun(parts, chosen, { login: event.actor, role, action }, wake))) {
    const by = (await parts.store.runs.get(chosen.id))?.trust?.approvedBy;
    const reason = by ? `@${by} has approved ${chosen.trigger.sha} already.` : nothingWaits(sha, [], pull);
    return await refused(context, chosen.trigger.sha, reason);
  }
  return done(`Run ${chosen.id} is approved.`);
};

/** The audit has the whole of the commit, also where its beginning was named. */
async function refused({ parts, event }: Context, sha: string, reason: string): Promise<Answer> {
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: event.actor,
    action,
    repository: fullName(event.repository),
    subject: `#${event.number} ${sha}`,
    decision: 'refused',
    reason,
  });
  return { kind: 'refused', reply: reason, audited: true };
}

/** The pull request's runs that wait for approval, and one of the commit that was approved before. */
async function waitingOf(
  { parts, event: { repository, number } }: Context,
  sha: string,
): Promise<{ readonly held: readonly Run[]; readonly approved: Run | null }> {
  const { runs } = parts.store;
  const all: Run[] = [];
  for (const run of await runs.unfinishedOfPullRequest(repository.id, number)) {
    if (isAdded(run.trigger)) continue;
    // The comment may be quicker than the run.
    const undecided = run.trust === null && run.state === 'pending' && run.cancel === null;
    all.push(undecided ? await settleTrust(parts, run, AbortSignal.timeout(120_000)) : run);
  }
  const newest = await runs.ofPullRequest(repository.id, number);
  const approved = [...all, ...(newest ? [newest] : [])].find(
    (run) => run.trust?.approval === 'given' && run.trigger.sha.startsWith(sha),
  );
  return { held: all.filter((run) => isHeld(run) && run.cancel === null), approved: approved ?? null };
}

function nothingWaits(sha: string, held: readonly Run[], pull: PullRequest): string {
  const waits = held.find((run) => run.trigger.sha === pull.sha) ?? held.at(-1);
  if (waits === undefined) {
    return "Nothing of this pull request waits for approval. A run that was cancelled while it waited does so again after GitHub's Re-run.";
  }
  return `${sha} doesn't wait for approval. What waits is ${waits.trigger.sha}. ${lookAt(waits.trigger.sha)}`;
}
