import { type Answer, appOf, created, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { permits } from '../auth.ts';
import { addComment, announceComment, commentView, reactionView } from '../comments.ts';
import { characters, forbidden, invalid, notFound } from '../refusal.ts';
import type { Comment } from '../world.ts';

const EITHER = 'issues|pull_requests';
const MOST_BODY = 65_536;

export const ISSUE_ROUTES: Routes = {
  'GET /repos/{owner}/{repo}/issues/{issue_number}/comments': { needs: [EITHER, 'read'], handle: list },
  'POST /repos/{owner}/{repo}/issues/{issue_number}/comments': { needs: [EITHER, 'write'], handle: create },
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}': {
    needs: [EITHER, 'read'],
    handle: (call) => ok(commentView(call.world, call.repo, find(call, 'read'))),
  },
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': { needs: [EITHER, 'write'], handle: update },
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': { needs: [EITHER, 'read'], handle: reactions },
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': { needs: [EITHER, 'write'], handle: react },
};

function create(call: RepoCall): Answer {
  const number = numberOf(call, 'write');
  const app = appOf(call);
  const comment = addComment(call, call.repo, number, app.bot, app, text(call));
  return created(commentView(call.world, call.repo, comment));
}

function update(call: RepoCall): Answer {
  const comment = find(call, 'write');
  const app = appOf(call);
  // An App that may write issues may also change what others wrote; ours has no business to.
  if (comment.app?.id !== app.id) throw forbidden();
  const before = comment.body;
  comment.body = text(call);
  comment.updatedAt = Date.now();
  const extra = { changes: { body: { from: before } } };
  announceComment(call, call.repo, comment, 'edited', app.bot, extra);
  return ok(commentView(call.world, call.repo, comment));
}

/** One of each kind a user: the second time it is the same. */
function react(call: RepoCall): Answer {
  const { world, body } = call;
  const comment = find(call, 'write');
  const user = appOf(call).bot;
  const content = String(body['content']);
  const same = comment.reactions.find((reaction) => reaction.user.id === user.id && reaction.content === content);
  if (same) return ok(reactionView(world, same));
  const reaction = { id: world.id(), content, user, createdAt: Date.now() };
  comment.reactions.push(reaction);
  return created(reactionView(world, reaction));
}

function reactions(call: RepoCall): Answer {
  const asked = call.query['content'] as string | undefined;
  const found = find(call, 'read').reactions.filter(({ content }) => asked === undefined || content === asked);
  const { page, headers } = paged(call, found);
  return { status: 200, body: page.map((reaction) => reactionView(call.world, reaction)), headers };
}

function list(call: RepoCall): Answer {
  const number = numberOf(call, 'read');
  const { page, headers } = paged(
    call,
    [...call.repo.comments.values()].filter((comment) => comment.number === number),
  );
  return { status: 200, body: page.map((comment) => commentView(call.world, call.repo, comment)), headers };
}

function numberOf(call: RepoCall, level: 'read' | 'write'): number {
  const number = Number(call.params['issue_number']);
  if (!call.repo.pulls.has(number) && !call.repo.issues.has(number)) throw notFound();
  mayReach(call, number, level);
  return number;
}

function find(call: RepoCall, level: 'read' | 'write'): Comment {
  const comment = call.repo.comments.get(Number(call.params['comment_id']));
  if (!comment) throw notFound();
  mayReach(call, comment.number, level);
  return comment;
}

/** pull_requests opens comments on pull requests alone; those on issues need issues. */
function mayReach({ repo, token }: RepoCall, number: number, level: 'read' | 'write'): void {
  if (!repo.pulls.has(number) && token && !permits(token.permissions, 'issues', level)) throw forbidden();
}

function text({ body }: RepoCall): string {
  const value = String(body['body']);
  if (value.trim() === '') throw invalid('IssueComment', [{ field: 'body', message: "can't be blank" }]);
  if (characters(value) > MOST_BODY) {
    throw invalid('IssueComment', [{ field: 'body', message: `is too long (maximum is ${MOST_BODY} characters)` }]);
  }
  return value;
}
