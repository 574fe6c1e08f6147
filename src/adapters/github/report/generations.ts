import type { Job } from '#src/model/run.ts';

/**
 * The attempts with which a job began to be shown anew, oldest first: the first one, and each that a person asked for. What
 * Slipway repeats by itself is shown where it was: GitHub takes a completed check run for the last word.
 */
export function generations(job: Job): readonly number[] {
  return [1, ...job.earlier.filter(({ by }) => by === 'person').map(({ attempt }) => attempt + 1)];
}

/**
 * The job as it stood at the end of an attempt after which a person asked for it again, as far as that is known; null if
 * it never came to an end. `first`: the attempt with which it began to be shown.
 */
export function ended(job: Job, first: number, last: number): Job | null {
  const end = job.earlier.find(({ attempt }) => attempt === last);
  if (!end || end.outcome === null) return null;
  return {
    ...job,
    state: 'completed',
    attempt: last,
    outcome: end.outcome,
    startedAt: end.startedAt,
    finishedAt: end.finishedAt,
    earlier: job.earlier.filter(({ attempt }) => attempt < last && attempt >= first),
    steps: [],
    annotations: [],
    tests: null,
    progress: null,
    note: null,
    gate: null,
    report: '',
    cancel: null,
  };
}
