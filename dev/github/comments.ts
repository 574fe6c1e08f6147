import { associationOf, type Hub, simplePull } from './pulls.ts';
import { appView, nodeId, simpleUser } from './views.ts';
import { isoTime } from './world.ts';
import type { App, Body, Comment, Reaction, Repo, User, World } from './world.ts';

const REACTIONS = ['+1', '-1', 'laugh', 'confused', 'heart', 'hooray', 'rocket', 'eyes'];

/** Writes a comment and tells the Apps, the one that wrote it too. */
export function addComment(hub: Hub, repo: Repo, number: number, user: User, app: App | null, body: string): Comment {
  const { world } = hub;
  const now = Date.now();
  const comment: Comment = { id: world.id(), number, user, app, body, createdAt: now, updatedAt: now, reactions: [] };
  repo.comments.set(comment.id, comment);
  announceComment(hub, repo, comment, 'created', user);
  world.changed();
  return comment;
}

export function announceComment(
  { world, webhooks }: Hub,
  repo: Repo,
  comment: Comment,
  action: string,
  sender: User,
  extra: Body = {},
): void {
  webhooks.repository(repo, 'issue_comment', action, sender, {
    issue: issueView(world, repo, comment.number),
    comment: commentView(world, repo, comment),
    ...extra,
  });
}

export function commentView(world: World, repo: Repo, comment: Comment): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}/issues`;
  return {
    id: comment.id,
    node_id: nodeId('IC', comment.id),
    url: `${api}/comments/${comment.id}`,
    html_url: `${world.url}/${repo.fullName}/${repo.pulls.has(comment.number) ? 'pull' : 'issues'}/${comment.number}#issuecomment-${comment.id}`,
    issue_url: `${api}/${comment.number}`,
    body: comment.body,
    user: simpleUser(world, comment.user),
    created_at: isoTime(comment.createdAt),
    updated_at: isoTime(comment.updatedAt),
    author_association: associationOf(repo, comment.user),
    performed_via_github_app: comment.app && appView(world, comment.app),
    reactions: reactionCounts(world, repo, comment),
  };
}

export function reactionView(world: World, reaction: Reaction): Body {
  return {
    id: reaction.id,
    node_id: nodeId('RE', reaction.id),
    user: simpleUser(world, reaction.user),
    content: reaction.content,
    created_at: isoTime(reaction.createdAt),
  };
}

/** An issue, or the pull request as the issue that it also is. It tells no head commit. */
function issueView(world: World, repo: Repo, number: number): Body {
  const pull = repo.pulls.get(number);
  if (!pull) return plainIssue(world, repo, number);
  const view = simplePull(world, repo, pull);
  const { id, title, body, state, user, html_url, diff_url, patch_url, created_at, updated_at, closed_at } = view;
  return {
    ...aroundIssue(world, repo, number),
    id,
    title,
    body,
    state,
    user,
    html_url,
    created_at,
    updated_at,
    closed_at,
    node_id: nodeId('PR', pull.id),
    draft: pull.draft,
    author_association: associationOf(repo, pull.user),
    pull_request: { url: `${world.url}/api/v3/repos/${repo.fullName}/pulls/${number}`, html_url, diff_url, patch_url },
  };
}

export function plainIssue(world: World, repo: Repo, number: number): Body {
  const issue = repo.issues.get(number);
  if (!issue) throw new Error(`There is no issue or pull request ${repo.fullName}#${number}.`);
  return {
    ...aroundIssue(world, repo, number),
    id: issue.id,
    title: issue.title,
    body: issue.body || null,
    state: 'open',
    user: simpleUser(world, issue.user),
    html_url: `${world.url}/${repo.fullName}/issues/${number}`,
    created_at: isoTime(issue.createdAt),
    updated_at: isoTime(issue.createdAt),
    closed_at: null,
    node_id: nodeId('I', issue.id),
    author_association: associationOf(repo, issue.user),
  };
}

/** What issues and pull requests have in common. */
function aroundIssue(world: World, repo: Repo, number: number): Body {
  return {
    number,
    url: `${world.url}/api/v3/repos/${repo.fullName}/issues/${number}`,
    repository_url: `${world.url}/api/v3/repos/${repo.fullName}`,
    labels: [],
    assignees: [],
    assignee: null,
    milestone: null,
    locked: false,
    comments: [...repo.comments.values()].filter((comment) => comment.number === number).length,
  };
}

function reactionCounts(world: World, repo: Repo, comment: Comment): Body {
  const counts = REACTIONS.map((content) => [
    content,
    comment.reactions.filter((each) => each.content === content).length,
  ]);
  const url = `${world.url}/api/v3/repos/${repo.fullName}/issues/comments/${comment.id}/reactions`;
  return { url, total_count: comment.reactions.length, ...(Object.fromEntries(counts) as Body) };
}
