import type { Annotation } from '#src/model/annotation.ts';
import { type Button, buttonsOf } from '#src/model/button.ts';
import { duration } from '#src/model/duration.ts';
import { harmless } from '#src/model/harmless.ts';
import { quietMentions } from '#src/model/markdown.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Job, RunView } from '#src/model/run.ts';
import { type Deployed, isDeployment, isReplaced, notDeployed, whyReplaced } from './deployed.ts';
import { summaryOf } from './summary.ts';
import { waitsForApproval, waitTitle } from './waiting.ts';
import { cancelledText, cut, cutBytes, fenced, maxBytes, plainLog, titleOf } from './text.ts';

/** A check run as GitHub should show it. Pure data: the same run gives the same check run. */
export interface CheckRun {
  readonly name: string;
  readonly externalId: string;
  readonly detailsUrl: string;
  readonly status: 'queued' | 'in_progress' | 'completed';
  readonly conclusion: Conclusion | null;
  /** ISO 8601, as GitHub wants it. */
  readonly startedAt: string | null;
  readonly completedAt: string | null;
  readonly title: string;
  readonly summary: string;
  readonly text: string | null;
  readonly annotations: readonly CheckAnnotation[];
  /** At most 3. */
  readonly actions: readonly Button[];
}

export type Conclusion = 'success' | 'failure' | 'timed_out' | 'cancelled' | 'skipped' | 'neutral' | 'action_required';

export interface CheckAnnotation {
  readonly path: string;
  readonly start_line: number;
  readonly end_line: number;
  readonly start_column?: number;
  readonly end_column?: number;
  readonly annotation_level: Annotation['level'];
  readonly title?: string;
  readonly message: string;
}

/** More would take GitHub minutes and people hours; the summary says how many were left out. */
const maxAnnotations = 1000;

/**
 * The check run of one job. `excerpt` is the part of its log that matters, '' if there is none; `refused`: Markdown on the last
 * press on one of its buttons that was refused.
 */
export function checkRunOf(
  view: RunView,
  job: Job,
  extras: {
    readonly detailsUrl: string;
    readonly excerpt: string;
    readonly deployed?: Deployed;
    readonly refused?: string | null;
  },
): CheckRun {
  const completed = job.state === 'completed' && job.outcome !== null;
  const deployed = extras.deployed ?? notDeployed;
  return {
    name: harmless(job.plan.key),
    externalId: job.id,
    detailsUrl: extras.detailsUrl,
    ...standing(view, job),
    startedAt: iso(job.startedAt),
    title: titleOf(headline(view, job, deployed)),
    summary: cutBytes(`${refusal(extras.refused)}${summaryOf(view, job, extras.detailsUrl, deployed)}`, maxBytes),
    text: textOf(job, extras),
    annotations: completed ? checkAnnotations(job.annotations) : [],
    // What isn't there any more is neither rolled back nor promoted.
    actions: isReplaced(job, deployed) ? [] : buttonsOf({ ...job, cancel: job.cancel ?? view.run.cancel }),
  };
}

/** Before everything else: who pressed looks for what came of it. */
function refusal(refused: string | null = null): string {
  return refused === null ? '' : `⚠️ ${quietMentions(cut(refused, 2000).toWellFormed())}\n\n`;
}

function standing(view: RunView, job: Job): Pick<CheckRun, 'status' | 'conclusion' | 'completedAt'> {
  if (job.state === 'completed' && job.outcome !== null) {
    const conclusion = conclusionOf(job.outcome, job.plan.continueOnError);
    return { status: 'completed', conclusion, completedAt: iso(job.finishedAt) };
  }
  if (waitsForApproval(view, job)) {
    const since = iso(job.startedAt ?? job.queuedAt ?? view.run.createdAt);
    return { status: 'completed', conclusion: 'action_required', completedAt: since };
  }
  return { status: job.state === 'running' ? 'in_progress' : 'queued', conclusion: null, completedAt: null };
}

/**
 * A platform failure is `cancelled`: it holds back a required check (as success, skipped and neutral would not) and
 * isn't the red of the user's own failure. A failure that the pipeline allows is `neutral`.
 */
export function conclusionOf(outcome: Outcome, allowed: boolean): Conclusion {
  switch (outcome.kind) {
    case 'broken':
      return 'cancelled';
    case 'failure':
    case 'timed_out':
      return allowed ? 'neutral' : outcome.kind;
    default:
      return outcome.kind;
  }
}

