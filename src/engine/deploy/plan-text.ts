import type { CheckStep, RolloutStep, Strategy } from '#src/model/delivery.ts';
import { shortImage } from '#src/model/image-short.ts';
import { codeIn, escapeMarkdown, markdownTable, quietMentions } from '#src/model/markdown.ts';
import type { Condition, DeployPlan, PlannedImage } from './plan.ts';
import { commitLink } from './where-text.ts';

const commitsShown = 20;

/** Plans as Markdown, for a comment or a check run. */
export function planText(plans: readonly DeployPlan[]): string {
  if (plans.length === 0) return 'The default branch names no environment, so this would be deployed nowhere.';
  return plans.map(textOf).join('\n\n');
}

function textOf(plan: DeployPlan): string {
  if (plan.problem !== null) return escapeMarkdown(plan.problem);
  const { repository, sha, tag, current } = plan;
  const what = `${commitLink(repository, sha)}${tag === null ? '' : ` (${codeIn(tag)})`}`;
  const from =
    current === null
      ? 'Nothing was deployed there yet.'
      : `There is ${commitLink(repository, current.sha)}${current.details.tag ? ` (${codeIn(current.details.tag)})` : ''} now, deployed by ${escapeMarkdown(current.actor)}.`;
  const blocks = [
    `### ${escapeMarkdown(plan.environment)}\n\n${summary(plan, what)} ${from}`,
    imagesText(plan),
    plan.conditions.map(conditionLine).join('\n'),
    howText(plan),
    commitsText(plan),
  ];
  return blocks.filter((block) => block !== '').join('\n\n');
}

function summary({ images, files, conditions }: DeployPlan, what: string): string {
  const stops = conditions.filter((it) => it.met === false).length;
  const changed = images.filter((it) => it.next === null || it.next !== it.now).length;
  if (stops > 0) return `${what} can't be deployed now.`;
  if (files.length === 0 && images.length > 0 && changed === 0)
    return `${what} would change nothing: its images run already.`;
  return `${what} can be deployed${conditions.some((it) => it.met === null) ? ', once what is open below is met' : ''}.`;
}

function imagesText({ images, files }: DeployPlan): string {
  if (files.length > 0) return files.map((line) => `- ${escapeMarkdown(line)}`).join('\n');
  if (images.length === 0) return '';
  const table = markdownTable(
    ['Workload', 'Container', 'Now', 'Then'],
    images.map((image) => [
      codeIn(`${image.cluster === null ? '' : `${image.cluster}: `}${image.workload}`),
      codeIn(image.container),
      image.now === null ? 'unknown' : codeIn(shortImage(image.now)),
      nextCell(image),
    ]),
  );
  const reasons = [...new Set(images.flatMap(({ why }) => why ?? []))];
  if (reasons.length === 0) return table;
  const lines = reasons.map((why) => `- What runs now can't be seen. ${escapeMarkdown(why)}`);
  return `${table}\n\n${lines.join('\n')}`;
}

function nextCell({ now, next, job }: PlannedImage): string {
  if (next === null) return `will be built by ${codeIn(job)}`;
  return next === now ? 'the same' : codeIn(shortImage(next));
}

function conditionLine({ met, text }: Condition): string {
  const mark = met === null ? '⏳' : met ? '✅' : '❌';
  // These sentences hold code of their own.
  return `- ${mark} ${quietMentions(text)}`;
}

function howText({ strategy, before }: DeployPlan): string {
  const queue =
    before === 0
      ? []
      : [`${before === 1 ? 'One deployment has its' : `${before} deployments have their`} turn before it.`];
  return [...(strategy === null ? [] : [`Step by step: ${stepsText(strategy)}.`]), ...queue].join(' ');
}

/** `10 %, pause of 5 min, approval, 100 %`. */
function stepsText(strategy: Strategy): string {
  if (strategy.kind === 'canary') return strategy.steps.map(stepText).join(', ');
  const { before, after, service } = strategy;
  const to = `the switch of the Service ${codeIn(`${service.namespace}/${service.name}`)}`;
  return ['new pods beside the old ones', ...before.map(stepText), to, ...after.map(stepText)].join(', ');
}

function stepText(step: RolloutStep): string {
  switch (step.kind) {
    case 'weight':
      return `${step.percent} %`;
    case 'pause':
      return `a pause of ${step.seconds % 60 === 0 ? `${step.seconds / 60} min` : `${step.seconds} s`}`;
    case 'approval':
      return 'an approval';
    default:
      return checkText(step);
  }
}

function checkText(step: CheckStep): string {
  switch (step.kind) {
    case 'probe':
      return `a probe of ${codeIn(step.url)}`;
    case 'prometheus':
      return `a query of ${codeIn(step.server)}`;
    case 'job':
      return `the job ${codeIn(step.job)}`;
  }
}

function commitsText({ commits, current, repository }: DeployPlan): string {
  if (current === null) return '';
  if (commits === null) return "GitHub doesn't say now which commits lie between.";
  const lines = commits.commits
    .slice(0, commitsShown)
    .map(
      ({ sha, title, author }) =>
        `- ${commitLink(repository, sha)} ${escapeMarkdown(title)} (${escapeMarkdown(author)})`,
    );
  const more = Math.max(commits.ahead, commits.commits.length) - lines.length;
  const behind =
    commits.behind > 0
      ? `It leaves out ${count(commits.behind, 'commit')} that ${commits.behind === 1 ? 'is' : 'are'} there now.`
      : '';
  if (lines.length === 0) return behind === '' ? 'No commit lies between.' : behind;
  const head = `${count(Math.max(commits.ahead, lines.length), 'new commit')}:`;
  return [
    [head, '', ...lines, ...(more > 0 ? [`- and ${more} more`] : [])].join('\n'),
    ...(behind === '' ? [] : [behind]),
  ].join('\n\n');
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
