import { when } from '#src/model/deploy/words.ts';
import { codeIn, markdownTable } from '#src/model/markdown.ts';
import type { Job, Run } from '#src/model/run.ts';
import { type Deployed, linkTo } from './deployed.ts';
import type { DeploymentReport, DeploymentStatus } from './deployment.ts';
import { cut, escapeMarkdown } from './text.ts';

/** The one comment on a pull request that says what was deployed from it, and where. Pure. */

/** One deployment; kept between changes, since no single run knows them all. */
export interface DeployRow {
  /** Ids of runs are sortable by time. */
  readonly run: string;
  readonly job: string;
  readonly environment: string;
  readonly url: string | null;
  readonly state: DeploymentStatus['state'];
  readonly sha: string;
  /** Digests, shortened. */
  readonly digests: readonly string[];
  readonly by: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly details: string;
}

const maxDigests = 3;
const maxEnvironments = 50;

export function rowOf(run: Run, job: Job, report: DeploymentReport, deployed: Deployed, details: string): DeployRow {
  const images = Object.values(deployed.images).flatMap((image) => /@sha256:([0-9a-f]{12})/.exec(image)?.[1] ?? []);
  return {
    run: run.id,
    job: job.id,
    environment: report.environment,
    url: report.status.environmentUrl,
    state: report.status.state,
    sha: run.trigger.sha,
    digests: [...new Set(images)],
    by: run.trigger.actor,
    at: job.finishedAt ?? job.startedAt ?? job.queuedAt ?? run.createdAt,
    details,
  };
}

/**
 * What is shown once `news` is known: of each environment the newest deployment and, if that isn't it, the one that is
 * there. Whatever order they come in, the same is left.
 */
export function mergeRows(known: readonly DeployRow[], news: readonly DeployRow[]): readonly DeployRow[] {
  const jobs = new Set(news.map(({ job }) => job));
  const newest = [...known.filter(({ job }) => !jobs.has(job)), ...news].toSorted(
    (a, b) => compare(b.run, a.run) || compare(a.job, b.job),
  );
  const shown = newest.filter((row) => {
    const same = newest.filter((it) => it.environment === row.environment);
    return row === same[0] || row === same.find(({ state }) => state === 'success');
  });
  const kept = new Set([...new Set(shown.map(({ environment }) => environment))].slice(0, maxEnvironments));
  return shown
    .filter(({ environment }) => kept.has(environment))
    .toSorted((a, b) => compare(a.environment, b.environment) || compare(b.run, a.run));
}

/** The comment's Markdown. `mark`: what finds it again, which nobody sees. */
export function deployComment(rows: readonly DeployRow[], mark: string): string {
  const table = markdownTable(
    ['Environment', 'State', 'Commit', 'Image', 'By', 'When', ''],
    rows.map((row) => [
      linkTo(row.environment, row.url),
      states[row.state],
      codeIn(row.sha.slice(0, 7)),
      digestsOf(row),
      escapeMarkdown(cut(row.by, 100)),
      when(row.at),
      `[Log](${row.details})`,
    ]),
  );
  return `**Deployed from this pull request**\n\n${table}\n\n${mark}`;
}

const states: Readonly<Record<DeploymentStatus['state'], string>> = {
  pending: '⏸️ Waits',
  queued: '⚪ Queued',
  in_progress: '🟡 Under way',
  success: '✅ Deployed',
  failure: '❌ Failed',
  error: '❌ Ended',
  inactive: '⚫ Not there any more',
};

function digestsOf({ digests }: DeployRow): string {
  const more = digests.length > maxDigests ? ` and ${digests.length - maxDigests} more` : '';
  return `${digests
    .slice(0, maxDigests)
    .map((digest) => codeIn(digest))
    .join(' ')}${more}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
