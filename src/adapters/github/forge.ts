import type { Forge, PullRequest } from '#src/engine/ports-forge.ts';
import { nobody } from '#src/model/event.ts';
import type { Role } from '#src/model/trust.ts';
import { createAsking, orNull, orThrow } from './forge-ask.ts';
import { sayTo } from './forge-comments.ts';
import { authorsOf, checksOf, commitOf, comparisonOf } from './forge-commits.ts';
import type { GitHub } from './github.ts';

/** Later than that they tell nobody anything: what comes after them does. */
const eyesMs = 5_000;

/**
 * Asks and answers people on GitHub. Every method throws PlatformError when GitHub fails or refuses. `settleMs`:
 * milliseconds that GitHub may be at work on a comment of which the answer was lost.
 */
export function createForge(github: Pick<GitHub, 'client'>, settleMs = 10_000): Forge {
  const ask = createAsking(github);
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
          client.rest.reactions.createForIssueComment({
            ...at,
            ...(reaction === 'eyes' ? { request: { ...at.request, patienceMs: eyesMs, sign: true } } : {}),
            comment_id: commentId,
            content: reaction,
          }),
        ),
      );
    },
    async comment(repository, number, body, key) {
      await orThrow(`comment on #${number}`, () => sayTo(ask, settleMs, { repository, number }, body, key));
    },
    async isMember(repository, team, login) {
      const [org = '', slug = ''] = team.split('/');
      if (![org, slug].every((part) => /^[\w-]+$/.test(part))) return false;
      const answer = await orNull(
        `tell whether ${login} is in ${team}`,
        () =>
          ask(repository, (client, { request }) =>
            client.rest.teams.getMembershipForUserInOrg({ org, team_slug: slug, username: login, request }),
          ),
        // 403: an organisation, or a team, of which the App may not know.
        [403, 404],
      );
      return answer?.data.state === 'active';
    },
    commit: (repository, ref) => commitOf(ask, repository, ref),
    authors: (repository, sha) => authorsOf(ask, repository, sha),
    checks: (repository, sha) => checksOf(ask, repository, sha),
    compare: (repository, base, head) => comparisonOf(ask, repository, base, head),
  };
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
