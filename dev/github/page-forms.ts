import type { IncomingMessage, ServerResponse } from 'node:http';
import { html } from 'hono/html';
import { announceRun } from './checks.ts';
import { addComment } from './comments.ts';
import { type Html, sendPage } from './layout.ts';
import type { Hub } from './pulls.ts';
import type { CheckRun, Repo, User } from './world.ts';

const MOST_BYTES = 100_000;

/** A form that writes a comment, as one of the repository's people. */
export function commentForm(repo: Repo, number: number, kind: 'pull' | 'issues'): Html {
  return html`<form method="post" action="/${repo.fullName}/${kind}/${number}/comment">
    <textarea name="body" rows="3" cols="60" required placeholder="/help"></textarea><br />
    ${whoField(repo)} <button>Comment</button>
  </form>`;
}

/** The buttons that an App put on a check run. They are shown once it is completed, as on GitHub. */
export function buttonForm(repo: Repo, run: CheckRun): Html {
  if (run.status !== 'completed' || run.actions.length === 0) return html``;
  return html`<form method="post" action="/${repo.fullName}/runs/${run.id}/press">
    ${run.actions.map(
      (action) =>
        html`<button name="identifier" value="${action['identifier']}" title="${action['description']}">
          ${action['label']}
        </button> `,
    )}
    ${whoField(repo)}
  </form>`;
}

function whoField(repo: Repo): Html {
  const logins = [...new Set([...repo.roles.keys(), repo.owner.login])];
  return html`as <select name="by">${logins.map((login) => html`<option>${login}</option>`)}</select>`;
}

/** Takes a form that one of the pages showed, and leads back to where the result is. */
export async function takeForm(
  hub: Hub,
  request: IncomingMessage,
  response: ServerResponse,
  repo: Repo,
  [kind = '', id = '', what = '']: readonly string[],
): Promise<void> {
  // What other pages in the same browser send isn't meant by whoever sits before it.
  const { origin } = request.headers;
  if (origin !== undefined && origin !== hub.world.url) return refuse(response, 403, 'The form is of another page.');
  const form = new URLSearchParams(await read(request));
  const by: User = hub.world.user(form.get('by') ?? repo.owner.login);
  const number = Number(id);
  const run = repo.runs.get(number);
  if (what === 'press' && kind === 'runs' && run) {
    const identifier = form.get('identifier') ?? '';
    const there = run.status === 'completed' && run.actions.some((action) => action['identifier'] === identifier);
    if (!there) return refuse(response, 409, 'The check run shows no such button any more.');
    announceRun(hub, repo, run, 'requested_action', by, { requested_action: { identifier } });
    return back(response, `/${repo.fullName}/commit/${run.headSha}`);
  }
  const talk = kind === 'pull' ? repo.pulls.has(number) : kind === 'issues' && repo.issues.has(number);
  const body = (form.get('body') ?? '').replaceAll('\r\n', '\n');
  if (what === 'comment' && talk && body.trim() !== '') {
    addComment(hub, repo, number, by, null, body);
    return back(response, `/${repo.fullName}/${kind}/${number}`);
  }
  return refuse(response, 404, 'There is nothing here.');
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error('The form is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function back(response: ServerResponse, location: string): void {
  response.writeHead(303, { location }).end();
}

function refuse(response: ServerResponse, status: number, why: string): Promise<void> {
  return sendPage(response, status, 'Not done', html`<p>${why}</p>`);
}
