import { harmless, terminalLine } from './harmless.ts';
import { codeIn, escapeMarkdown, markdownTable } from './markdown.ts';
import type { WorkloadState } from './rollout.ts';
import type { RolloutChange } from './rollout-change.ts';

/** What a rollout has to show beside its log. Workloads are told by `workloadKey`. */
export interface RolloutFacts {
  readonly changes: readonly RolloutChange[];
  /** What was seen of each workload last. */
  readonly states: ReadonlyMap<string, WorkloadState>;
  /** What the cluster warned of about those that failed, newest first. */
  readonly events: ReadonlyMap<string, readonly string[]>;
  /** Last lines of their failing containers. */
  readonly lines: ReadonlyMap<string, string>;
  /** The new version stands beside the workloads, by steps: one that isn't set yet is as it was, also after the end. */
  readonly beside?: boolean;
}

/** Tells workloads apart, also those of one name in several clusters. */
export function workloadKey(cluster: string | null | undefined, workload: string): string {
  return cluster == null ? workload : `${workload} (${cluster})`;
}

const maxLines = 30;
const maxLineBytes = 6000;

/**
 * A table of workloads, containers, images and pods, and why what failed did so, as Markdown in which nothing that a cluster
 * or an application said can format, link or call anybody. '' if there is nothing yet.
 */
export function rolloutReport(facts: RolloutFacts): string {
  const { changes, events, lines } = facts;
  if (changes.length === 0) return '';
  const rows = changes.map((change) => [
    codeIn(keyOf(change)),
    codeIn(change.container ?? ''),
    imageWords(change),
    podWords(facts.states.get(keyOf(change))),
    stateWords(change, facts),
  ]);
  const table = markdownTable(['Workload', 'Container', 'Image', 'Pods', 'State'], rows);
  const warned = [...events].flatMap(([workload, texts]) =>
    texts.length === 0 ? [] : [`**What the cluster says of ${codeIn(workload)}**\n\n${listOf(texts)}`],
  );
  const logged = [...lines].flatMap(([workload, text]) =>
    text.trim() === '' ? [] : [`**Last lines of the failing container of ${codeIn(workload)}**\n\n${block(text)}`],
  );
  return [table, ...warned, ...logged].join('\n\n');
}

/** `api@sha256:0123abcd4567`: enough to tell images apart. */
export function shortImage(image: string): string {
  const [path = '', digest] = image.split('@');
  const name = path.split('/').at(-1) ?? path;
  if (digest === undefined) return name;
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${name.replace(/:.*$/, '')}@${algorithm}:${hex.slice(0, 12)}`;
}

function keyOf({ cluster, workload }: RolloutChange): string {
  return workloadKey(cluster, workload);
}

function imageWords({ before, after }: RolloutChange): string {
  const now = codeIn(shortImage(after));
  if (before === after) return `${now} (unchanged)`;
  return before === null ? now : `${codeIn(shortImage(before))} → ${now}`;
}

function podWords(state: WorkloadState | undefined): string {
  if (!state) return '–';
  return `${state.updated} of ${state.wanted} updated, ${state.available} available`;
}

function stateWords(change: RolloutChange, { changes: all, beside = false }: RolloutFacts): string {
  const goesBack = all.some((it) => it.failed);
  const said = all.find((it) => keyOf(it) === keyOf(change) && it.said !== undefined)?.said ?? '';
  switch (change.phase ?? 'planned') {
    case 'planned':
      if (beside) return 'as before';
      return goesBack ? 'not begun' : 'waits';
    case 'forward':
      return goesBack ? 'failed' : 'rolls';
    case 'done':
      return goesBack ? 'goes back next' : 'healthy';
    case 'back':
      return 'goes back';
    case 'ended':
      if (said.startsWith('GOING BACK FAILED')) return '**GOING BACK FAILED**';
      return said.endsWith(' again.') ? 'went back' : 'left as it is';
  }
}

function listOf(texts: readonly string[]): string {
  return texts.map((text) => `- ${escapeMarkdown(text)}`).join('\n');
}

/** A code block that its content can't end. */
function block(text: string): string {
  const plain = text
    .trimEnd()
    .split('\n')
    .slice(-maxLines)
    // oxlint-disable-next-line no-control-regex
    .map((line) => harmless(terminalLine(line).replaceAll(/\u001b\[[0-9;:]*m/g, '')))
    .join('\n')
    .slice(-maxLineBytes)
    .replaceAll(/`{50,}/g, '`…`');
  const longest = [...plain.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 0);
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return `${fence}text\n${plain}\n${fence}`;
}
