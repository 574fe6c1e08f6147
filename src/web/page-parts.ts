import { html } from 'hono/html';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { type Diagnostic, formatDiagnostic } from '#src/model/diagnostic.ts';
import { shortImage } from '#src/model/image-short.ts';
import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { isHeld } from '#src/model/trust.ts';
import { describeTrigger, repositoryUrl, type Status, statusOf } from './format.ts';
import { type Html, time } from './layout.ts';

/** Repository, cause, commit and person of a run, linked to GitHub where it has pages for them. */
export function provenance(run: Run): Html {
  const url = repositoryUrl(run.repository);
  const linked = (path: string, text: Html | string) => (url ? html`<a href="${url}${path}">${text}</a>` : text);
  const { trigger } = run;
  const sha = html`<code>${trigger.sha.slice(0, 10)}</code>`;
  const cause = describeTrigger(trigger);
  return html`<ul class="facts">
<li>${linked('', fullName(run.repository))}</li>
<li>${trigger.kind === 'pull_request' ? linked(`/pull/${trigger.number}`, cause) : cause}</li>
${trigger.kind !== 'pull_request' && run.pullRequest !== null && html`<li>${linked(`/pull/${run.pullRequest}`, `pull request #${run.pullRequest}`)}</li>`}
<li>${linked(`/commit/${trigger.sha}`, sha)}</li>
<li>by ${trigger.actor}</li>
<li>${time(run.createdAt)}</li>
</ul>`;
}

/** How a run stands; one that waits for a maintainer says so. */
export function runStatus(run: Run): Status {
  return isHeld(run) ? { look: 'warn', text: 'waits for approval' } : statusOf(run);
}

/** What a stranger's run may not do and why, who let it run or how to; nothing for all others. */
export function trustNotice(run: Run): Html | null {
  const { trust } = run;
  if (trust === null || trust.trusted) return null;
  return html`<section class="notice"><h2>${isHeld(run) ? 'Nothing of this commit has run' : "A stranger's commit"}</h2>
<p>${trust.reason} The run gets no secrets, pushes no images and deploys nothing.</p>
${isHeld(run) && trust.remarks.length > 0 && html`<ul class="remarks">${trust.remarks.map((remark) => html`<li class="warning">${remark}</li>`)}</ul>`}
${
  isHeld(run) &&
  html`<p>To run this commit and no other, somebody with write permission presses <strong>Approve run</strong> at the check
run <code>slipway</code> on GitHub, or comments on the pull request:</p>
<p><code>/ok-to-test ${run.trigger.sha}</code></p>`
}
${trust.approvedBy !== null && html`<p>Approved by ${trust.approvedBy}.</p>`}</section>`;
}

export function diagnosticsList(diagnostics: readonly Diagnostic[]): Html | null {
  if (diagnostics.length === 0) return null;
  return html`<section><h2>Remarks on the pipeline file</h2>
<ul class="remarks">${diagnostics.map((d) => html`<li class="${d.severity}"><code>${formatDiagnostic(d)}</code></li>`)}</ul></section>`;
}

const deploymentLooks = {
  queued: 'still',
  in_progress: 'active',
  success: 'good',
  failure: 'bad',
  error: 'warn',
  inactive: 'still',
} as const;

/** The workload may run something else again. */
function hasFailed({ state }: DeploymentRecord): boolean {
  return state === 'failure' || state === 'error';
}

export function deploymentPill({ state }: Pick<DeploymentRecord, 'state'>): Html {
  return html`<span class="pill ${deploymentLooks[state]}">${state.replace('_', ' ')}</span>`;
}

export function deploymentItem(deployment: DeploymentRecord): Html {
  const { environment, description, details } = deployment;
  return html`<li>${deploymentPill(deployment)}
<strong>${environment}</strong> ${description}
${
  deployment.changes.length > 0 &&
  html`<ul class="changes">${deployment.changes.map(
    ({ workload, container, before, after }) =>
      html`<li><span>${workload}${container && ` · ${container}`}${hasFailed(deployment) ? ', tried' : ''}:</span> ${before !== null && html`<code title="${before}">${shortImage(before)}</code> → `}<code>${after}</code></li>`,
  )}</ul>`
}
${details.steps && details.steps.said.length > 0 && html`<ul class="remarks said">${details.steps.said.map((line) => html`<li>${line}</li>`)}</ul>`}</li>`;
}
