import type { Logger } from 'pino';
import { z } from 'zod';
import type { Clock, Intake } from '#src/engine/ports.ts';
import type { RunStore, ToldStore } from '#src/engine/store.ts';
import { nobody, runKey, type Trigger } from '#src/model/event.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import { ask, pages, statusOf, unlessAborted } from './ask.ts';
import { faultOf } from './faults.ts';
import type { Client, GitHub } from './github.ts';
import { comparing, type News, type Shown, shownRepository } from './news.ts';
import { type Pointer, readSnapshot, type Snapshot } from './snapshot.ts';
import { firstLine, timeOf } from './understand.ts';

export interface ReconcileParts {
  readonly github: Pick<GitHub, 'probot' | 'client'>;
  readonly store: { readonly runs: Pick<RunStore, 'exists' | 'ofKey'>; readonly told: ToldStore };
  readonly intake: Intake;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that a delivery is given to arrive by itself before its run is made without it. */
  readonly settleMs: number;
}

export interface Reconciled {
  /** Branches, tags and pull requests that were given to the engine. */
  runs: number;
  /** What couldn't be looked at, with the error. */
  readonly troubles: { readonly where: string; readonly error: unknown }[];
}

/** Repositories that are looked at side by side. */
const atOnce = 4;
const dayMs = 24 * 3_600_000;
/** GitHub sends no event for more tags than these in one push. */
const silentTags = 3;
/** More new tags than these are history that was brought in, and aren't even looked at one by one. */
const mostTags = 50;

/**
 * Finds what moved in all repositories without a delivery, and gives it to the engine as the delivery would have.
 * `checked` holds by repository when it was last looked at in full (milliseconds), and is kept between looks. What fails
 * is noted in `result` and done the next time; throws if GitHub doesn't even list the installations.
 */
export async function reconcile(
  parts: ReconcileParts,
  checked: Map<number, number>,
  result: Reconciled,
  signal: AbortSignal,
): Promise<void> {
  const found: News[] = [];
  for (const id of await installations(parts, signal)) {
    await tolerating(`installation ${id}`, result, signal, async () => {
      const client = await unlessAborted(signal, parts.github.client(id));
      const queue = await repositories(client, id, signal);
      await Promise.all(Array.from({ length: atOnce }, () => compareAll(client, queue)));
    });
  }
  if (found.length > 0 && parts.settleMs > 0) await pause(parts.settleMs, signal);
  const usedUp = new Set<number>();
  for (const news of found) {
    const { repository } = news.shown;
    if (usedUp.has(repository.installationId)) continue;
    await tolerating(fullName(repository), result, signal, async () => {
      try {
        await takeIn(parts, news, result, signal);
        await done(news);
      } catch (error) {
        if (isUsedUp(error)) usedUp.add(repository.installationId);
        throw error;
      }
    });
  }

  async function compareAll(client: Client, queue: Shown[]): Promise<void> {
    for (let shown = queue.shift(); shown !== undefined; shown = queue.shift()) {
      const one = shown;
      await tolerating(fullName(one.repository), result, signal, async () => {
        try {
          const news = await comparing(parts, client, one, checked, signal);
          if (news === null) return;
          if (news.pulls.length + news.heads.length + news.tags.length > 0) found.push(news);
          else await done(news);
        } catch (error) {
          if (isUsedUp(error)) queue.length = 0;
          throw error;
        }
      });
    }
  }

  async function done(news: News): Promise<void> {
    await save(parts.store.told, news);
    checked.set(news.shown.repository.id, news.checked);
  }
}

/** Ids of the App's installations that aren't suspended. */
async function installations(parts: ReconcileParts, signal: AbortSignal): Promise<readonly number[]> {
  const app = await parts.github.probot.auth();
  const list = z.array(z.object({ id: z.number(), suspended_at: z.string().nullish() }));
  const ids: number[] = [];
  const question = { route: 'GET /app/installations', parameters: { per_page: 100 }, again: true };
  for await (const page of pages(app, question, signal)) {
    for (const { id, suspended_at } of list.parse(page.data)) if (!suspended_at) ids.push(id);
  }
  return ids;
}

async function repositories(client: Client, installationId: number, signal: AbortSignal): Promise<Shown[]> {
  const found: Shown[] = [];
  const question = { route: 'GET /installation/repositories', parameters: { per_page: 100 } };
  for await (const page of pages(client, question, signal)) {
    for (const one of z.object({ repositories: z.array(z.unknown()) }).parse(page.data).repositories) {
      const shown = shownRepository(one, installationId);
      if (shown) found.push(shown);
    }
  }
  return found;
}

