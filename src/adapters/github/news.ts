import { z } from 'zod';
import type { Clock } from '#src/engine/ports.ts';
import type { ToldStore } from '#src/engine/store.ts';
import { nobody, type PullRequestTrigger } from '#src/model/event.ts';
import type { Repository } from '#src/model/repository.ts';
import { pages, statusOf } from './ask.ts';
import type { Client } from './github.ts';
import { type Known, news, type Pointer, readSnapshot, seen, type Snapshot, unseen } from './snapshot.ts';
import {
  isFork,
  mergeQueue,
  pullRequestTrigger,
  repositoryAs,
  shownPull,
  shownRepository as shape,
  timeOf,
} from './understand.ts';

/** A repository as the installation's list shows it. */
export interface Shown {
  readonly repository: Repository;
  /** The same as long as nothing was pushed and no pull request was opened or closed. */
  readonly stamp: string;
  /** When something was last pushed, as `at` of a trigger. */
  readonly pushed: { readonly at?: number };
}

/** What differs from the last look. */
export interface News {
  readonly client: Client;
  readonly shown: Shown;
  /** Parameters of every request. */
  readonly at: { readonly owner: string; readonly repo: string };
  readonly pulls: readonly PullRequestTrigger[];
  readonly heads: readonly Pointer[];
  readonly tags: readonly Pointer[];
  /** Key of the snapshot in the store, what is stored there, and what is to be once the news is taken in. */
  readonly key: string;
  readonly stored: string | null;
  readonly before: Snapshot | null;
  readonly after: Snapshot;
  /** When it was last looked at in full, once that is done. */
  readonly checked: number;
}

/** Without a sign of change a repository is looked at in full this often: not every change moves its times. */
const fullLookMs = 3_600_000;
/** Times are in whole seconds, and a list may be a little older than what it lists. */
const tooSoonMs = 10_000;
const mostPages = 10;

const listed = shape.extend({
  updated_at: z.string().nullish(),
  open_issues_count: z.number().nullish(),
  archived: z.boolean().nullish(),
  disabled: z.boolean().nullish(),
});

/** Understands an entry of an installation's repositories; null if nothing can happen in it. */
export function shownRepository(raw: unknown, installationId: number): Shown | null {
  const it = listed.parse(raw);
  if (it.archived || it.disabled) return null;
  return {
    repository: repositoryAs(it, installationId),
    stamp: [it.pushed_at, it.updated_at, it.open_issues_count].join(' '),
    pushed: timeOf(it.pushed_at),
  };
}

/**
 * Compares a repository with the last look at it, with as few requests as may be: none if nothing says that it changed
 * (then null), and conditional ones otherwise. The first look finds no news, it only remembers.
 */
export async function comparing(
  parts: { readonly clock: Clock; readonly store: { readonly told: ToldStore } },
  client: Client,
  shown: Shown,
  checked: ReadonlyMap<number, number>,
  signal: AbortSignal,
): Promise<News | null> {
  const { repository } = shown;
  const key = `github/repository/${repository.id}`;
  const stored = await parts.store.told.get(key);
  const before = readSnapshot(stored);
  const now = parts.clock.now();
  const last = checked.get(repository.id);
  const changed = before?.stamp !== shown.stamp;
  const full = changed || (last !== undefined && now - last >= fullLookMs);
  // A push to a fork moves nothing in the list, so that pull requests are looked at with every start as well.
  if (!full && last !== undefined) return null;
  const at = { owner: repository.owner, repo: repository.name };
  const pulls = await openPulls(client, at, before?.pulls ?? unseen, signal);
  const heads = full ? await refs(client, at, 'heads', before?.heads ?? unseen, signal) : null;
  const tags = full ? await refs(client, at, 'tags', before?.tags ?? unseen, signal) : null;
  const settled = now - (shown.pushed.at ?? 0) >= tooSoonMs;
  return {
    client,
    shown,
    at,
    key,
    stored,
    before,
    checked: full ? now : (last ?? now),
    pulls: news(before?.pulls ?? unseen, pulls?.pointers ?? []).map(({ trigger }) => trigger),
    heads: news(before?.heads ?? unseen, heads?.pointers ?? []).filter(({ name }) => !name.startsWith(mergeQueue)),
    tags: news(before?.tags ?? unseen, tags?.pointers ?? []),
    after: {
      stamp: settled ? shown.stamp : '',
      at: now,
      pulls: pulls ? seen(pulls.etag, pulls.pointers) : (before?.pulls ?? unseen),
      heads: heads ? seen(heads.etag, heads.pointers) : (before?.heads ?? unseen),
      tags: tags ? seen(tags.etag, tags.pointers) : (before?.tags ?? unseen),
    },
  };
}

interface Listed<T> {
  readonly etag: string | null;
  readonly pointers: readonly T[];
}

const ref = z.object({ ref: z.string(), object: z.object({ sha: z.string() }) });

/** Null if nothing changed. */
async function refs(
  client: Client,
  at: News['at'],
  kind: 'heads' | 'tags',
  known: Known,
  signal: AbortSignal,
): Promise<Listed<Pointer> | null> {
  const route = 'GET /repos/{owner}/{repo}/git/matching-refs/{ref}';
  const question = { route, parameters: { ...at, ref: kind }, etag: known.etag };
  return collect(client, question, signal, Number.POSITIVE_INFINITY, (data) =>
    z
      .array(ref)
      .parse(data)
      .filter(({ ref }) => ref.startsWith(`refs/${kind}/`))
      .map(({ ref, object }) => ({ name: ref, sha: object.sha })),
  );
}

/** The pull requests that were changed last. Whatever changes one brings it to the first page, whose ETag so stands for all. */
async function openPulls(
  client: Client,
  at: News['at'],
  known: Known,
  signal: AbortSignal,
): Promise<Listed<Pointer & { readonly trigger: PullRequestTrigger }> | null> {
  const parameters = { ...at, state: 'open', sort: 'updated', direction: 'desc', per_page: 100 };
  const question = { route: 'GET /repos/{owner}/{repo}/pulls', parameters, etag: known.etag };
  return collect(client, question, signal, mostPages, (data) =>
    z
      .array(shownPull)
      .parse(data)
      .map((it) => {
        // Nobody is told who pushed: to a branch it takes write permission, but a fork's commit may be anybody's.
        const trigger = pullRequestTrigger(it, isFork(it) ? nobody : (it.user?.login ?? nobody));
        return { name: `${it.number}`, sha: it.head.sha, trigger };
      }),
  );
}

async function collect<T extends Pointer>(
  client: Client,
  question: Parameters<typeof pages>[1],
  signal: AbortSignal,
  most: number,
  read: (data: unknown) => readonly T[],
): Promise<Listed<T> | null> {
  let found: { etag: string | null; pointers: T[] } | null = null;
  try {
    for await (const page of pages(client, question, signal, most)) {
      found ??= { etag: page.etag, pointers: [] };
      found.pointers.push(...read(page.data));
    }
  } catch (error) {
    // An empty repository has no refs.
    if (statusOf(error) !== 409) throw error;
    return { etag: null, pointers: [] };
  }
  return found;
}
