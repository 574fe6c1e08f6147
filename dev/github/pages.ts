import type { IncomingMessage, ServerResponse } from 'node:http';
import { html } from 'hono/html';
import { latest } from './checks.ts';
import { git, refs, show } from './git.ts';
import { type Html, sendPage } from './layout.ts';
import { buttonForm, commentForm, takeForm } from './page-forms.ts';
import { serveInstall, serveNewApp } from './manifest.ts';
import type { Hub } from './pulls.ts';
import { isoTime } from './world.ts';
import type { Body, CheckRun, Deployment, Issue, Pull, Repo, World } from './world.ts';

const MOST_COMMITS = 30;

/** Pages for a person who wants to see what is there, write comments and press buttons. */
export async function servePage(hub: Hub, request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  const [first = '', second = '', third, fourth] = parts;
  if (url.pathname === '/settings/apps/new') return serveNewApp(hub, request, response, url);
  if (first === 'apps') return serveInstall(hub, request, response, second);
  if (parts.length === 0) return sendPage(response, 200, 'Repositories', repositories(hub.world));
  const repo = hub.world.repos.get(`${first}/${second}`.toLowerCase());
  if (repo && request.method === 'POST') return takeForm(hub, request, response, repo, parts.slice(2));
  if (repo && third === undefined) return sendPage(response, 200, repo.fullName, await repository(repo));
  const pull = third === 'pull' ? repo?.pulls.get(Number(fourth)) : undefined;
  if (repo && pull) return sendPage(response, 200, `${pull.title} #${pull.number}`, pullPage(repo, pull));
  const issue = third === 'issues' ? repo?.issues.get(Number(fourth)) : undefined;
  if (repo && issue) return sendPage(response, 200, `${issue.title} #${issue.number}`, issuePage(repo, issue));
  const run = third === 'runs' ? repo?.runs.get(Number(fourth)) : undefined;
  if (repo && run) return sendPage(response, 200, run.name, checkRun(repo, run));
  const sha = third === 'commit' ? fourth : undefined;
  if (repo && sha) return sendPage(response, 200, sha.slice(0, 7), commitPage(repo, sha));
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
    ${listed(
      'Issues',
      [...repo.issues.values()].map(
        ({ number, title }) => html`<a href="/${repo.fullName}/issues/${number}">#${number} ${title}</a>`,
      ),
    )}
    ${listed(
      'Releases',
      [...repo.releases.values()].map(
        ({ tag, name, prerelease }) =>
          html`${name} <span class="dim">${tag}${prerelease ? ', a pre-release' : ''}</span>`,
      ),
    )}
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
    ${environments(repo)} ${deployments(repo, [...repo.deployments.values()])}`;
}

function listed(title: string, items: readonly Html[]): Html {
  if (items.length === 0) return html``;
  return html`<h2>${title}</h2>
    <ul>
      ${items.map((item) => html`<li>${item}</li>`)}
    </ul>`;
}

function commitPage(repo: Repo, sha: string): Html {
  return html`${checkRuns(repo, runsFor(repo, sha))}
  ${deployments(
    repo,
    [...repo.deployments.values()].filter((each) => each.sha === sha),
  )}`;
}

function issuePage(repo: Repo, issue: Issue): Html {
  return html`<p class="dim">${issue.user.login} opened this issue</p>
    ${comments(repo, issue.number, 'issues')}`;
}

function pullPage(repo: Repo, pull: Pull): Html {
  return html`<p class="dim">
      ${pull.user.login} wants to merge ${pull.head.repo.fullName}:${pull.head.ref} into ${pull.base.ref}
      (${pull.merged ? 'merged' : pull.state})
    </p>
    ${pull.body ? html`<pre>${pull.body}</pre>` : ''}
    <h2>Checks of <code>${pull.head.sha.slice(0, 7)}</code></h2>
    ${checkRuns(repo, runsFor(repo, pull.head.sha))} ${comments(repo, pull.number, 'pull')}
    ${deployments(
      repo,
      [...repo.deployments.values()].filter(({ sha }) => sha === pull.head.sha),
    )}`;
}

function comments(repo: Repo, number: number, kind: 'pull' | 'issues'): Html {
  const found = [...repo.comments.values()].filter((comment) => comment.number === number);
  return html`<h2>Comments</h2>
    ${found.map(
      ({ user, body, reactions, createdAt, updatedAt }) => html`<p class="dim">
          ${user.login}, ${isoTime(createdAt)}${updatedAt > createdAt ? `, edited ${isoTime(updatedAt)}` : ''}
        </p>
        <pre>${body}</pre>
        <p class="dim">${reactions.map((each) => `${each.content} by ${each.user.login}`).join(', ')}</p>`,
    )}
    ${commentForm(repo, number, kind)}`;
}

function checkRuns(repo: Repo, runs: readonly CheckRun[]): Html {
  if (runs.length === 0) return html`<p class="dim">No checks.</p>`;
  return html`${runs.map((run) => html`<details><summary>${state(run)} <b>${run.name}</b> ${run.title ?? ''}</summary>${checkRun(repo, run)}</details>`)}`;
}

function checkRun(repo: Repo, run: CheckRun): Html {
  return html`<p>${state(run)} <span class="dim">by ${run.suite.app.name}</span> ${run.detailsUrl ? html`<a href="${run.detailsUrl}">Details</a>` : ''}</p>
    ${run.summary ? html`<pre>${run.summary}</pre>` : ''} ${run.text ? html`<pre>${run.text}</pre>` : ''}
    ${run.annotations.map(annotation)}
    ${buttonForm(repo, run)}`;
}

function annotation(each: Body): Html {
  return html`<pre><b>${each['annotation_level']}</b> ${each['path']}:${each['start_line']}${each['start_column'] ? `:${each['start_column']}` : ''} ${each['title'] ?? ''}
${each['message']}</pre>`;
}

/** What is where: of each environment the newest deployment that is there. */
function environments(repo: Repo): Html {
  const there = new Map<string, Deployment>();
  for (const each of repo.deployments.values()) {
    if (each.statuses.at(-1)?.state === 'success') there.set(each.environment, each);
  }
  if (there.size === 0) return html``;
  return html`<h2>Environments</h2>
    <table>
      ${[...there.values()].map(
        (each) => html`<tr>
          <td>${addressed(each)}</td>
          <td><a href="/${repo.fullName}/commit/${each.sha}"><code>${each.sha.slice(0, 7)}</code></a></td>
          <td>${each.description ?? ''}</td>
        </tr>`,
      )}
    </table>`;
}

function deployments(repo: Repo, found: readonly Deployment[]): Html {
  if (found.length === 0) return html``;
  return html`<h2>Deployments</h2>
    <table>
      ${found.toReversed().map(
        (each) => html`<tr>
          <td>${addressed(each)}${each.transient ? html` <span class="dim">transient</span>` : ''}</td>
          <td><a href="/${repo.fullName}/commit/${each.sha}"><code>${each.sha.slice(0, 7)}</code></a></td>
          <td>${each.statuses.map(
            ({ state, description, logUrl }) =>
              html`<span class="${state}">${state}</span> ${description}
                ${logUrl ? html`<a href="${logUrl}">log</a>` : ''}<br />`,
          )}</td>
          <td><details><summary>Payload</summary><pre>${JSON.stringify(each.payload, null, 2)}</pre></details></td>
        </tr>`,
      )}
    </table>`;
}

function addressed({ environment, statuses }: Deployment): Html {
  const url = statuses.at(-1)?.environmentUrl;
  return url ? html`<a href="${url}">${environment}</a>` : html`${environment}`;
}

function runsFor(repo: Repo, sha: string): CheckRun[] {
  return latest([...repo.runs.values()].filter(({ headSha }) => headSha === sha));
}

function state(run: CheckRun): Html {
  const word = run.conclusion ?? run.status;
  return html`<span class="${word}">${word.replaceAll('_', ' ')}</span>`;
}
