import { html } from 'hono/html';
import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { imagesBrought, shortImage } from '#src/model/image-short.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { actionForms } from './environment-forms.ts';
import { historyList, versionOf } from './environment-history.ts';
import { repositoryUrl, type Status } from './format.ts';
import { type Html, pill, time } from './layout.ts';
import type { Links } from './signer.ts';

/** An environment with what it had before, newest first. */
export interface ShownEnvironment {
  readonly status: EnvironmentStatus;
  readonly history: readonly DeploymentRecord[];
}

/** The part of a repository's environments that changes. `operator`: with what the operator may do. */
export function environmentsBody(
  repository: Repository,
  shown: readonly ShownEnvironment[],
  links: Links,
  operator: boolean,
): Html {
  const statuses = shown.map(({ status }) => status);
  return html`<header class="headline"><p class="crumb">${fullName(repository)}</p><h1>Environments</h1></header>
${shown.length === 0 && nothing(repository)}
${shown.map((one) => section(repository, one, statuses, links, operator))}`;
}

function nothing({ defaultBranch }: Repository): Html {
  return html`<section class="notice"><p>The pipeline file of <code>${defaultBranch}</code> names no environment, and nothing
was deployed. Add <code>environments</code> to it: this page then shows what is where.</p></section>`;
}

function section(
  repository: Repository,
  { status, history }: ShownEnvironment,
  all: readonly EnvironmentStatus[],
  links: Links,
  operator: boolean,
): Html {
  const { environment, current, lock, running } = status;
  return html`<section class="environment" id="${anchorOf(environment)}">
<header><h2>${environment}</h2><span class="state">${pill(standing(status))}${lock && pill({ look: 'warn', text: 'locked' })}</span>
${addressOf(current)}</header>
${current === null ? html`<p class="note">Nothing was deployed here yet.</p>` : currentView(repository, current, links)}
${current !== null && status.health.message !== '' && html`<p class="health">${healthMark(status)} ${status.health.message}</p>`}
${lock && html`<p class="lock"><strong>Locked</strong> by ${lock.owner}${lock.environment === '' ? ', with the whole repository,' : ''} since ${time(lock.at)}${lock.reason !== '' && html`: ${lock.reason}`}${lock.pullRequest !== null && html` <span class="note">until pull request #${lock.pullRequest} closes</span>`}</p>`}
${(running || status.queue.length > 0) && queueView(status, links)}
${operator && actionForms(repository, status, history, all)}
${history.length > 0 && historyList(repository, status, history, links, operator)}
</section>`;
}

/** The url of a pipeline file: shown if it is one. */
function addressOf(current: DeploymentRecord | null): Html | null {
  const url = URL.parse(current?.details.url ?? '');
  if (url === null || !/^https?:$/.test(url.protocol)) return null;
  return html`<a class="open" href="${url.href}" rel="noreferrer">${url.host}</a>`;
}

function currentView(repository: Repository, current: DeploymentRecord, links: Links): Html {
  const url = repositoryUrl(repository);
  const sha = html`<code>${current.sha.slice(0, 7)}</code>`;
  const images = imagesBrought(current);
  return html`<p class="version"><strong>${versionOf(current)}</strong> ${url ? html`<a href="${url}/commit/${current.sha}">${sha}</a>` : sha}</p>
<ul class="facts"><li>by ${current.actor}</li><li>since ${time(current.details.healthyAt ?? current.updatedAt)}</li>
<li><a href="${links.run(current.runId)}">its run</a></li></ul>
${images.length > 0 && html`<ul class="images">${images.map((image) => html`<li><code title="${image}">${shortImage(image)}</code></li>`)}</ul>`}`;
}

function queueView({ running, queue }: EnvironmentStatus, links: Links): Html {
  return html`<ol class="queue">
${
  running &&
  html`<li><span class="place">${pill({ look: 'active', text: 'deploying' })}</span>
<span class="what"><a href="${links.job(running.run.id, running.job.id)}">${running.run.trigger.title || running.run.trigger.sha.slice(0, 7)}</a>
<span class="note"><code>${running.run.trigger.sha.slice(0, 7)}</code> · ${running.run.trigger.actor}${(running.job.note ?? running.job.progress) && html` · ${running.job.note ?? running.job.progress}`}</span></span></li>`
}
${queue.map(
  ({ run, job, position }) => html`<li><span class="place">${position === null ? 'not in line' : `${position}.`}</span>
<span class="what"><a href="${links.job(run.id, job.id)}">${run.trigger.title || run.trigger.sha.slice(0, 7)}</a>
<span class="note"><code>${run.trigger.sha.slice(0, 7)}</code> · ${run.trigger.actor}${job.note && html` · ${job.note}`}</span></span></li>`,
)}</ol>`;
}

/** How an environment stands, as one word. */
function standing({ current, running, health }: EnvironmentStatus): Status {
  if (running !== null) return { look: 'active', text: 'deploying' };
  if (current === null) return { look: 'still', text: 'empty' };
  switch (health.kind) {
    case 'healthy':
      return { look: 'good', text: 'healthy' };
    case 'unhealthy':
      return { look: 'bad', text: 'unhealthy' };
    case 'unknown':
      return { look: 'still', text: 'health unknown' };
  }
}

function healthMark({ health }: EnvironmentStatus): Html {
  const look = { healthy: 'good', unhealthy: 'bad', unknown: 'still' }[health.kind];
  return html`<span class="mark ${look}" aria-hidden="true"></span>`;
}

/** Where the environment stands on the page. */
export function anchorOf(environment: string): string {
  return `env-${environment.replace(/[^\w.-]/g, '-')}`;
}
