import type { Outcome } from '#src/model/outcome.ts';
import type { Attempt, Job, RunView, Step, TestSummary } from '#src/model/run.ts';
import { duration } from '#src/model/duration.ts';
import { type Deployed, factsOf, isDeployment, isReplaced, notDeployed, reportOf, whyReplaced } from './deployed.ts';
import { cancelledText, cut, escapeMarkdown } from './text.ts';
import { waitText } from './waiting.ts';

const maxRows = 100;
const maxNames = 50;

/** The Markdown under a check run's title: what happened first, then what is deployed, tests, steps, and where to read on. */
export function summaryOf(view: RunView, job: Job, detailsUrl: string, deployed: Deployed = notDeployed): string {
  const parts = [
    waitText(view, job),
    opening(job, deployed),
    factsOf(view, job, deployed),
    reportOf(job),
    job.tests ? testsOf(job.tests) : '',
    // The report of a rollout has its steps.
    isDeployment(job.plan.work) && job.report !== '' ? '' : stepsOf(job.steps, job.state === 'completed'),
    waiting(view, job),
    earlierOf(job),
    `[Live log](${detailsUrl})${job.attempt > 1 ? ` · attempt ${job.attempt}` : ''}`,
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function opening(job: Job, deployed: Deployed): string {
  const { outcome } = job;
  if (job.state !== 'completed' || outcome === null) return job.progress ? escapeMarkdown(job.progress) : '';
  const took =
    job.startedAt !== null && job.finishedAt !== null ? ` Took ${duration(job.finishedAt - job.startedAt)}.` : '';
  const retried = repeatsOf(job).map(({ why }) => why);
  const again = outcome.kind === 'success' && retried.length > 0 ? ` Retried: ${asSentence(retried.join('; '))}` : '';
  return `${outcome.kind === 'success' ? successOf(job, deployed) : sentence(outcome)}${took}${again}`;
}

function successOf(job: Job, deployed: Deployed): string {
  const { work } = job.plan;
  if (!isDeployment(work)) return 'Passed.';
  const where = `Deployed to ${escapeMarkdown(work.environment)}.`;
  return isReplaced(job, deployed) ? `${where} ${asSentence(whyReplaced(deployed))}` : where;
}

/** The attempts that this check run showed before, all of which were repeated by themselves: a person's re-run has its own. */
function repeatsOf(job: Job): readonly Attempt[] {
  return job.earlier.slice(job.earlier.findLastIndex(({ by }) => by === 'person') + 1);
}

/** Every attempt before this one: how it ended, and why there was another. */
function earlierOf(job: Job): string {
  if (job.earlier.length === 0) return '';
  const rows = job.earlier.map(({ attempt, outcome, why }) => {
    const end = outcome === null ? 'It was given up without an end.' : sentenceInLine(outcome);
    return `- Attempt ${attempt}: ${end} Then: ${asSentence(why)}`;
  });
  return ['**Earlier attempts:**', '', ...rows].join('\n');
}

const kinds = {
  success: 'passed',
  failure: 'failed',
  timed_out: 'timed out',
  cancelled: 'cancelled',
  skipped: 'skipped',
  neutral: 'neither passed nor failed',
  broken: "Slipway's failure",
} as const;

function sentenceInLine(outcome: Outcome): string {
  return outcome.kind === 'success' ? 'passed.' : `${kinds[outcome.kind]}: ${asSentence(cut(outcome.reason, 300))}`;
}

function sentence(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'success':
      return 'Passed.';
    case 'failure':
      return `**Failed.** ${asLines(outcome.reason)}`;
    case 'timed_out':
      return `**Timed out.** ${asSentence(outcome.reason)}`;
    case 'cancelled':
      return asSentence(cancelledText(outcome.reason)).replace(/^Cancelled\b/, '**Cancelled**');
    case 'skipped':
      return `Skipped: ${asSentence(outcome.reason)}`;
    case 'neutral':
      return asSentence(outcome.reason);
    case 'broken':
      return (
        `**Slipway could not finish this job. Your change is not at fault.** ${asSentence(outcome.reason)}\n\n` +
        'Re-run the job once this is mended; the check counts as not passed until then.'
      );
  }
}

/** Each line on its own: commands among them are copied. */
function asLines(text: string): string {
  const lines = cut(text, 2000).split('\n');
  return lines.length === 1 ? asSentence(text) : lines.map(escapeMarkdown).join('  \n');
}

function asSentence(text: string): string {
  const line = escapeMarkdown(cut(text, 2000));
  return line === '' || /[.!?…]$/.test(line) ? line : `${line}.`;
}

function testsOf(tests: TestSummary): string {
  if (tests.total === 0) return '';
  const skipped = tests.skipped > 0 ? `, ${tests.skipped} skipped` : '';
  const passed = Math.max(0, tests.total - tests.failed - tests.skipped);
  const counts = `**Tests:** ${tests.total} in all, ${tests.failed} failed, ${passed} passed${skipped}.`;
  if (tests.failures.length === 0) return counts;
  const names = tests.failures.slice(0, maxNames).map((name) => `- ❌ ${escapeMarkdown(cut(name, 300))}`);
  const rest = tests.failed - names.length;
  return [counts, '', ...names, ...(rest > 0 ? [`- … and ${rest} more`] : [])].join('\n');
}

function stepsOf(steps: readonly Step[], over: boolean): string {
  if (steps.length === 0) return '';
  const rows = steps.slice(0, maxRows).map((step) => `| ${mark(step, over)} | ${nameOf(step)} | ${timeOf(step)} |`);
  const rest = steps.length - rows.length;
  const more = rest > 0 ? [`| | … and ${rest} more | |`] : [];
  return ['| | Step | Time |', '|---|---|---:|', ...rows, ...more].join('\n');
}

/** `over`: the job is, so what hasn't ended never will. */
function mark(step: Step, over: boolean): string {
  if (step.state === 'pending') return '⚪';
  if (step.state === 'running') return over ? '❌' : '🟡';
  return step.exitCode === 0 ? '✅' : '❌';
}

function nameOf(step: Step): string {
  const code = step.exitCode ? ` (exit code ${step.exitCode})` : '';
  return `${escapeMarkdown(cut(step.name, 200))}${code}`;
}

function timeOf(step: Step): string {
  return step.startedAt !== null && step.finishedAt !== null ? duration(step.finishedAt - step.startedAt) : '';
}

function waiting(view: RunView, job: Job): string {
  if (job.gate !== null || (job.state !== 'waiting' && job.state !== 'queued')) return '';
  const commit = view.run.trigger.sha.slice(0, 7);
  const needs = job.plan.needs.map((key) => escapeMarkdown(key)).join(', ');
  return needs === '' ? `Runs for commit ${commit}.` : `Runs for commit ${commit} after ${needs}.`;
}
