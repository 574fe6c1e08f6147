import { html } from 'hono/html';
import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import { isPreview } from '#src/model/concurrency.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { versionOf } from './environment-history.ts';
import { anchorOf } from './environment-page.ts';
import { type Html, pill, time } from './layout.ts';
import type { Links } from './signer.ts';

/** What is where in every repository, as it is recorded: no cluster is asked. */
export function overviewBody(
  all: readonly { readonly repository: Repository; readonly statuses: readonly EnvironmentStatus[] }[],
  links: Links,
): Html {
  if (all.length === 0) {
    return html`<section class="notice"><h1>Nothing was deployed yet</h1>
<p>Write <code>environments</code> in a repository's slipway.yml. What is deployed is shown here.</p></section>`;
  }
  return html`<h1>Environments</h1>
${all.map(({ repository, statuses }) => {
  const page = links.environments(repository);
  const previews = statuses.filter(({ environment }) => isPreview(environment)).length;
  return html`<section class="overview"><h2><a href="${page}">${fullName(repository)}</a></h2>
<ol class="runs">${statuses.filter(({ environment }) => !isPreview(environment)).map((status) => row(status, page))}</ol>
${previews > 0 && html`<p class="note">and ${previews} ${previews === 1 ? 'preview' : 'previews'}</p>`}</section>`;
})}`;
}

function row({ environment, current, running, queue, lock }: EnvironmentStatus, page: string): Html {
  const waiting = queue.length;
  return html`<li><span class="state">${
    running !== null
      ? pill({ look: 'active', text: 'deploying' })
      : lock !== null
        ? pill({ look: 'warn', text: 'locked' })
        : pill(current === null ? { look: 'still', text: 'empty' } : { look: 'good', text: 'deployed' })
  }</span>
<span class="what"><a href="${page}#${anchorOf(environment)}">${environment}</a>
<span class="note">${current === null ? 'nothing yet' : html`${versionOf(current)} · <code>${current.sha.slice(0, 7)}</code> · ${current.actor}`}${waiting > 0 && ` · ${waiting} in the queue`}${lock !== null && ` · locked by ${lock.owner}`}</span></span>
<span class="when">${current !== null && time(current.details.healthyAt ?? current.updatedAt)}</span></li>`;
}
