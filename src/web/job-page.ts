import { html, raw } from 'hono/html';
import { type Job, pendingStep, type Run, type Step } from '#src/model/run.ts';
import { formatAttempt, formatDuration, reasonFor, type Status, statusOf } from './format.ts';
import { type Html, pill, took } from './layout.ts';
import { type Line, type Section, sectionOf, type Tail } from './log-lines.ts';
import { markdown } from './markdown.ts';
import { provenance } from './page-parts.ts';
import type { Links } from './signer.ts';

/** What is shown of a job above its log, and changes while it runs. */
export function jobHead(run: Run, job: Job, links: Links, now: number): Html {
  const reason = reasonFor(job);
  return html`<p class="crumb"><a href="${links.run(run.id)}">${run.trigger.title || 'The run'}</a></p>
<h1>${job.plan.key}</h1>
<p class="state">${pill(statusOf(job))} ${took(job.startedAt, job.finishedAt, now)} ${reason && html`<span class="reason">${reason}</span>`}</p>
${job.progress && job.progress !== reason && html`<p class="progress">${job.progress}</p>`}
${job.earlier.length > 0 && html`<ul class="remarks">${job.earlier.map((each) => html`<li class="note">${formatAttempt(each)}</li>`)}</ul>`}
${provenance(run)}
${strange(run) && html`<p class="progress">A stranger's commit: it gets no secrets, pushes no images and deploys nothing.</p>`}
${gate(job)}
${job.report !== '' && html`<section class="report"><h2>Report</h2>${markdown(job.report)}</section>`}
${tests(job)}
${annotations(job)}`;
}

/** Whose word it waits for, and who has given it. */
function gate({ gate }: Job): Html | null {
  if (gate?.kind !== 'approval') return null;
  const { needed = 1, given = [] } = gate;
  return html`<p class="progress">${given.length} of ${needed} ${needed === 1 ? 'approval' : 'approvals'}${given.length > 0 && html`, by ${given.join(', ')}`}.</p>`;
}

function strange({ trust }: Run): boolean {
  return trust !== null && !trust.trusted;
}

function tests({ tests }: Job): Html | null {
  if (!tests) return null;
  const passed = tests.total - tests.failed - tests.skipped;
  return html`<section><h2>Tests</h2><p>${passed} passed, ${tests.failed} failed, ${tests.skipped} skipped</p>
${tests.failures.length > 0 && html`<ul class="remarks">${tests.failures.map((name) => html`<li class="error"><code>${name}</code></li>`)}</ul>`}</section>`;
}

function annotations(job: Job): Html | null {
  if (job.annotations.length === 0) return null;
  const levels = { failure: 'error', warning: 'warning', notice: 'note' } as const;
  return html`<section><h2>Remarks on lines</h2><ul class="remarks">${job.annotations.map(
    (a) => html`<li class="${levels[a.level]}"><code>${a.path}:${a.startLine}</code> ${a.message}</li>`,
  )}</ul></section>`;
}

/** Steps as they are, or as they are planned as long as none has started. */
export function stepsOf(job: Job): readonly Step[] {
  if (job.steps.length > 0 || job.plan.work.kind !== 'script') return job.steps;
  return job.plan.work.steps.map((step, index) => pendingStep(step.name, index));
}

/** The line that a step's part of the log folds behind. `over`: the job is, so what hasn't ended never will. */
export function stepSummary(step: Step, over: boolean): Html {
  const { look, text } = stepStatus(step, over);
  const time =
    step.startedAt !== null && step.finishedAt !== null ? formatDuration(step.finishedAt - step.startedAt) : '';
  return html`<span class="mark ${look}" aria-hidden="true"></span><span class="name">${step.name}</span>
<span class="note">${text}${time && ` · ${time}`}</span>`;
}

function stepStatus(step: Step, over: boolean): Status {
  switch (step.state) {
    case 'pending':
      return { look: 'still', text: over ? 'not run' : 'not started' };
    case 'running':
      return over ? { look: 'bad', text: 'stopped' } : { look: 'active', text: 'running' };
    case 'completed':
      return step.exitCode ? { look: 'bad', text: `exit code ${step.exitCode}` } : { look: 'good', text: 'done' };
  }
}

/** The log, folded by step. A step that went well is closed once the job is over. */
export function logView(job: Job, steps: readonly Step[], tail: Tail): Html {
  const parts = new Map<Section, { number: number; line: Line }[]>();
  tail.lines.forEach((line, i) => {
    const section = sectionOf(steps, line.start);
    const part = parts.get(section) ?? [];
    parts.set(section, part);
    part.push({ number: tail.firstNumber + i, line });
  });
  const only = steps.length === 0;
  const part = (section: Section, summary: Html, open: boolean) => {
    const lines = parts.get(section) ?? [];
    const empty = lines.length === 0 && typeof section !== 'number';
    return html`<details class="step" data-section="${section}" ${open ? raw('open') : ''} ${empty ? raw('hidden') : ''}>
<summary>${summary}</summary><div class="lines">${raw(lines.map(renderedLine).join(''))}</div></details>`;
  };
  const simple = (text: string) =>
    html`<span class="mark still" aria-hidden="true"></span><span class="name">${text}</span>`;
  const over = job.state === 'completed';
  return html`${part('before', simple(only ? 'Log' : 'Preparation'), only || !over)}
${steps.map((step) => part(step.index, stepSummary(step, over), !over || (step.state !== 'pending' && step.exitCode !== 0)))}
${part('after', simple('Afterwards'), !over)}`;
}

function renderedLine({ number, line }: { number: number; line: Line }): string {
  return `<div class="line" id="L${number}"><a href="#L${number}">${number}</a><span>${line.html}</span></div>`;
}
