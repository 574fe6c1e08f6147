import { when } from '#src/model/deploy/words.ts';
import { codeIn, markdownTable, quietMentions } from '#src/model/markdown.ts';
import type { Approval, DeploymentRecord } from '#src/engine/store-deployments.ts';
import type { Trigger } from '#src/model/event.ts';
import type { DeployWork, PreviewWork, Work } from '#src/model/plan.ts';
import type { Job, RunView } from '#src/model/run.ts';
import { cut, cutBytes, escapeMarkdown } from './text.ts';

/** What is known of a deployment beside its job. */
export interface Deployed {
  /** Null as long as it hasn't begun. */
  readonly record: DeploymentRecord | null;
  /** The images that it rolls out, as far as they are known: by workload and container, or by image job. */
  readonly images: Readonly<Record<string, string>>;
  /** What runs there as long as it hasn't begun, as the last healthy deployment left it: by the same keys. */
  readonly now?: Readonly<Record<string, string>>;
  /** What people decided on it in this attempt, oldest first. */
  readonly approvals: readonly Approval[];
}

export const notDeployed: Deployed = { record: null, images: {}, approvals: [] };

/** True for jobs that GitHub shows as deployments, too. */
export function isDeployment(work: Work): work is DeployWork | PreviewWork {
  return work.kind === 'deploy' || work.kind === 'preview';
}

/** Address of the environment, or null: only what a browser may safely follow. */
export function addressOf(work: DeployWork | PreviewWork, { record }: Deployed): string | null {
  const url = record?.details.url ?? work.url;
  return url !== null && /^https?:\/\//i.test(url) && URL.canParse(url) ? url : null;
}

/** True if the job's deployment succeeded, and something else has taken its place. */
export function isReplaced(job: Job, { record }: Deployed): boolean {
  return job.outcome?.kind === 'success' && record?.state === 'inactive';
}

/** Why it isn't there any more, a sentence without its end. */
export function whyReplaced({ record }: Deployed): string {
  if (record?.details.preview?.removedAt !== undefined) return record.description || 'It was removed';
  return record?.details.rolledBack ? 'It was rolled back' : 'Another deployment has taken its place';
}

const maxRows = 50;
const maxReport = 40_000;

/** Markdown on what is deployed: by whom, from which commit, which images, when. '' for other jobs. */
export function factsOf(view: RunView, job: Job, deployed: Deployed): string {
  const { work } = job.plan;
  if (!isDeployment(work)) return '';
  const { trigger } = view.run;
  const facts = [
    ['Environment', linkTo(work.environment, addressOf(work, deployed))],
    ['Commit', `${codeIn(trigger.sha.slice(0, 7))} ${escapeMarkdown(cut(trigger.title, 200))}`],
    [asked(trigger), `${escapeMarkdown(trigger.actor)}${via(trigger)}`],
    ...mode(work),
    ...decisions(deployed),
    ['Times', times(view, job)],
  ];
  const table = markdownTable(['', ''], facts);
  return [table, job.report === '' ? imagesOf(job, deployed) : ''].filter((part) => part !== '').join('\n\n');
}

/** Job.report, whose words the engine has made harmless, as it may stand among others: what is cut can't swallow what follows. */
export function reportOf(job: Job): string {
  const report = quietMentions(job.report.toWellFormed()).trim();
  if (Buffer.byteLength(report) <= maxReport) return report;
  const whole = cutBytes(report, maxReport).replace(/\n[^\n]*$/, '');
  const fence = openFence(whole);
  return `${whole}${fence === '' ? '' : `\n${fence}`}\n\n… The rest is on the job's page.`;
}

