import type { ConcurrencySpec, JobSpec } from '#src/model/pipeline.ts';
import type { Path } from '../yaml.ts';
import { checkTemplate, type Scope } from './expressions.ts';
import { type Report, show } from './report.ts';
import type { RawConcurrency } from './schema.ts';

/** A `concurrency` of the file or of a job; `contexts` are those that its group may read. */
export function compileConcurrency(
  report: Report,
  path: Path,
  raw: RawConcurrency | undefined,
  contexts: readonly string[],
  scope: Scope | null,
): ConcurrencySpec | null {
  if (raw === undefined) return null;
  const { group, ...rest } = typeof raw === 'string' ? { group: raw } : raw;
  checkTemplate(report, typeof raw === 'string' ? path : [...path, 'group'], group, contexts, scope);
  const { 'cancel-in-progress': cancelInProgress = false, queue = 'single' } = rest;
  if (cancelInProgress && queue === 'max') {
    report.error(
      'queue-and-cancel',
      report.yaml.at([...path, 'queue']),
      `${show(path)} has "queue: max" and "cancel-in-progress: true": either all wait for each other, or a newer one ends the older.`,
      'Remove one of them.',
    );
  }
  return { group, cancelInProgress, queue };
}

/** A job in its own run's group would wait for the run, and the run for the job. */
export function checkOwnGroups(report: Report, own: ConcurrencySpec | null, jobs: readonly JobSpec[]): void {
  for (const { id, concurrency } of jobs) {
    if (own === null || concurrency?.group.toLowerCase() !== own.group.toLowerCase()) continue;
    const path = ['jobs', id, 'concurrency'];
    report.error(
      'own-group',
      report.yaml.atKey(path),
      `${show(path)} is the group of the whole run, so the job would wait for its own run.`,
      'Remove it, or choose another group.',
    );
  }
}
