import { type Asked, type Command, parseCommands } from '#src/model/command.ts';
import { commandHelp } from '#src/model/command-help.ts';
import type { CommentEvent } from '#src/model/event.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { Reaction } from '#src/engine/ports-forge.ts';
import { approve, reject } from './approval.ts';
import { type Answer, type Context, createContext, type Handler, type Told, type Wake } from './context.ts';
import { deploy } from './deploy.ts';
import { cancel, retry, runJob } from './jobs.ts';
import { lockCommand, unlockCommand } from './locks.ts';
import { okToTest } from './ok-to-test.ts';
import { promote, rollback } from './restore.ts';
import { help, plan, where } from './say.ts';

type Handled = Exclude<Command['kind'], 'malformed'>;

const handlers: { readonly [Kind in Handled]: Handler<Kind> } = {
  deploy,
  plan,
  rollback,
  promote,
  approve,
  reject,
  lock: lockCommand,
  unlock: unlockCommand,
  where,
  retry,
  run: runJob,
  cancel,
  'ok-to-test': okToTest,
  help,
};

/**
 * Carries out the commands in a comment, one after the other: eyes at once, and what is to be told then: a rocket, or confused
 * if something was refused, and one comment with all that needs words. Throws what GitHub or the store threw: done again, it
 * goes on with the command at which it stopped; if all were carried out, there is only the answer to be told.
 */
export async function comment(parts: Parts, event: CommentEvent, wake: Wake): Promise<Told> {
  const asked = parseCommands(event.body, parts.policy.aliases(event.repository));
  if (asked.length === 0) return { result: 'The comment holds no command.', tell: null };
  // Nothing waits for it: neither the command nor what comes after it.
  void react(parts, event, 'eyes');
  const context = createContext(parts, event, wake);
  const answers: { readonly asked: Asked; readonly answer: Answer }[] = [];
  for (const one of asked) answers.push({ asked: one, answer: await answerOnce(context, one) });
  const results = answers.map(({ answer }) => (answer.kind === 'done' ? answer.result : `Refused: ${answer.reply}`));
  return {
    result: results.join(' '),
    async tell() {
      const reply = replyOf(answers);
      // Found again by its key, so that it isn't said twice.
      if (reply !== '') await parts.forge.comment(event.repository, event.number, reply, `comment ${event.commentId}`);
      await react(parts, event, answers.some(({ answer }) => answer.kind === 'refused') ? 'confused' : 'rocket');
    },
  };
}

/** What was answered before, because the server died over it or GitHub told it again, is answered again and not done again. */
async function answerOnce(context: Context, asked: Asked): Promise<Answer> {
  const { parts, event } = context;
  const key = `command ${event.repository.id} ${event.commentId} ${asked.line}`;
  const before = await parts.store.told.get(key);
  if (before !== null) return JSON.parse(before) as Answer;
  const answer = await answerTo(context, asked);
  await parts.store.told.set(key, JSON.stringify(answer));
  return answer;
}

async function answerTo(context: Context, { command, line }: Asked): Promise<Answer> {
  const { parts, event } = context;
  if (command.kind === 'malformed') return { kind: 'refused', reply: command.message, audited: false };
  try {
    if (!context.onPullRequest && !commandHelp[command.kind].anywhere) {
      throw new UserError(
        `\`/${command.kind}\` is about a pull request, and this is an issue: write it in a comment on the pull request.`,
      );
    }
    // One handler for each kind, which takes the commands of that kind.
    const handler = handlers[command.kind] as Handler<Handled>;
    return await handler(context, command, line === 0 ? `${event.commentId}` : `${event.commentId}.${line}`);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await parts.store.audit.append({
      at: parts.clock.now(),
      actor: event.actor,
      action: `${command.kind} command`,
      repository: fullName(event.repository),
      subject: subjectOf(command, event),
      decision: 'refused',
      reason: error.message,
    });
    return { kind: 'refused', reply: error.message, audited: true };
  }
}

function subjectOf(command: Command, { number }: CommentEvent): string {
  if (command.kind === 'promote') return `${command.from} to ${command.to}`;
  if (command.kind === 'ok-to-test') return `#${number} ${command.sha ?? ''}`.trim();
  const environment = 'environment' in command ? command.environment : null;
  return environment ?? `#${number}`;
}

/** All that needs words, each under the line that asked for it if there are several. */
function replyOf(answers: readonly { readonly asked: Asked; readonly answer: Answer }[]): string {
  const parts = answers.flatMap(({ asked, answer }) =>
    answer.reply === null ? [] : [answers.length === 1 ? answer.reply : `${quoted(asked.text)}\n\n${answer.reply}`],
  );
  return parts.join('\n\n');
}

/** A reaction is a courtesy: without it the command is carried out all the same. */
async function react(parts: Parts, event: CommentEvent, reaction: Reaction): Promise<void> {
  try {
    await parts.forge.react(event.repository, event.commentId, reaction);
  } catch (error) {
    parts.log.warn({ err: error, comment: event.commentId, reaction }, 'could not react to a comment');
  }
}