/** Gives what is new and has no run yet to the engine. */
async function takeIn(parts: ReconcileParts, news: News, result: Reconciled, signal: AbortSignal): Promise<void> {
  const { repository } = news.shown;
  const { runs } = parts.store;
  const give = async (trigger: Trigger): Promise<void> => {
    signal.throwIfAborted();
    const known = await runs.exists(repository.id, trigger.sha, runKey(trigger));
    if (known && !(await addsToPush(trigger))) return;
    await parts.intake({ kind: 'trigger', repository, trigger });
    result.runs += 1;
  };
  /** Its commit was pushed before it was opened, and what it adds to that isn't known yet. */
  const addsToPush = async (trigger: Trigger): Promise<boolean> => {
    if (trigger.kind !== 'pull_request' || trigger.fork || trigger.branch === repository.defaultBranch) return false;
    const ofBranch = await runs.ofKey(repository.id, runKey(trigger));
    if (!ofBranch.some((run) => run.trigger.kind === 'push' && run.trigger.sha === trigger.sha)) return false;
    return !(await runs.exists(repository.id, trigger.sha, runKey({ ...trigger, added: true })));
  };
  // Pull requests first: a push to their branch is theirs.
  for (const trigger of news.pulls) await give(trigger);
  for (const { name, sha } of news.heads) {
    if (await runs.exists(repository.id, sha, name)) continue;
    const commit = await commitOf(news, sha, signal);
    if (!commit) continue;
    const branch = name.replace('refs/heads/', '');
    // Nobody is told who pushed, only who wrote the commit.
    await give({ kind: 'push', branch, sha, ref: name, actor: nobody, title: commit.title, ...news.shown.pushed });
  }
  for (const trigger of await tagTriggers(parts, news, signal)) await give(trigger);
}

async function tagTriggers(parts: ReconcileParts, news: News, signal: AbortSignal): Promise<readonly Trigger[]> {
  const { repository } = news.shown;
  const { runs } = parts.store;
  const tags: Pointer[] = [];
  // An annotated one has a run by its commit, which isn't known yet.
  for (const tag of news.tags) if (!(await runs.exists(repository.id, tag.sha, tag.name))) tags.push(tag);
  const where = { repository: fullName(repository), tags: tags.length };
  if (tags.length > mostTags) {
    parts.logger.warn(where, 'Many tags came at once. None is built: push those again that shall be.');
    return [];
  }
  const found: { readonly trigger: Trigger; readonly at: number }[] = [];
  for (const { name } of tags) {
    // By its name, because an annotated tag points at an object of its own.
    const tag = name.replace('refs/tags/', '');
    const commit = await commitOf(news, `tags/${tag}`, signal);
    if (!commit || (await runs.exists(repository.id, commit.sha, name))) continue;
    const { sha, title, at } = commit;
    const trigger = { kind: 'tag', tag, sha, ref: name, actor: nobody, title, ...news.shown.pushed } as const;
    found.push({ trigger, at });
  }
  // What is deployed one after the other ends with the newest.
  found.sort((a, b) => a.at - b.at);
  if (found.length <= silentTags) return found.map(({ trigger }) => trigger);
  // GitHub may have been silent on purpose. A release of many parts is new; history that was brought in is old.
  const fresh = found.filter(({ at }) => at > (news.before?.at ?? 0) - dayMs);
  if (fresh.length < found.length) parts.logger.warn(where, 'Tags of old commits came at once and are not built.');
  return fresh.map(({ trigger }) => trigger);
}

/** What GitHub knows of the commit, or null if the ref is gone or is none of a commit. */
async function commitOf(
  { client, at }: News,
  ref: string,
  signal: AbortSignal,
): Promise<{ readonly sha: string; readonly title: string; readonly at: number } | null> {
  try {
    const question = { route: 'GET /repos/{owner}/{repo}/commits/{ref}', parameters: { ...at, ref, per_page: 1 } };
    const page = await ask(client, question, signal);
    const { sha, commit } = z
      .object({
        sha: z.string(),
        commit: z.object({ message: z.string(), committer: z.object({ date: z.string().nullish() }).nullish() }),
      })
      .parse(page?.data);
    return { sha, title: firstLine(commit.message), at: timeOf(commit.committer?.date).at ?? 0 };
  } catch (error) {
    if ([404, 409, 422].includes(statusOf(error) ?? 0)) return null;
    throw error;
  }
}

/** Remembers what was seen, if that changed: writing costs more than reading. */
async function save(told: ToldStore, { key, stored, after }: News): Promise<void> {
  const same = (one: Snapshot | null): string => JSON.stringify({ ...one, at: 0 });
  if (same(readSnapshot(stored)) !== same(after)) await told.set(key, JSON.stringify(after));
}

/** Notes what fails for one thing, so that the others are looked at. Throws if it is the end. */
async function tolerating(
  where: string,
  result: Reconciled,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    signal.throwIfAborted();
    result.troubles.push({ where, error });
  }
}

/** True if GitHub, or the limiter in its stead, answers nothing more for a while. */
function isUsedUp(error: unknown): boolean {
  return error instanceof PlatformError || faultOf(error, Date.now()).kind === 'rate';
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  timer.unref();
  try {
    await unlessAborted(signal, promise);
  } finally {
    clearTimeout(timer);
  }
}
