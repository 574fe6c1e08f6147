import { duration } from '#src/model/duration.ts';
import { harmless, terminalLine } from '#src/model/harmless.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Job, RunView } from '#src/model/run.ts';

/** The sign that stands before a job's name, by its state. */
function mark(job: Job): string {
  if (job.state !== 'completed') return { waiting: '·', queued: '·', running: '▸' }[job.state];
  return outcomeMark(job.outcome);
}

function outcomeMark(outcome: Outcome | null): string {
  switch (outcome?.kind) {
    case 'success':
      return '✔';
    case 'skipped':
    case 'neutral':
      return '○';
    case 'broken':
      return '!';
    default:
      return '✘';
  }
}

/** One line on how a job stands, without colours. */
export function jobLine(job: Job, now: number): string {
  const took = job.startedAt === null ? '' : ` (${duration((job.finishedAt ?? now) - job.startedAt)})`;
  const step = job.state === 'running' ? job.steps.find((s) => s.state === 'running') : undefined;
  const about =
    job.outcome && job.outcome.kind !== 'success' ? `: ${job.outcome.reason}` : step ? `: ${step.name}` : '';
  const failed = job.outcome?.kind === 'failure' || job.outcome?.kind === 'timed_out';
  const allowed = failed && job.plan.continueOnError ? ' It may fail (continue-on-error).' : '';
  return harmless(`${mark(job)} ${job.plan.key}${took}${about}${allowed}`);
}

/** What is said at the end: a line a job, and how it came out. */
export function summary(view: RunView, now: number): readonly string[] {
  const { run } = view;
  const lines = view.jobs.map((job) => `  ${jobLine(job, now)}`);
  const took = duration((run.finishedAt ?? now) - run.createdAt);
  const outcome = run.outcome;
  if (outcome === null || outcome.kind === 'success') return [...lines, `Passed in ${took}.`];
  // Nothing ran: there is only the reason, which may have several lines.
  if (view.jobs.length === 0) return outcome.reason.split('\n').map(harmless);
  return [...lines, harmless(`${outcome.kind.replace('_', ' ')}: ${outcome.reason} (${took})`)];
}

/** The exit code that tells the result: 0 passed, 1 the user's failure or nothing to run, 2 the platform's. */
export function exitCode({ run, jobs }: RunView): number {
  switch (run.outcome?.kind) {
    case 'success':
    case 'skipped':
      return 0;
    case 'neutral':
      return jobs.length > 0 ? 0 : 1;
    case 'broken':
      return 2;
    default:
      return 1;
  }
}

/** Splits chunks of bytes into whole lines, made fit for a terminal; `rest` is what has no line end yet. */
export function lineSplitter(): { push(bytes: Buffer): readonly string[]; rest(): string } {
  const decoder = new TextDecoder();
  let pending = '';
  return {
    push(bytes) {
      const parts = (pending + decoder.decode(bytes, { stream: true })).split('\n');
      pending = parts.pop() ?? '';
      return parts.map(terminalLine);
    },
    rest() {
      return terminalLine(pending + decoder.decode());
    },
  };
}
