import { cancelledBy } from '#src/model/cancel.ts';
import { helpText, parseCommand } from '#src/model/command.ts';
import type { CommentEvent, DeployTrigger } from '#src/model/event.ts';
import { fullName } from '#src/model/repository.ts';
import { cancelRun } from './cancel.ts';
import { environmentsOf } from './load-plan.ts';
import type { Parts } from './parts.ts';
import type { PullRequest, Role } from './ports.ts';

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

function mayWrite(role: Role): boolean {
  return role === 'write' || role === 'maintain' || role === 'admin';
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

/** Why this pull request's head can't be deployed, or null. */
async function refusePull(parts: Parts, event: CommentEvent, pull: PullRequest): Promise<string | null> {
  if (pull.state !== 'open')
    return `Pull request #${pull.number} is ${pull.state}; only an open one is deployed from a comment.`;
  if (pull.fork) return "This pull request comes from a fork, and a fork's commit is never deployed.";
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
    const mistakes = found.diagnostics.map((d) => `- ${d.at.file}:${d.at.line}: ${d.message}`).join('\n');
    return `The pipeline file of ${event.repository.defaultBranch} can't be used, so its environments aren't known.\n${mistakes}`;
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
