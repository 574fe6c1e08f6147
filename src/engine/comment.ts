import { cancelledBy } from '#src/model/cancel.ts';
import { helpText, parseCommand } from '#src/model/command.ts';
import { type CommentEvent, type DeployTrigger, nobody, type PullRequestTrigger } from '#src/model/event.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';
import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { isHeld, mayWrite, type Role, sameLogin } from '#src/model/trust.ts';
import { approveRun, lookAt, ownPull, refuseApproval } from './approve.ts';
import { cancelRun } from './cancel.ts';
import { environmentsOf } from './load-plan.ts';
import type { Parts } from './parts.ts';
import type { PullRequest } from './ports.ts';
import { settleTrust, trustOf } from './trust.ts';

type Wake = (runId: string) => Promise<void>;

/** Carries out the command in a comment, if there is one, and answers by a reaction (and a comment where words are needed). */
export async function comment(parts: Parts, event: CommentEvent, wake: Wake): Promise<string> {
  const command = parseCommand(event.body);
  if (command === null) return 'The comment holds no command.';
  switch (command.kind) {
    case 'help':
      await parts.forge.comment(event.repository, event.number, helpText(), keyOf(event));
      await parts.forge.react(event.repository, event.commentId, '+1');
      return 'Listed the commands.';
    case 'malformed':
      return await refuse(parts, event, command.message, 'confused');
    case 'cancel':
      return await cancel(parts, event, wake);
    case 'deploy':
      return await deploy(parts, event, command.environment, wake);
    default:
      return 'Not there yet.';
    case 'ok-to-test':
      return await okToTest(parts, event, command.sha, wake);
  }
}

async function deploy(parts: Parts, event: CommentEvent, environment: string, wake: Wake): Promise<string> {
  const { forge } = parts;
  const action = 'deploy command';
  const refused = async (reason: string): Promise<string> => {
    await audit(parts, event, { action, subject: environment, decision: 'refused', reason });
    return await refuse(parts, event, reason, '-1');
  };
  const role = await forge.role(event.repository, event.actor);
  if (!mayWrite(role)) return await refused(lacksRight(event, 'deploy', role));
  const pull = await forge.pullRequest(event.repository, event.number);
  const refusal = (await refusePull(parts, event, pull)) ?? (await refuseEnvironment(parts, event, environment));
  if (refusal !== null) return await refused(refusal);
  const { run, created } = await parts.store.runs.create({
    repository: event.repository,
    trigger: deployTrigger(event, pull, environment),
    pullRequest: event.number,
    at: parts.clock.now(),
  });
  const reason = `Asked for in #${event.number}; GitHub reports "${role}".`;
  if (created) await audit(parts, event, { action, subject: environment, decision: 'allowed', reason });
  await forge.react(event.repository, event.commentId, 'rocket');
  void wake(run.id);
  return `Run ${run.id} deploys to ${environment}.`;
}

/** Lets a stranger's commit run that a maintainer has looked at: the one that is named, and no other. */
async function okToTest(parts: Parts, event: CommentEvent, sha: string | null, wake: Wake): Promise<string> {
  const { forge } = parts;
  const action = 'ok-to-test command';
  const refused = async (reason: string, reaction: '-1' | 'confused', about = sha ?? ''): Promise<string> => {
    const subject = `#${event.number} ${about}`.trim();
    await audit(parts, event, { action, subject, decision: 'refused', reason });
    return await refuse(parts, event, reason, reaction);
  };
  const pull = await forge.pullRequest(event.repository, event.number);
  if (sameLogin(pull.author, event.actor)) return await refused(ownPull(event.actor), '-1');
  const role = await forge.role(event.repository, event.actor);
  if (!mayWrite(role)) return await refused(lacksRight(event, 'approve', role), '-1');
  if (sha === null) {
    const reason = `Name the commit that is to run. The head of this pull request is ${pull.sha} now. ${lookAt(pull.sha)}`;
    return await refused(reason, 'confused');
  }
  const { held, approved } = await waitingOf(parts, event, sha);
  const [run, other] = held.filter((it) => it.trigger.sha.startsWith(sha));
  if (other !== undefined) return await refused(`More than one commit begins with ${sha}: name all of it.`, 'confused');
  const chosen = run ?? approved;
  if (chosen === null) return await refused(nothingWaits(sha, held, pull), 'confused');
  const refusal = run ? refuseApproval(run, pull, event.actor) : null;
  if (refusal !== null) return await refused(refusal, 'confused', chosen.trigger.sha);
  if (!(await approveRun(parts, chosen, { login: event.actor, role, action }, wake))) {
    const by = (await parts.store.runs.get(chosen.id))?.trust?.approvedBy;
    const reason = by ? `@${by} has approved ${chosen.trigger.sha} already.` : nothingWaits(sha, [], pull);
    return await refused(reason, 'confused', chosen.trigger.sha);
  }
  await forge.react(event.repository, event.commentId, '+1');
  return `Run ${chosen.id} is approved.`;
}

