import { type BoundHead, boundHead } from '#src/model/bound-head.ts';
import type { Command } from '#src/model/command.ts';
import type { CommentEvent } from '#src/model/event.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import { fullName } from '#src/model/repository.ts';
import { mayWrite, type Role } from '#src/model/trust.ts';
import { environmentCalled, knownEnvironments } from '#src/engine/deploy/environment.ts';
import { refusePerson } from '#src/engine/deploy/permission.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { PullRequest } from '#src/engine/ports-forge.ts';

export type Wake = (runId: string) => Promise<void>;

/**
 * What became of a command. `result`: for the record of deliveries; `reply`: Markdown for who asked, null where the reaction
 * says it all. `audited`: whoever refused it has written that down.
 */
export type Answer =
  | { readonly kind: 'done'; readonly result: string; readonly reply: string | null }
  | { readonly kind: 'refused'; readonly reply: string; readonly audited: boolean };

/** `result`: for the record of deliveries. `tell`: answers the person on GitHub, null if there is nothing to be told; it throws what GitHub throws. */
export interface Told {
  readonly result: string;
  readonly tell: (() => Promise<void>) | null;
}

/** What the commands of one comment have in common. What GitHub and the repository tell is asked for once. */
export interface Context {
  readonly parts: Parts;
  readonly event: CommentEvent;
  readonly wake: Wake;
  /** False on a plain issue. */
  readonly onPullRequest: boolean;
  readonly role: () => Promise<Role>;
  readonly pull: () => Promise<PullRequest>;
  /** The pull request's head, and whether it is the one that the comment was written about. */
  readonly head: () => Promise<BoundHead>;
  /** UserError if the default branch's file has mistakes. */
  readonly environments: () => Promise<readonly EnvironmentSpec[]>;
}

/** One command: it throws UserError with what to answer if it can't be carried out, PlatformError to be tried again. */
export type Handler<Kind extends Command['kind']> = (
  context: Context,
  command: Extract<Command, { readonly kind: Kind }>,
  /** Names this line of this comment: what it made once isn't made again. */
  request: string,
) => Promise<Answer>;

export function createContext(parts: Parts, event: CommentEvent, wake: Wake): Context {
  const { repository, number, actor } = event;
  const role = once(() => parts.forge.role(repository, actor));
  const pull = once(() => parts.forge.pullRequest(repository, number));
  return {
    parts,
    event,
    wake,
    onPullRequest: event.onPullRequest !== false,
    role,
    pull,
    head: once(async () => {
      const [{ sha }, heads] = await Promise.all([pull(), parts.store.heads.of(repository.id, number)]);
      return boundHead(heads, sha, event.at);
    }),
    environments: once(() => knownEnvironments(parts, repository)),
  };
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => {
    asked ??= ask();
    return asked;
  };
}

export function done(result: string, reply: string | null = null): Answer {
  return { kind: 'done', result, reply };
}

/** UserError unless the person may write to the repository now. Answers with the role. */
export async function writing({ event, role }: Context, what: string): Promise<Role> {
  const has = await role();
  if (mayWrite(has)) return has;
  throw new UserError(
    `@${event.actor} may not ${what}: that needs write permission on ${fullName(event.repository)}, and GitHub reports "${has}".`,
  );
}

/** The environment, if the person may deploy there now; otherwise UserError. */
export async function deploying(context: Context, name: string): Promise<EnvironmentSpec> {
  const { parts, event } = context;
  const spec = environmentCalled(await context.environments(), name, event.repository);
  const refusal = await refusePerson(parts, event.repository, spec.name, spec.rules.allow, event.actor);
  if (refusal !== null) throw new UserError(refusal);
  return spec;
}