/** The fence of a code block that isn't closed, or ''. */
function openFence(text: string): string {
  let open = '';
  for (const line of text.split('\n')) {
    const fence = /^ {0,3}(`{3,})/.exec(line)?.[1] ?? '';
    if (open === '') open = fence;
    else if (fence.length >= open.length && line.trim() === fence) open = '';
  }
  return open;
}

/** A link in Markdown, also within a table; the text alone if there is no address. */
export function linkTo(text: string, url: string | null): string {
  const name = escapeMarkdown(cut(text, 200));
  if (url === null) return name;
  const safe = url.replaceAll(/[()<>|\\`\s]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return `[${name}](${safe})`;
}

function asked({ kind }: Trigger): string {
  return kind === 'deploy' ? 'Asked for by' : 'Caused by';
}

const vias = {
  command: ', by a command',
  button: ', by a button',
  release: ', by a release',
  api: ', on the page or the command line',
} as const;

function via(trigger: Trigger): string {
  return trigger.kind === 'deploy' ? vias[trigger.via ?? 'command'] : '';
}

function mode(work: DeployWork | PreviewWork): readonly (readonly [string, string])[] {
  if (work.kind === 'preview' || work.mode === undefined || work.mode === 'deploy') return [];
  if (work.mode === 'rollback') return [['Kind', 'Rollback: what ran before is restored, without order and steps']];
  return work.mode === 'promote' ? [['Kind', 'Promotion: the same images']] : [];
}

/** Who let it go on; who refused it says so in its end. */
function decisions({ approvals }: Deployed): readonly (readonly [string, string])[] {
  const given = approvals.filter(({ decision }) => decision === 'approve').slice(0, maxRows);
  if (given.length === 0) return [];
  const names = given.map(({ login, gate }) => escapeMarkdown(gate === 'start' ? login : `${login} (${gate})`));
  return [['Approved by', names.join(', ')]];
}

function times({ run }: RunView, { queuedAt, startedAt, finishedAt }: Job): string {
  const parts = [
    `planned ${when(run.startedAt ?? run.createdAt)}`,
    queuedAt === null ? '' : `queued ${when(queuedAt)}`,
    startedAt === null ? '' : `began ${when(startedAt)}`,
    finishedAt === null ? '' : `ended ${when(finishedAt)}`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function imagesOf(job: Job, deployed: Deployed): string {
  const changes = deployed.record?.changes ?? [];
  if (changes.length === 0) return wishesOf(job, deployed);
  const rows = changes.map(({ workload, container, before, after, said }) => [
    escapeMarkdown(container === undefined ? workload : `${workload} (${container})`),
    codeIn(before === null ? '' : shortImage(before)),
    codeIn(shortImage(after)),
    escapeMarkdown(cut(said ?? '', 300)),
  ]);
  return changes.some(({ said }) => said)
    ? tableOf(['Workload', 'Before', 'After', 'What was seen'], rows)
    : tableOf(
        ['Workload', 'Before', 'After'],
        rows.map((row) => row.slice(0, 3)),
      );
}

/** Nothing was changed yet, or ever: what would have been mustn't read as what is. */
function wishesOf(job: Job, { record, images, now = {} }: Deployed): string {
  const wishes = Object.entries(images);
  if (job.state === 'completed' && job.outcome?.kind !== 'success') {
    return tableOf(
      ['Workload', 'Would have got'],
      wishes.map(([what, image]) => [escapeMarkdown(what), codeIn(shortImage(image))]),
    );
  }
  const rows = wishes.map(([what, image]) => [
    escapeMarkdown(what),
    codeIn(shortImage((Object.hasOwn(now, what) ? now[what] : undefined) ?? '')),
    codeIn(shortImage(image)),
  ]);
  return tableOf(record === null ? ['Workload', 'Now', 'Would get'] : ['Workload', 'Before', 'Gets'], rows);
}

function tableOf(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const blank = headings.slice(1).map(() => '');
  const more = rows.length > maxRows ? [[`… and ${rows.length - maxRows} more`, ...blank]] : [];
  return markdownTable(headings, [...rows.slice(0, maxRows), ...more]);
}

/** `ghcr.io/acme/shop@sha256:0123456789ab`: enough of a digest to tell it from others. */
function shortImage(image: string): string {
  return cut(image.replace(/(@sha256:[0-9a-f]{12})[0-9a-f]+$/, '$1'), 200);
}