/** What happened, in one line. */
function headline(view: RunView, job: Job, deployed: Deployed): string {
  if (job.state === 'completed' && job.outcome) {
    return isReplaced(job, deployed) ? replaced(job, deployed) : ending(job, job.outcome);
  }
  const cancel = job.cancel ?? view.run.cancel;
  if (cancel !== null) return `Cancelling: ${cancel.reason}`;
  const { work } = job.plan;
  if (job.gate !== null && (job.state !== 'running' || job.gate.kind === 'approval')) {
    return waitTitle(job.gate, noteOf(view, job));
  }
  if (job.state === 'running') {
    if (isDeployment(work)) return job.progress ?? `Deploying to ${work.environment}`;
    if (work.kind === 'plan') return 'Looking at what would change';
    const step = job.steps.find((it) => it.state === 'running');
    return step ? `Step ${step.index + 1} of ${job.steps.length}: ${step.name}` : (job.progress ?? 'Starting');
  }
  const note = noteOf(view, job);
  if (note !== null) return `Queued: ${note.replace(/^\p{Lu}(?=\p{Ll}*\b)/u, (first) => first.toLowerCase())}`;
  if (job.state === 'queued') return 'Queued';
  const open = new Set(view.jobs.filter((it) => it.state !== 'completed').map((it) => it.plan.key));
  const needs = job.plan.needs.filter((key) => open.has(key));
  return needs.length > 0 ? `Waiting for ${needs.join(', ')}` : 'Waiting';
}

/** What a job waits for beside its needs, or null. A run that waits as a whole speaks for its jobs. */
function noteOf(view: RunView, job: Job): string | null {
  return job.note ?? (job.state === 'waiting' ? view.run.note : null);
}

function ending(job: Job, outcome: Outcome): string {
  const time =
    job.startedAt !== null && job.finishedAt !== null ? ` in ${duration(job.finishedAt - job.startedAt)}` : '';
  const tests = job.tests;
  switch (outcome.kind) {
    case 'success':
      if (isDeployment(job.plan.work)) return `Deployed to ${job.plan.work.environment}${time}`;
      return tests && tests.total > 0
        ? `${tests.total} ${tests.total === 1 ? 'test' : 'tests'} passed${time}`
        : `Passed${time}`;
    case 'failure': {
      const what =
        tests && tests.failed > 0 ? `${tests.failed} of ${tests.total} tests failed` : firstLine(outcome.reason);
      return job.plan.continueOnError ? `Failed, which is allowed: ${what}` : what;
    }
    case 'timed_out':
      return job.plan.continueOnError
        ? `Timed out, which is allowed: ${outcome.reason}`
        : `Timed out: ${outcome.reason}`;
    case 'cancelled':
      return cancelledText(outcome.reason);
    case 'skipped':
      return `Skipped: ${outcome.reason}`;
    case 'neutral':
      return outcome.reason;
    case 'broken':
      return `Slipway failed, not your change: ${outcome.reason}`;
  }
}

/** It was there, and isn't any more. */
function replaced({ plan: { work } }: Job, deployed: Deployed): string {
  return `Was deployed${isDeployment(work) ? ` to ${work.environment}` : ''}. ${whyReplaced(deployed)}`;
}

/** The summary has the rest: commands, say. */
function firstLine(reason: string): string {
  return reason.split('\n', 1)[0] || reason;
}

function textOf(job: Job, extras: { readonly excerpt: string; readonly detailsUrl: string }): string | null {
  // What fails stands first in the excerpt; of a running log the end counts.
  const keep = job.state === 'completed' ? 'start' : 'end';
  const enough = 4 * maxBytes;
  const log = plainLog(keep === 'start' ? extras.excerpt.slice(0, enough) : extras.excerpt.slice(-enough)).trimEnd();
  if (log === '') return null;
  const note = `\n\n[The whole log](${extras.detailsUrl})`;
  return fenced(log, maxBytes - Buffer.byteLength(note), keep) + note;
}

/** In the form and within the limits that GitHub takes; remarks that have no place in the repository are left out. */
export function checkAnnotations(annotations: readonly Annotation[]): CheckAnnotation[] {
  return annotations.filter(isPlaced).slice(0, maxAnnotations).map(checkAnnotation);
}

function isPlaced({ path, startLine, message }: Annotation): boolean {
  if (harmless(path) !== path) return false;
  return path !== '' && !path.startsWith('/') && !path.split('/').includes('..') && startLine >= 1 && message !== '';
}

function checkAnnotation(a: Annotation): CheckAnnotation {
  const endLine = Math.max(a.startLine, a.endLine);
  const single = endLine === a.startLine && a.startColumn !== undefined && a.startColumn >= 1;
  return {
    path: a.path,
    start_line: a.startLine,
    end_line: endLine,
    ...(single && a.startColumn
      ? { start_column: a.startColumn, end_column: Math.max(a.startColumn, a.endColumn ?? a.startColumn) }
      : {}),
    annotation_level: a.level,
    ...(a.title ? { title: cut(harmless(a.title), 255) } : {}),
    message: cutBytes(harmless(a.message), 64 * 1024),
  };
}

export function iso(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}
