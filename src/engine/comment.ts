import { helpText, parseCommand } from '#src/model/command.ts';
import type { CommentEvent, DeployTrigger } from '#src/model/event.ts';
import { fullName } from '#src/model/repository.ts';
import { environmentsOf } from './load-plan.ts';
import type { Parts } from './parts.ts';
import type { PullRequest } from './ports.ts';

/** Carries out the command in a comment, if there is one, and answers by a reaction (and a comment where words are needed). */
export async function comment(
  parts: Parts,
  event: CommentEvent,
  wake: (runId: string) => Promise<void>,
): Promise<string> {
  const command = parseCommand(event.body);
  if (command === null) return 'The comment holds no command.';
  const { forge } = parts;
  if (command.kind === 'help') {
    await forge.comment(event.repository, event.number, helpText());
    await forge.react(event.repository, event.commentId, '+1');
    return 'Listed the commands.';
  }
  if (command.kind === 'malformed') return await refuse(parts, event, command.message, 'confused');
  const role = await forge.role(event.repository, event.actor);
  if (role !== 'write' && role !== 'maintain' && role !== 'admin') {
    const reason = `@${event.actor} may not deploy: that needs write permission on ${fullName(event.repository)}, and GitHub reports "${role}".`;
    await audit(parts, event, command.environment, 'refused', reason);
    return await refuse(parts, event, reason, '-1');
  }
  const pull = await forge.pullRequest(event.repository, event.number);
  const refusal =
    (await refusePull(parts, event, pull)) ?? (await refuseEnvironment(parts, event, command.environment));
  if (refusal !== null) {
    await audit(parts, event, command.environment, 'refused', refusal);
    return await refuse(parts, event, refusal, '-1');
  }
  const { run, created } = await parts.store.runs.create({
    repository: event.repository,
    trigger: deployTrigger(event, pull, command.environment),
    pullRequest: event.number,
    at: parts.clock.now(),
  });
  if (created)
    await audit(
      parts,
      event,
      command.environment,
      'allowed',
      `Asked for in #${event.number}; GitHub reports "${role}".`,
    );
  await forge.react(event.repository, event.commentId, 'rocket');
  void wake(run.id);
  return `Run ${run.id} deploys to ${command.environment}.`;
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
  await parts.forge.comment(event.repository, event.number, reason);
  return `Refused: ${reason}`;
}

async function audit(
  parts: Parts,
  event: CommentEvent,
  environment: string,
  decision: 'allowed' | 'refused',
  reason: string,
): Promise<void> {
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: event.actor,
    action: 'deploy command',
    repository: fullName(event.repository),
    subject: environment,
    decision,
    reason,
  });
}
