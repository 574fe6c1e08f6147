import { when } from '#src/model/deploy/words.ts';
import { imagesBrought, shortImage } from '#src/model/image-short.ts';
import { codeIn, escapeMarkdown, markdownTable } from '#src/model/markdown.ts';
import type { Repository } from '#src/model/repository.ts';
import { fullName } from '#src/model/repository.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import type { EnvironmentStatus } from './where.ts';

/** For `/where`: a table in Markdown, and what is the matter where something is. */
export function whereText(repository: Repository, statuses: readonly EnvironmentStatus[]): string {
  if (statuses.length === 0) {
    return `${escapeMarkdown(fullName(repository))} has no environments: its default branch's pipeline file names none, and nothing was deployed.`;
  }
  const head = ['Environment', 'Image', 'Tag', 'Commit', 'By', 'Since (UTC)', 'Health', 'Lock', 'Queue'];
  const rows = statuses.map((status) => {
    const { current, lock } = status;
    return [
      `**${escapeMarkdown(status.environment)}**`,
      current === null ? '–' : imagesCell(current),
      codeIn(current?.details.tag ?? ''),
      current === null ? 'nothing yet' : commitLink(repository, current.sha),
      current === null ? '–' : escapeMarkdown(current.actor),
      current === null ? '–' : when(current.details.healthyAt ?? current.updatedAt).replace(' UTC', ''),
      current === null ? '–' : status.health.kind,
      lock === null ? '–' : `by ${escapeMarkdown(lock.owner)}${lock.environment === '' ? ' (whole repository)' : ''}`,
      queueCell(status),
    ];
  });
  const notes = statuses.flatMap(({ environment, current, health, lock }) => [
    ...(current !== null && health.kind !== 'healthy'
      ? [`- **${escapeMarkdown(environment)}** is ${health.kind}: ${escapeMarkdown(health.message)}.`]
      : []),
    ...(lock !== null && lock.reason !== '' && lock.environment !== ''
      ? [
          `- **${escapeMarkdown(environment)}** is locked by ${escapeMarkdown(lock.owner)}: ${escapeMarkdown(lock.reason)}`,
        ]
      : []),
  ]);
  const all = statuses.find(({ lock }) => lock?.environment === '')?.lock;
  if (all && all.reason !== '') {
    notes.unshift(
      `- **The whole repository** is locked by ${escapeMarkdown(all.owner)}: ${escapeMarkdown(all.reason)}`,
    );
  }
  return [markdownTable(head, rows), ...(notes.length > 0 ? [notes.join('\n')] : [])].join('\n\n');
}

function queueCell({ running, queue }: EnvironmentStatus): string {
  const parts = [
    ...(running
      ? [`now ${codeIn(running.run.trigger.sha.slice(0, 7))} (${escapeMarkdown(running.run.trigger.actor)})`]
      : []),
    ...queue.map(({ run, position, job }) => {
      const place =
        position === null ? (job.gate?.kind === 'approval' ? 'waits for approval:' : 'waits:') : `${position}.`;
      return `${place} ${codeIn(run.trigger.sha.slice(0, 7))} (${escapeMarkdown(run.trigger.actor)})`;
    }),
  ];
  const shown = parts.slice(0, 5);
  const more = parts.length - shown.length;
  return shown.length === 0 ? '–' : `${shown.join('<br>')}${more > 0 ? `<br>and ${more} more` : ''}`;
}

/** The commit's page, where the repository has pages. */
export function commitLink(repository: Repository, sha: string): string {
  const short = codeIn(sha.slice(0, 7));
  if (!/^https?:\/\//.test(repository.cloneUrl)) return short;
  return `[${short}](${repository.cloneUrl.replace(/\.git$/, '')}/commit/${encodeURIComponent(sha)})`;
}

function imagesCell(current: DeploymentRecord): string {
  const images = new Set(imagesBrought(current).map(shortImage));
  return [...images].map((image) => codeIn(image)).join('<br>') || '–';
}
