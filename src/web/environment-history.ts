import { html } from 'hono/html';
import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { shortImage } from '#src/model/image-short.ts';
import type { Repository } from '#src/model/repository.ts';
import { actionPath } from './environment-forms.ts';
import { type Html, time } from './layout.ts';
import { deploymentPill } from './page-parts.ts';
import type { Links } from './signer.ts';

/** Deployments, newest first, folded: what each changed and, for the operator, a way back to it. */
export function historyList(
  repository: Repository,
  { environment, current }: EnvironmentStatus,
  history: readonly DeploymentRecord[],
  links: Links,
  operator: boolean,
): Html {
  return html`<details class="history" id="history-${environment}"><summary>History</summary>
<ol class="runs">${history.map(
    (one) => html`<li><span class="state">${deploymentPill(one)}</span>
<span class="what"><a href="${links.run(one.runId)}">${versionOf(one)}</a>
<span class="note"><code>${one.sha.slice(0, 7)}</code> · ${one.actor}${one.details.mode && one.details.mode !== 'deploy' && ` · ${one.details.mode}`}${one.details.rolledBack && ' · rolled back'} · ${one.description}</span>
${changesOf(one)}</span>
<span class="when">${time(one.createdAt)}${operator && one.id !== current?.id && mayReturn(one) && backForm(repository, environment, one)}</span></li>`,
  )}</ol></details>`;
}

/** What each workload ran before and after. */
function changesOf({ changes }: Pick<DeploymentRecord, 'changes'>): Html | null {
  if (changes.length === 0) return null;
  return html`<ul class="changes">${changes.map(
    ({ workload, container, before, after, said }) => html`<li><span>${workload}${container && ` · ${container}`}</span>
${before !== null && html`<code title="${before}">${shortImage(before)}</code> → `}<code title="${after}">${after === '' ? 'unknown' : shortImage(after)}</code>${said && html` <span>${said}</span>`}</li>`,
  )}</ul>`;
}

/** The tag, or what the commit is about. */
export function versionOf({ details, sha }: DeploymentRecord): string {
  return details.tag ?? (details.title || sha.slice(0, 10));
}

/** It was healthy, so it can be restored. */
function mayReturn({ state }: DeploymentRecord): boolean {
  return state === 'success' || state === 'inactive';
}

function backForm(repository: Repository, environment: string, { sha, details }: DeploymentRecord): Html {
  const to = details.tag ?? sha;
  return html`<form method="post" action="${actionPath(repository, 'rollback')}">
<input type="hidden" name="environment" value="${environment}"><input type="hidden" name="to" value="${to}">
<button class="link">Roll back to this</button></form>`;
}
