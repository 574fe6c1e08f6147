import type { Job } from '#src/model/run.ts';

/**
 * The attempts with which a job began to be shown anew, oldest first: the first one, and each that a person asked for. What
 * Slipway repeats by itself is shown where it was: GitHub takes a completed check run for the last word.
 */
export function generations(job: Job): readonly number[] {
  return [1, ...job.earlier.filter(({ by }) => by === 'person').map(({ attempt }) => attempt + 1)];
}
