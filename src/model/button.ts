import type { Job, Run } from './run.ts';
import { isHeld } from './trust.ts';

/** A button on a check run. GitHub allows 20 characters for label and identifier, 40 for the description. */
export interface Button {
  readonly identifier: ButtonIdentifier;
  readonly label: string;
  readonly description: string;
}

const identifiers = ['retry-failed', 'cancel', 'approve'] as const;
export type ButtonIdentifier = (typeof identifiers)[number];

export function isButton(identifier: string): identifier is ButtonIdentifier {
  return (identifiers as readonly string[]).includes(identifier);
}

/** The buttons that a job's check run shows, GitHub takes 3: to end what isn't completed, to repeat what failed. */
export function buttonsOf(job: Job): readonly Button[] {
  if (job.state !== 'completed') {
    if (job.cancel !== null || job.plan.skip !== null) return [];
    return [{ identifier: 'cancel', label: 'Cancel run', description: 'Cancels all unfinished jobs of this run' }];
  }
  const kind = job.outcome?.kind;
  if (kind === 'failure' || kind === 'timed_out' || kind === 'broken' || kind === 'cancelled') {
    return [
      { identifier: 'retry-failed', label: 'Retry failed jobs', description: 'Runs all failed jobs of this run again' },
    ];
  }
  return [];
}

/** The buttons of the check run that speaks for a whole run: a maintainer lets a stranger's commit go on. */
export function runButtons(run: Run): readonly Button[] {
  if (!isHeld(run) || run.cancel !== null) return [];
  return [{ identifier: 'approve', label: 'Approve run', description: 'Runs this very commit without secrets' }];
}
