import { codeIn, escapeMarkdown, markdownTable } from '#src/model/markdown.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';

/** What a commit or pull request in another repository says of the deployment that it is. */
export interface GitOpsWords {
  /** With trailer lines. */
  readonly message: string;
  /** In Markdown; the same for the same attempt of a job, and no other. */
  readonly body: string;
  /** Name of the branch for a pull request. */
  readonly from: string;
}

export interface GitOpsWish {
  readonly file: string;
  readonly field: string;
  /** Id of the image job. */
  readonly image: string;
  readonly reference: string;
  readonly value: string;
}

export function gitOpsWords(run: Run, job: Job, environment: string, wishes: readonly GitOpsWish[]): GitOpsWords {
  const { trigger } = run;
  const source = fullName(run.repository);
  const short = trigger.sha.slice(0, 12);
  const images = [...new Map(wishes.map((it) => [it.image, it.reference]))];
  // Titles stay out of the commit: a "fixes #1" in one would close things there.
  const message = [
    `Deploy ${source}@${short} to ${environment}`,
    '',
    ...images.map(([name, reference]) => `${name}: ${reference}`),
    '',
    `Slipway-Deployment: ${job.id}-${job.attempt}`,
    `Slipway-Environment: ${environment}`,
    `Slipway-Commit: ${source}@${trigger.sha}`,
    `Slipway-Asked-By: ${trigger.actor}`,
  ].join('\n');
  const body = [
    `Deploys ${quoted(`${source}@${short}`)} to ${quoted(environment)}; asked for by ${quoted(trigger.actor)}.`,
    '',
    '| | |',
    '| --- | --- |',
    `| Commit | ${cell(`${source}@${trigger.sha}`)} |`,
    `| Title | ${cell(trigger.title)} |`,
    ...wishes.map(({ file, field, value }) => `| ${cell(`${file} ${field}`)} | ${cell(value)} |`),
    '',
    'Merging it deploys; Slipway waits for that. Closing it refuses the deployment.',
    '',
    `Slipway-Deployment: ${job.id}-${job.attempt}`,
  ].join('\n');
  return { message, body, from: `slipway/${branchWord(environment)}-${short}` };
}

/** For the check run: what is changed where, and the page of it, which people look at or merge. */
export function gitOpsReport(
  wishes: readonly GitOpsWish[],
  page: { readonly said: string; readonly name: string; readonly url: string | null },
): string {
  const { said, name, url } = page;
  const safe = url?.replaceAll(/[()<>|\\`\s]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
  const link =
    safe === undefined || !/^https?:\/\//.test(safe) ? escapeMarkdown(name) : `[${escapeMarkdown(name)}](${safe})`;
  const rows = wishes.map(({ file, field, value }) => [codeIn(file), codeIn(field), codeIn(value)]);
  return `${said} ${link}\n\n${markdownTable(['File', 'Field', 'Set to'], rows)}`;
}

/** Code keeps a `|` from ending a cell nowhere on GitHub: it is taken out. */
function cell(text: string): string {
  return quoted(text.replaceAll('|', '¦'));
}

/** As a part of a branch's name. */
function branchWord(text: string): string {
  const word = text
    .replaceAll(/[^\w-]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 60);
  return word === '' ? 'environment' : word;
}
