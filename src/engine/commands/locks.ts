import { hasRole } from '#src/model/deploy/people.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import { list } from '#src/model/suggest.ts';
import { nameAmong } from '#src/engine/deploy/environment.ts';
import { lock, unlock } from '#src/engine/deploy/locks.ts';
import type { Lock } from '#src/engine/store-deployments.ts';
import { type Answer, type Context, deploying, done, type Handler, writing } from './context.ts';

/** `/lock ENV [REASON] [--sticky]`, `/lock --all [REASON]` */
export const lockCommand: Handler<'lock'> = async (context, { environment, reason, sticky }) => {
  const { parts, event } = context;
  if (environment === null) await lockingAll(context);
  const name = environment === null ? '' : (await deploying(context, environment)).name;
  const { taken, lock: held } = await lock(parts, {
    repository: event.repository,
    environment: name,
    owner: event.actor,
    reason,
    pullRequest: sticky ? null : await openPull(context),
  });
  if (taken) return done(`Locked ${whatOf(name)}.`);
  const why = held.reason === '' ? '' : `: ${quoted(held.reason)}`;
  throw new UserError(
    `${whatOf(name, true)} is locked already, by @${held.owner} since ${since(held)}${why}. ${howToUnlock(held)}`,
  );
};

/** Nobody locks by `--all` what they may not lock by its name; but maintainers do. Mistakes in the file keep nobody from it. */
async function lockingAll(context: Context): Promise<void> {
  const role = await writing(context, 'lock the whole repository');
  if (hasRole(role, 'maintain')) return;
  const specs = await context.environments().catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    return [];
  });
  for (const { name } of specs) await deploying(context, name);
}

/** Where the lock ends with the pull request: one that is closed closes no more. */
async function openPull(context: Context): Promise<number | null> {
  if (!context.onPullRequest) return null;
  return (await context.pull()).state === 'open' ? context.event.number : null;
}

/** `/unlock ENV|--all [--force]` */
export const unlockCommand: Handler<'unlock'> = async (context, { environment, force }) => {
  const { parts, event, wake } = context;
  const name = environment === null ? '' : await lockedName(context, environment);
  const asked = { repository: event.repository, environment: name, by: event.actor, force };
  const { kind, lock: held } = await unlock(parts, asked, wake);
  if (kind === 'released') return done(`Unlocked ${whatOf(name)}.`);
  if (kind === 'none') return await nothingThere(context, name);
  const whose = held === null ? "It is somebody else's" : `It is @${held.owner}'s, since ${since(held)}`;
  const how = force ? 'Only a maintainer takes off what others locked.' : 'A maintainer may add `--force`.';
  return { kind: 'refused', reply: `${whatOf(name, true)} stays locked. ${whose}. ${how}`, audited: true };
};

/** What is locked may have gone from the file. */
async function lockedName(context: Context, name: string): Promise<string> {
  const locks = await context.parts.store.locks.of(context.event.repository.id);
  const locked = nameAmong(
    locks.map((it) => it.environment),
    name,
  );
  if (locked !== null) return locked;
  return (await deploying(context, name)).name;
}

async function nothingThere({ parts, event }: Context, name: string): Promise<Answer> {
  const locks = await parts.store.locks.of(event.repository.id);
  const others = locks.map((it) => (it.environment === '' ? 'the whole repository' : quoted(it.environment)));
  const hint = others.length === 0 ? '' : ` Locked: ${list(others)}.`;
  throw new UserError(`${whatOf(name, true)} isn't locked.${hint}`);
}

function whatOf(environment: string, begins = false): string {
  if (environment !== '') return quoted(environment);
  return begins ? 'The whole repository' : 'the whole repository';
}

function howToUnlock({ environment, owner }: Lock): string {
  const what = environment === '' ? '--all' : environment;
  return `@${owner} takes it off with \`/unlock ${what}\`, a maintainer with \`/unlock ${what} --force\`.`;
}

function since({ at }: Lock): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
