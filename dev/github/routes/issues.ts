import { type Answer, appOf, created, ok, paged, type RepoCall, type Routes } from '../call.ts';
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
    handle: (call) => ok(commentView(call.world, call.repo, find(call))),
  },
  'PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}': { needs: [EITHER, 'write'], handle: update },
  'GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': { needs: [EITHER, 'read'], handle: reactions },
  'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions': { needs: [EITHER, 'write'], handle: react },
};

function create(call: RepoCall): Answer {
  const number = numberOf(call);
  const app = appOf(call);
  const comment = addComment(call, call.repo, number, app.bot, app, text(call));
  return created(commentView(call.world, call.repo, comment));
}

function update(call: RepoCall): Answer {
  const comment = find(call);
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
  const comment = find(call);
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
  const found = find(call).reactions.filter(({ content }) => asked === undefined || content === asked);
  const { page, headers } = paged(call, found);
  return { status: 200, body: page.map((reaction) => reactionView(call.world, reaction)), headers };
}

function list(call: RepoCall): Answer {
  const number = numberOf(call);
  const { page, headers } = paged(
    call,
    [...call.repo.comments.values()].filter((comment) => comment.number === number),
  );
  return { status: 200, body: page.map((comment) => commentView(call.world, call.repo, comment)), headers };
}

function numberOf({ repo, params }: RepoCall): number {
  const number = Number(params['issue_number']);
  if (!repo.pulls.has(number)) throw notFound();
  return number;
}

function find({ repo, params }: RepoCall): Comment {
  const comment = repo.comments.get(Number(params['comment_id']));
  if (!comment) throw notFound();
  return comment;
}

function text({ body }: RepoCall): string {
  const value = String(body['body']);
  if (value.trim() === '') throw invalid('IssueComment', [{ field: 'body', message: "can't be blank" }]);
  if (characters(value) > MOST_BODY) {
    throw invalid('IssueComment', [{ field: 'body', message: `is too long (maximum is ${MOST_BODY} characters)` }]);
  }
  return value;
}
