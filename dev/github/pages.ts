import type { IncomingMessage, ServerResponse } from 'node:http';
import { html } from 'hono/html';
import { latest } from './checks.ts';
import { git, refs, show } from './git.ts';
import { type Html, sendPage } from './layout.ts';
import { serveInstall, serveNewApp } from './manifest.ts';
import type { Hub } from './pulls.ts';
import type { Body, CheckRun, Deployment, Pull, Repo, World } from './world.ts';

const MOST_COMMITS = 30;

/** Pages for a person who wants to see what is there. */
export async function servePage(hub: Hub, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const [first = '', second = '', third, fourth] = parts;
  if (url.pathname === '/settings/apps/new') return serveNewApp(hub, request, response, url);
  if (first === 'apps') return serveInstall(hub, request, response, second);
  if (parts.length === 0) return sendPage(response, 200, 'Repositories', repositories(hub.world));
  const repo = hub.world.repos.get(`${first}/${second}`.toLowerCase());
  if (repo && third === undefined) return sendPage(response, 200, repo.fullName, await repository(repo));
  const pull = third === 'pull' ? repo?.pulls.get(Number(fourth)) : undefined;
  if (repo && pull) return sendPage(response, 200, `${pull.title} #${pull.number}`, pullPage(repo, pull));
  const run = third === 'runs' ? repo?.runs.get(Number(fourth)) : undefined;
  if (repo && run) return sendPage(response, 200, run.name, checkRun(run));
  const sha = third === 'commit' ? fourth : undefined;
  if (repo && sha) return sendPage(response, 200, sha.slice(0, 7), checkRuns(runsFor(repo, sha)));
  return sendPage(response, 404, 'Not found', html`<p>There is nothing here.</p>`);
}

function repositories(world: World): Html {
  return html`<ul>
    ${[...world.repos.values()].map(({ fullName }) => html`<li><a href="/${fullName}">${fullName}</a></li>`)}
  </ul>`;
}

async function repository(repo: Repo): Promise<Html> {
  const names = [...(await refs(repo.path)).keys()].filter((ref) => /^refs\/(heads|tags)\//.test(ref));
  const shas = await git(repo.path, 'rev-list', '--all', `--max-count=${MOST_COMMITS}`);
  const commits = await show(repo.path, shas.split('\n').filter(Boolean));
  return html`<p class="dim">${names.map((ref) => ref.replace(/^refs\/(heads|tags)\//, '')).join(', ')}</p>
    <h2>Pull requests</h2>
    <ul>
      ${[...repo.pulls.values()].map(
        (pull) => html`<li>
          <a href="/${repo.fullName}/pull/${pull.number}">#${pull.number} ${pull.title}</a>
          <span class="dim">${pull.merged ? 'merged' : pull.state}</span>
        </li>`,
      )}
    </ul>
    <h2>Commits</h2>
    <table>
      ${commits.map(
        ({ sha, message }) => html`<tr>
          <td><a href="/${repo.fullName}/commit/${sha}"><code>${sha.slice(0, 7)}</code></a></td>
          <td>${message.split('\n')[0]}</td>
          <td>${runsFor(repo, sha).map((run) => html`${state(run)} ${run.name}<br />`)}</td>
        </tr>`,
      )}
    </table>
    ${deployments([...repo.deployments.values()])}`;
}

function pullPage(repo: Repo, pull: Pull): Html {
  const comments = [...repo.comments.values()].filter(({ number }) => number === pull.number);
  return html`<p class="dim">
      ${pull.user.login} wants to merge ${pull.head.repo.fullName}:${pull.head.ref} into ${pull.base.ref}
      (${pull.merged ? 'merged' : pull.state})
    </p>
    ${pull.body ? html`<pre>${pull.body}</pre>` : ''}
    <h2>Checks of <code>${pull.head.sha.slice(0, 7)}</code></h2>
    ${checkRuns(runsFor(repo, pull.head.sha))}
    <h2>Comments</h2>
    ${comments.map(
      ({ user, body, reactions }) => html`<p class="dim">${user.login}</p>
        <pre>${body}</pre>
        <p class="dim">${reactions.map(({ user, content }) => `${content} by ${user.login}`).join(', ')}</p>`,
    )}
    ${deployments([...repo.deployments.values()].filter(({ sha }) => sha === pull.head.sha))}`;
}

function checkRuns(runs: readonly CheckRun[]): Html {
  if (runs.length === 0) return html`<p class="dim">No checks.</p>`;
  return html`${runs.map((run) => html`<details><summary>${state(run)} <b>${run.name}</b> ${run.title ?? ''}</summary>${checkRun(run)}</details>`)}`;
}

function checkRun(run: CheckRun): Html {
  return html`<p>${state(run)} ${run.detailsUrl ? html`<a href="${run.detailsUrl}">Details</a>` : ''}</p>
    ${run.summary ? html`<pre>${run.summary}</pre>` : ''} ${run.text ? html`<pre>${run.text}</pre>` : ''}
    ${run.annotations.map(annotation)}
    <p>${run.status === 'completed' ? run.actions.map((action) => html`<button disabled>${action['label']}</button> `) : ''}</p>`;
}

function annotation(each: Body): Html {
  return html`<pre><b>${each['annotation_level']}</b> ${each['path']}:${each['start_line']}${each['start_column'] ? `:${each['start_column']}` : ''} ${each['title'] ?? ''}
${each['message']}</pre>`;
}

function deployments(found: readonly Deployment[]): Html {
  if (found.length === 0) return html``;
  return html`<h2>Deployments</h2>
    <table>
      ${found.toReversed().map(
        ({ environment, ref, statuses }) => html`<tr>
          <td>${environment}</td>
          <td>${ref}</td>
          <td>${statuses.map(({ state, description }) => html`<span class="${state}">${state}</span> ${description}<br />`)}</td>
        </tr>`,
      )}
    </table>`;
}

function runsFor(repo: Repo, sha: string): CheckRun[] {
  return latest([...repo.runs.values()].filter(({ headSha }) => headSha === sha));
}

function state(run: CheckRun): Html {
  const word = run.conclusion ?? run.status;
  return html`<span class="${word}">${word.replaceAll('_', ' ')}</span>`;
}
