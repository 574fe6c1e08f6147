import { git, revision } from './git.ts';
import { nodeId, repositoryView, simpleUser } from './views.ts';
import { isoTime } from './world.ts';
import type { Webhooks } from './webhooks.ts';
import type { Body, Pull, Repo, User, World } from './world.ts';

/** What events come from and go through. */
export interface Hub {
  readonly world: World;
  readonly webhooks: Webhooks;
}

/** Takes the head's commit into the base repository as refs/pull/N/head, also from a fork. */
export async function takeHead(repo: Repo, pull: Pull): Promise<void> {
  const target = `refs/pull/${pull.number}/head`;
  if (pull.head.repo.id === repo.id) await git(repo.path, 'update-ref', target, pull.head.sha);
  else await git(repo.path, 'fetch', '--quiet', '--no-tags', pull.head.repo.path, `+${pull.head.sha}:${target}`);
}

/** Merges head into base without moving a branch. The commit, kept as refs/pull/N/merge; null if they conflict. */
export async function testMerge(repo: Repo, pull: Pull): Promise<string | null> {
  const base = await revision(repo.path, `refs/heads/${pull.base.ref}`);
  if (!base) return null;
  const of = `${base} ${pull.head.sha}`;
  if (pull.testMerge?.of === of) return pull.testMerge.sha;
  const tree = await git(repo.path, 'merge-tree', '--write-tree', base, pull.head.sha).catch(() => null);
  let sha: string | null = null;
  if (tree !== null) {
    const message = `Merge ${pull.head.sha} into ${base}`;
    sha = (await git(repo.path, 'commit-tree', tree.trim(), '-p', base, '-p', pull.head.sha, '-m', message)).trim();
    await git(repo.path, 'update-ref', `refs/pull/${pull.number}/merge`, sha);
  }
  pull.testMerge = { of, sha };
  return sha;
}

/** Opens a pull request. The branches must be there. */
export async function openPull(
  hub: Hub,
  repo: Repo,
  asked: Pick<Pull, 'user' | 'title' | 'body' | 'head' | 'base' | 'draft'>,
): Promise<Pull> {
  const now = Date.now();
  const pull: Pull = {
    ...asked,
    id: hub.world.id(),
    number: repo.nextNumber++,
    createdAt: now,
    updatedAt: now,
    state: 'open',
    merged: null,
    testMerge: null,
  };
  await takeHead(repo, pull);
  repo.pulls.set(pull.number, pull);
  await announcePull(hub, repo, pull, 'opened', pull.user);
  hub.world.changed();
  return pull;
}

/** Tells that something happened to a pull request. */
export async function announcePull(
  { world, webhooks }: Hub,
  repo: Repo,
  pull: Pull,
  action: string,
  sender: User,
  extra: Body = {},
): Promise<void> {
  const view = await pullView(world, repo, pull);
  webhooks.repository(repo, 'pull_request', action, sender, { number: pull.number, pull_request: view, ...extra });
}

/** A pull request with everything that its own page tells. `mergeable` is null while it isn't known. */
export async function pullView(world: World, repo: Repo, pull: Pull): Promise<Body> {
  const range = `${pull.base.sha}..${pull.head.sha}`;
  const commits = Number(await git(repo.path, 'rev-list', '--count', range));
  const numbers = await git(repo.path, 'diff', '--numstat', `${pull.base.sha}...${pull.head.sha}`).catch(() => '');
  const lines = numbers
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t').map(Number));
  const base = await revision(repo.path, `refs/heads/${pull.base.ref}`);
  const known = pull.testMerge?.of === `${base} ${pull.head.sha}` ? pull.testMerge : null;
  const mergeable = known ? known.sha !== null : null;
  const comments = [...repo.comments.values()].filter(({ number }) => number === pull.number).length;
  return {
    ...simplePull(world, repo, pull),
    merged: pull.merged !== null,
    merged_by: pull.merged && simpleUser(world, pull.merged.by),
    mergeable,
    mergeable_state: mergeable === null ? 'unknown' : mergeable ? 'clean' : 'dirty',
    comments,
    commits,
    additions: lines.reduce((sum, [added]) => sum + (added || 0), 0),
    deletions: lines.reduce((sum, [, deleted]) => sum + (deleted || 0), 0),
    changed_files: lines.length,
  };
}

/** A pull request as lists show it. */
export function simplePull(world: World, repo: Repo, pull: Pull): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const html = `${world.url}/${repo.fullName}/pull/${pull.number}`;
  const side = (of: Repo, ref: string, sha: string): Body => ({
    label: `${of.owner.login}:${ref}`,
    ref,
    sha,
    user: simpleUser(world, of.owner),
    repo: repositoryView(world, of),
  });
  return {
    id: pull.id,
    node_id: nodeId('PR', pull.id),
    number: pull.number,
    url: `${api}/pulls/${pull.number}`,
    html_url: html,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    issue_url: `${api}/issues/${pull.number}`,
    commits_url: `${api}/pulls/${pull.number}/commits`,
    comments_url: `${api}/issues/${pull.number}/comments`,
    statuses_url: `${api}/statuses/${pull.head.sha}`,
    state: pull.state,
    locked: false,
    title: pull.title,
    body: pull.body || null,
    user: simpleUser(world, pull.user),
    draft: pull.draft,
    head: side(pull.head.repo, pull.head.ref, pull.head.sha),
    base: side(repo, pull.base.ref, pull.base.sha),
    created_at: isoTime(pull.createdAt),
    updated_at: isoTime(pull.updatedAt),
    closed_at: pull.state === 'closed' ? isoTime(pull.updatedAt) : null,
    merged_at: pull.merged && isoTime(pull.merged.at),
    merge_commit_sha: pull.merged?.sha ?? pull.testMerge?.sha ?? null,
    author_association: associationOf(repo, pull.user),
  };
}

/** What GitHub calls the author. It tells nothing of what they may do: a collaborator may have any role, a contributor none. */
export function associationOf(repo: Repo, user: User): string {
  if (repo.owner.id === user.id) return 'OWNER';
  const role = repo.roles.get(user.login.toLowerCase());
  if (role !== undefined && role !== 'none') return 'COLLABORATOR';
  const merged = [...repo.pulls.values()].some((pull) => pull.user.id === user.id && pull.merged !== null);
  return merged ? 'CONTRIBUTOR' : 'FIRST_TIME_CONTRIBUTOR';
}
