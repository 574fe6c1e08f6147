import { html } from 'hono/html';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, RunView } from '#src/model/run.ts';
import { isHeld } from '#src/model/trust.ts';
import { reasonFor, statusOf } from './format.ts';
import { type Html, pill, took } from './layout.ts';
import { deploymentItem, diagnosticsList, provenance, runStatus, trustNotice } from './page-parts.ts';
import type { Links } from './signer.ts';

/** The part of a run's page that changes while it runs. */
export function runBody(
  { run, jobs }: RunView,
  deployments: readonly DeploymentRecord[],
  links: Links,
  now: number,
): Html {
  return html`<header class="headline">
<p class="crumb">${fullName(run.repository)}</p>
<h1>${run.trigger.title || run.trigger.sha.slice(0, 10)}</h1>
<p class="state">${pill(runStatus(run))} ${took(run.startedAt, run.finishedAt, now)} ${reasonFor(run) && html`<span class="reason">${reasonFor(run)}</span>`}</p>
${provenance(run)}
</header>
${trustNotice(run)}
${diagnosticsList(run.diagnostics)}
${jobs.length > 0 ? graph(jobs, links, now) : !isHeld(run) && html`<section class="notice"><p>${noJobs(run.state)}</p></section>`}
${
  deployments.length > 0 &&
  html`<section><h2>Deployments</h2><ul class="deployments">${deployments.map(deploymentItem)}</ul></section>`
}
${run.pipelineFile && html`<p class="foot">The pipeline is described in <code>${run.pipelineFile}</code>.</p>`}`;
}

/** For the operator, beside the part that changes. */
export function cancelForm(run: RunView['run'], action: string): Html | null {
  if (run.state === 'completed' || run.cancel !== null) return null;
  return html`<form method="post" action="${action}" class="cancel"><button class="button">Cancel this run</button></form>`;
}

function noJobs(state: RunView['run']['state']): string {
  return state === 'completed' ? 'This run has no jobs.' : 'The jobs are being worked out.';
}

/** Jobs in columns: each stands right of all that it needs. */
function graph(jobs: readonly Job[], links: Links, now: number): Html {
  return html`<section><h2>Jobs</h2><div class="graph">${columns(jobs).map(
    (column) => html`<ol class="column">${column.map((job) => card(job, links, now))}</ol>`,
  )}</div></section>`;
}

function card(job: Job, links: Links, now: number): Html {
  const status = statusOf(job);
  const detail = job.state === 'running' && job.progress ? job.progress : reasonFor(job);
  return html`<li class="card ${status.look}"><a href="${links.job(job.runId, job.id)}">${job.plan.key}</a>
<span class="state">${pill(status)} ${took(job.startedAt, job.finishedAt, now)}</span>
${detail && html`<span class="reason">${detail}</span>`}
${job.earlier.length > 0 && html`<span class="needs">attempt ${job.attempt}: ${job.earlier.at(-1)?.why ?? ''}</span>`}
${job.plan.needs.length > 0 && html`<span class="needs">after ${job.plan.needs.join(', ')}</span>`}</li>`;
}

/** Jobs by the length of the longest way to them. A need that isn't in the list counts for nothing. */
export function columns(jobs: readonly Job[]): Job[][] {
  const byKey = new Map(jobs.map((job) => [job.plan.key, job]));
  const depths = new Map<string, number>();
  function depthOf(job: Job): number {
    const known = depths.get(job.plan.key);
    if (known !== undefined) return known;
    depths.set(job.plan.key, 0);
    const needs = job.plan.needs.flatMap((key) => byKey.get(key) ?? []);
    const depth = needs.length === 0 ? 0 : 1 + Math.max(...needs.map(depthOf));
    depths.set(job.plan.key, depth);
    return depth;
  }
  const result: Job[][] = [];
  for (const job of jobs) (result[depthOf(job)] ??= []).push(job);
  return result.filter((column) => column.length > 0);
}
