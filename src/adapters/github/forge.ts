import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Forge, PullRequest } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { nobody } from '#src/model/event.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Role } from '#src/model/trust.ts';
import { asPlatformError, faultOf } from './faults.ts';
import type { Client, GitHub, Urgency } from './github.ts';

/** People wait for these answers: they go before everything else, and are given up after a minute. */
const urgent: Urgency = { priority: 0, patienceMs: 60_000 };

const maxComment = 65_536;

/** GitHub delivers an event again for so long; a comment that answers it is no older. */
const redeliveredMs = 4 * 24 * 60 * 60_000;

const commentTries = 3;

/**
 * Asks and answers people on GitHub. Every method throws PlatformError when GitHub fails or refuses. `settleMs`:
 * milliseconds that GitHub may be at work on a comment of which the answer was lost.
 */
export function createForge(github: Pick<GitHub, 'client'>, settleMs = 10_000): Forge {
  return {
    async role(repository, login) {
      const answer = await orNull('tell a role', () =>
        ask(repository, (client, at) => client.rest.repos.getCollaboratorPermissionLevel({ ...at, username: login })),
      );
      // `permission` takes maintain for write and triage for read; only role_name is exact.
      return answer === null ? 'none' : roleOf(answer.data.role_name, answer.data.permission);
    },
    async pullRequest(repository, number) {
      const answer = await orThrow(`show pull request #${number}`, () =>
        ask(repository, (client, at) => client.rest.pulls.get({ ...at, pull_number: number })),
      );
      return pullRequestOf(answer.data);
    },
    async openPullRequest(repository, branch) {
      const answer = await orThrow(`find the pull request of ${branch}`, () =>
        ask(repository, (client, at) =>
          client.rest.pulls.list({ ...at, head: `${repository.owner}:${branch}`, state: 'open', per_page: 100 }),
        ),
      );
      const found = answer.data.map(pullRequestOf).find((it) => it.branch === branch && !it.fork);
      return found ?? null;
    },
    async react(repository, commentId, reaction) {
      await orThrow('react to a comment', () =>
        ask(repository, (client, at) =>
          client.rest.reactions.createForIssueComment({ ...at, comment_id: commentId, content: reaction }),
        ),
      );
    },
    isMember: later,
    commit: later,
    authors: later,
    checks: later,
    compare: later,
    async comment(repository, number, body, key) {
      await orThrow(`comment on #${number}`, () =>
        key === undefined ? say(repository, number, body.slice(0, maxComment)) : sayOnce(repository, number, body, key),
      );
    },
  };

  async function say(repository: Repository, number: number, body: string): Promise<void> {
    await ask(repository, (client, at) => client.rest.issues.createComment({ ...at, issue_number: number, body }));
  }

  async function sayOnce(repository: Repository, number: number, body: string, key: string): Promise<void> {
    const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
    const mark = `\n\n<!-- slipway ${name} -->`;
    for (let tries = 1; !(await isThere(repository, number, mark.trim())); tries += 1) {
      try {
        return await say(repository, number, body.slice(0, maxComment - mark.length) + mark);
      } catch (error) {
        if (faultOf(error, Date.now()).kind !== 'transient') throw error;
        // Also before giving up: whoever asks again must find what GitHub is still at work on.
        await sleep(settleMs, undefined, { ref: false });
        if (tries >= commentTries) throw error;
      }
    }
  }

  /** Whether the App made a comment with this mark: the answer to its creation may have been lost, also to an earlier process. */
  async function isThere(repository: Repository, number: number, mark: string): Promise<boolean> {
    const since = new Date(Date.now() - redeliveredMs).toISOString();
    const perPage = 100;
    for (let page = 1; ; page += 1) {
      const list = await ask(repository, (client, at) =>
        client.rest.issues.listComments({ ...at, issue_number: number, since, per_page: perPage, page }),
      );
      // People can write such a mark, too.
      if (list.data.some((it) => it.user?.type === 'Bot' && it.body?.trimEnd().endsWith(mark))) return true;
      if (list.data.length < perPage) return false;
    }
  }

  async function ask<T>(
    repository: Repository,
    request: (
      client: Client,
      at: { readonly owner: string; readonly repo: string; readonly request: Urgency & Record<string, unknown> },
    ) => Promise<T>,
  ): Promise<T> {
    const client = await github.client(repository.installationId);
    return request(client, { owner: repository.owner, repo: repository.name, request: { ...urgent } });
  }
}

async function orThrow<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asPlatformError(what, error);
  }
}

/** Null where GitHub says there is no such thing. */
async function orNull<T>(what: string, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const fault = faultOf(error, Date.now());
    if (fault.kind === 'permanent' && fault.status === 404) return null;
    throw asPlatformError(what, error);
  }
}

const roles: readonly string[] = ['none', 'read', 'triage', 'write', 'maintain', 'admin'] satisfies readonly Role[];

/**
 * The standard role, or `none` for what is unknown. A custom role of an organisation has a name of its own;
 * then `permission`, which holds the standard role it builds on (rounded down), is taken.
 */
function roleOf(roleName: string | undefined, permission: string): Role {
  const name = roleName !== undefined && roles.includes(roleName) ? roleName : permission;
  return roles.includes(name) ? (name as Role) : 'none';
}

interface PullRequestData {
  readonly number: number;
  readonly state: string;
  readonly title: string;
  readonly user: { readonly login: string; readonly type?: string } | null;
  readonly head: { readonly sha: string; readonly ref: string; readonly repo: { readonly id: number } | null };
  readonly base: { readonly ref: string; readonly repo: { readonly id: number } };
  readonly author_association?: string;
}

function pullRequestOf(data: PullRequestData): PullRequest {
  return {
    number: data.number,
    state: data.state === 'open' ? 'open' : 'closed',
    title: data.title,
    sha: data.head.sha,
    branch: data.head.ref,
    base: data.base.ref,
    fork: data.head.repo === null || data.head.repo.id !== data.base.repo.id,
    author: data.user?.login ?? nobody,
    bot: data.user?.type === 'Bot',
    ...(data.author_association === undefined ? {} : { association: data.author_association }),
  };
}

async function later(): Promise<never> {
  throw new PlatformError('Not there yet.');
}
