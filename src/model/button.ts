import type { Job } from './run.ts';

/** A button on a check run. GitHub allows 20 characters for label and identifier, 40 for the description. */
export interface Button {
  readonly identifier: ButtonIdentifier;
  readonly label: string;
  readonly description: string;
}

export type ButtonIdentifier = 'retry-failed';

/** The buttons that a completed job's check run shows: at most 3. */
export function buttonsOf(job: Job): readonly Button[] {
  const kind = job.outcome?.kind;
  if (kind === 'failure' || kind === 'timed_out' || kind === 'broken' || kind === 'cancelled') {
    return [
      { identifier: 'retry-failed', label: 'Retry failed jobs', description: 'Runs all failed jobs of this run again' },
    ];
  }
  return [];
}