/** The pull request's runs that wait for approval, and one of the commit that was approved before. */
async function waitingOf(
  parts: Parts,
  { repository, number }: CommentEvent,
  sha: string,
): Promise<{ readonly held: readonly Run[]; readonly approved: Run | null }> {
  const { runs } = parts.store;
  const all: Run[] = [];
  for (const run of await runs.unfinishedOfPullRequest(repository.id, number)) {
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

/** Ends what runs for the pull request, deployments too: a person asks, and a rollout goes back. */
async function cancel(parts: Parts, event: CommentEvent, wake: Wake): Promise<string> {
  const { forge, store } = parts;
  const action = 'cancel command';
  const subject = `#${event.number}`;
  const role = await forge.role(event.repository, event.actor);
  if (!mayWrite(role)) {
    const reason = lacksRight(event, 'cancel', role);
    await audit(parts, event, { action, subject, decision: 'refused', reason });
    return await refuse(parts, event, reason, '-1');
  }
  // What was pushed after the comment was written isn't what was meant.
  const runs = (await store.runs.unfinishedOfPullRequest(event.repository.id, event.number)).filter(
    (run) => run.createdAt <= event.at + 1_000,
  );
  if (runs.length === 0) {
    // A server that was killed over its answer has done it already.
    const newest = await store.runs.ofPullRequest(event.repository.id, event.number);
    const done = newest?.cancel?.reason === cancelledBy(event.actor).reason;
    if (!done) return await refuse(parts, event, 'Nothing runs for this pull request.', 'confused');
  }
  for (const run of runs) await cancelRun(parts, run.id, cancelledBy(event.actor), wake);
  await audit(parts, event, { action, subject, decision: 'allowed', reason: `GitHub reports "${role}".` });
  await forge.react(event.repository, event.commentId, '+1');
  return runs.length === 0 ? 'Cancelled before.' : `Cancelled ${runs.map((run) => run.id).join(', ')}.`;
}

function lacksRight(event: CommentEvent, what: string, role: Role): string {
  return `@${event.actor} may not ${what}: that needs write permission on ${fullName(event.repository)}, and GitHub reports "${role}".`;
}

/** What is answered to a comment is found again by this, so that it isn't said twice. */
function keyOf(event: CommentEvent): string {
  return `comment ${event.commentId}`;
}

function deployTrigger(event: CommentEvent, pull: PullRequest, environment: string): DeployTrigger {
  return {
    kind: 'deploy',
    environment,
    sha: pull.sha,
    ref: `refs/pull/${pull.number}/head`,
    actor: event.actor,
    title: pull.title,
    branch: pull.branch,
    number: pull.number,
    request: String(event.commentId),
  };
}

function pullTrigger({ number, sha, branch, base, fork, title, author, bot = false }: PullRequest): PullRequestTrigger {
  const ref = `refs/pull/${number}/head`;
  const who = { login: author, bot };
  return { kind: 'pull_request', number, sha, ref, branch, base, fork, title, actor: nobody, author: who };
}

/** Why this pull request's head can't be deployed, or null. */
async function refusePull(parts: Parts, event: CommentEvent, pull: PullRequest): Promise<string | null> {
  if (pull.state !== 'open')
    return `Pull request #${pull.number} is ${pull.state}; only an open one is deployed from a comment.`;
  if (pull.fork) return "This pull request comes from a fork, and a fork's commit is never deployed.";
  const trust = await trustOf(parts, event.repository, pullTrigger(pull), AbortSignal.timeout(120_000));
  if (!trust.trusted) return `A stranger's commit is never deployed. ${trust.reason}`;
  const newest = await parts.store.runs.ofPullRequest(event.repository.id, pull.number);
  if (newest === null) return null;
  // The comment carries no commit, and its time has whole seconds: a head that arrived later isn't what was meant.
  const moved = newest.trigger.sha !== pull.sha || newest.createdAt > event.at + 1_000;
  if (!moved) return null;
  return `The head of this pull request has moved to ${pull.sha.slice(0, 12)} since the comment was written. Comment again if that commit is to be deployed.`;
}

/** Environments come from the default branch: a pull request can't add one or change one. */
async function refuseEnvironment(parts: Parts, event: CommentEvent, environment: string): Promise<string | null> {
  const found = await environmentsOf(parts, event.repository, AbortSignal.timeout(120_000));
  if (found.kind === 'ended') {
    // They quote the file: as code, nothing in them links or calls anybody.
    const mistakes = found.diagnostics.map(formatDiagnostic).join('\n').replaceAll('```', "'''");
    return `The pipeline file of \`${event.repository.defaultBranch}\` can't be used, so its environments aren't known.\n\n\`\`\`text\n${mistakes}\n\`\`\``;
  }
  const names = found.environments.map((e) => e.name);
  if (names.includes(environment)) return null;
  const known = names.length > 0 ? `It has: ${names.map((n) => `\`${n}\``).join(', ')}.` : 'It has none.';
  return `The pipeline file of \`${event.repository.defaultBranch}\` has no environment \`${environment.replaceAll('`', '')}\`. ${known}`;
}

async function refuse(parts: Parts, event: CommentEvent, reason: string, reaction: '-1' | 'confused'): Promise<string> {
  await parts.forge.react(event.repository, event.commentId, reaction);
  await parts.forge.comment(event.repository, event.number, reason, keyOf(event));
  return `Refused: ${reason}`;
}

async function audit(
  parts: Parts,
  event: CommentEvent,
  record: {
    readonly action: string;
    readonly subject: string;
    readonly decision: 'allowed' | 'refused';
    readonly reason: string;
  },
): Promise<void> {
  await parts.store.audit.append({
    ...record,
    at: parts.clock.now(),
    actor: event.actor,
    repository: fullName(event.repository),
  });
}
