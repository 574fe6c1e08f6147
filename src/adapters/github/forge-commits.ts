import type { CheckState, Comparison } from '#src/engine/ports-forge.ts';
import type { Repository } from '#src/model/repository.ts';
import { type Asking, everyPage, orNull, orThrow } from './forge-ask.ts';

/** What GitHub knows of commits, asked for the decisions on deployments. Every function throws PlatformError. */

const mostPages = 20;
const perPage = 100;
const mostCommits = 250;

/** The commit of a branch, tag or the beginning of a SHA; null if there is none, or more than one. */
export async function commitOf(ask: Asking, repository: Repository, ref: string): Promise<string | null> {
  if (!mayBeRef(ref)) return null;
  const answer = await orNull(
    `show the commit ${ref}`,
    // Of the files, which aren't wanted, as few as can be.
    () => ask(repository, (client, at) => client.rest.repos.getCommit({ ...at, ref, per_page: 1 })),
    // 422: nothing is called so, or several are. 409: the repository is empty.
    [404, 409, 422],
  );
  return answer?.data.sha ?? null;
}

/** Names that can't be a ref's never get into an address. */
function mayBeRef(ref: string): boolean {
  return ref !== '.' && !ref.startsWith('-') && !ref.includes('..') && /^[^\s~^:?*[\\\p{Cc}]+$/u.test(ref);
}

/** GitHub's own accounts, under which it makes commits for people. */
const machines = new Set(['web-flow', 'github-merge-queue[bot]']);

/** Logins of the commit's author and committer, and of who opened the pull requests that brought it in. */
export async function authorsOf(ask: Asking, repository: Repository, sha: string): Promise<readonly string[]> {
  const [commit, pulls] = await orThrow(`tell who made the commit ${sha}`, () =>
    Promise.all([
      ask(repository, (client, at) => client.rest.repos.getCommit({ ...at, ref: sha, per_page: 1 })),
      everyPage(mostPages, async (page) => {
        const answer = await ask(repository, (client, at) =>
          client.rest.repos.listPullRequestsAssociatedWithCommit({ ...at, ...page, commit_sha: sha }),
        );
        return answer.data;
      }),
    ]),
  );
  const { author, committer } = commit.data;
  const logins = [author?.login, committer?.login, ...pulls.map(({ user }) => user?.login)];
  return [...new Set(logins.filter((login) => login !== undefined && !machines.has(login)))] as readonly string[];
}

/** Check runs and commit statuses of the commit, the newest of each name and App or context. */
export async function checksOf(ask: Asking, repository: Repository, sha: string): Promise<readonly CheckState[]> {
  const [runs, statuses] = await orThrow(`show the checks of ${sha}`, () =>
    Promise.all([
      everyPage(mostPages, async (page) => {
        const answer = await ask(repository, (client, at) =>
          client.rest.checks.listForRef({ ...at, ...page, ref: sha, filter: 'latest' }),
        );
        return answer.data.check_runs;
      }),
      everyPage(mostPages, async (page) => {
        const answer = await ask(repository, (client, at) =>
          client.rest.repos.getCombinedStatusForRef({ ...at, ...page, ref: sha }),
        );
        return answer.data.statuses;
      }),
    ]),
  );
  return [
    ...runs.map(({ name, app, status, conclusion }) => ({
      name,
      by: app?.slug ?? app?.name ?? '',
      state: status === 'completed' ? (conclusions[conclusion ?? ''] ?? 'unknown') : ('pending' as const),
    })),
    ...statuses.map(({ context, state }) => ({
      name: context,
      by: 'commit status',
      state: statusStates[state] ?? ('unknown' as const),
    })),
  ];
}

/** Somebody has to act on `action_required`, so it is as open as what still runs. */
const conclusions: Readonly<Record<string, CheckState['state']>> = {
  success: 'success',
  neutral: 'neutral',
  skipped: 'skipped',
  action_required: 'pending',
  failure: 'failure',
  timed_out: 'failure',
  cancelled: 'failure',
  startup_failure: 'failure',
  stale: 'failure',
};

const statusStates: Readonly<Record<string, CheckState['state']>> = {
  success: 'success',
  pending: 'pending',
  failure: 'failure',
  error: 'failure',
};

/** The commits that are in `head` and not in `base`, newest first, at most 250. */
export async function comparisonOf(
  ask: Asking,
  repository: Repository,
  base: string,
  head: string,
): Promise<Comparison> {
  return orThrow(`compare ${base} with ${head}`, async () => {
    const first = await page(1);
    const { ahead_by: ahead, behind_by: behind } = first;
    // GitHub tells the oldest first.
    const last = Math.max(1, Math.ceil(first.total_commits / perPage));
    const commits: Comparison['commits'][number][] = [];
    for (let number = last; number >= 1 && commits.length < mostCommits; number -= 1) {
      const { commits: some } = number === 1 ? first : await page(number);
      commits.push(
        ...some.toReversed().map(({ sha, author, commit }) => ({
          sha,
          title: commit.message.split('\n', 1)[0] ?? '',
          author: author?.login ?? commit.author?.name ?? '',
        })),
      );
    }
    return { ahead, behind, commits: commits.slice(0, mostCommits) };
  });

  async function page(number: number) {
    const answer = await ask(repository, (client, at) =>
      client.rest.repos.compareCommitsWithBasehead({
        ...at,
        basehead: `${base}...${head}`,
        per_page: perPage,
        page: number,
      }),
    );
    return answer.data;
  }
}
