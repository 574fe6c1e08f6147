import type { Outcome } from './outcome.ts';
import type { Attempt, Job } from './run.ts';

/** How a job runs again by itself: what is kept with the attempt that ended, what is shown meanwhile, and when. */
export interface Retry {
  readonly by: 'retry' | 'platform';
  /** As Attempt.why: `retry 1 of 2`, `the Docker engine restarted`. */
  readonly why: string;
  /** A sentence: what is shown until it runs. */
  readonly note: string;
  /** 0: at once. */
  readonly delayMs: number;
}

/** The pauses before a job is tried again after the platform failed: it gets time to come back. */
const pausesMs = [5_000, 30_000, 120_000];
const onceMs = 1_000;

/**
 * Whether a job that ended this way runs again by itself, or null. `job` is as it was when it ended. Its own failure is
 * repeated as often as the pipeline file says (`retry`), the platform's a few times; a person who restarts it begins
 * both counts anew. A deployment is never repeated by itself.
 */
export function retryOf(job: Job, outcome: Outcome): Retry | null {
  if (job.plan.work.kind === 'deploy') return null;
  const before = sincePerson(job.earlier);
  if (outcome.kind === 'failure' || outcome.kind === 'timed_out') {
    const number = count(before, 'retry') + 1;
    if (number > job.plan.retries) return null;
    const why = `retry ${number} of ${job.plan.retries}`;
    const ended = outcome.kind === 'failure' ? 'failed' : 'took too long';
    return { by: 'retry', why, note: `Runs again, because it ${ended}: ${why}.`, delayMs: 0 };
  }
  if (outcome.kind !== 'broken' || outcome.retry === 'never') return null;
  const pauses = outcome.retry === 'once' ? [onceMs] : pausesMs;
  const delayMs = pauses[count(before, 'platform')];
  if (delayMs === undefined) return null;
  const why = phrase(outcome.reason);
  return { by: 'platform', why, note: `Runs again after ${delayMs / 1000} s: ${why}.`, delayMs };
}

/**
 * The outcome as it is stored when the job isn't tried again: of a platform's failure that came back, people are told
 * how often it was tried.
 */
export function withTries(job: Job, outcome: Outcome): Outcome {
  const tries = count(sincePerson(job.earlier), 'platform') + 1;
  if (outcome.kind !== 'broken' || tries === 1) return outcome;
  return { ...outcome, reason: `${outcome.reason} It was tried ${tries} times.` };
}

function sincePerson(earlier: readonly Attempt[]): readonly Attempt[] {
  return earlier.slice(earlier.findLastIndex((attempt) => attempt.by === 'person') + 1);
}

function count(attempts: readonly Attempt[], by: Attempt['by']): number {
  return attempts.filter((attempt) => attempt.by === by).length;
}

const maxPhrase = 100;

/** What a reason says first, without advice and details: `the Docker engine restarted`. */
function phrase(reason: string): string {
  const plain = reason.replaceAll(/ \([^()]*\)/g, '').trim();
  const [sentence = ''] = plain.split(/[.!?](?=\s|$)|: |\n|;|, (?:and|but|so) | while /, 1);
  const text = sentence
    .replace(/^(The|A|An|This|No|Somebody|Nobody|Can't|It|Its)\b/, (word) => word.toLowerCase())
    .trim();
  if (text === '') return 'the platform failed';
  return text.length > maxPhrase ? `${text.slice(0, maxPhrase - 1).trimEnd()}…` : text;
}
