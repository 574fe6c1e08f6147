import { parseExpression, STATUS_FUNCTIONS } from '#src/model/evaluate.ts';
import { CONDITION_CONTEXTS, EVENT_KEYS } from '#src/model/expression.ts';
import { parseTemplate, unwrapCondition } from '#src/model/template.ts';
import { suggestion } from '#src/model/suggest.ts';
import type { Path } from '../yaml.ts';
import { type Report, show } from './report.ts';

/** What expressions of a job may read. */
export interface Scope {
  readonly job: string;
  /** Keys of its matrix; null if they aren't known, because the matrix is wrong. */
  readonly matrix: readonly string[] | null;
  readonly needs: readonly string[];
}

/** Of one text. */
const MAX_PROBLEMS = 20;

type Read = { readonly path: readonly string[]; readonly offset: number };

/** Checks the `${{ }}` of a text. `contexts` are those that may stand there. */
export function checkTemplate(
  report: Report,
  path: Path,
  text: string,
  contexts: readonly string[],
  scope: Scope | null,
): void {
  const template = parseTemplate(text, ['event', 'matrix', 'needs']);
  for (const { message, offset } of template.problems.slice(0, MAX_PROBLEMS)) {
    report.error(
      'bad-expression',
      report.yaml.within(path, offset),
      `${show(path)}: ${message}`,
      variableHint(path, message),
    );
  }
  const before = report.diagnostics.length;
  for (const part of template.parts) {
    if (typeof part === 'string') continue;
    if (report.diagnostics.length - before >= MAX_PROBLEMS) return;
    const status = STATUS_FUNCTIONS.find((name) => part.calls.has(name));
    if (status)
      report.error('bad-expression', report.yaml.at(path), `${show(path)}: ${status}() has a meaning only in "if".`);
    for (const read of part.reads) {
      const context = read.path[0] ?? '';
      if (contexts.includes(context)) checkRead(report, path, read, scope);
      else
        report.error(
          'bad-context',
          report.yaml.within(path, read.offset),
          `${show(path)} can't use "${context}".`,
          instead(path, read, contexts),
        );
    }
  }
}

/** Checks an `if` and answers the expression without `${{ }}`. */
export function checkCondition(report: Report, path: Path, text: string, scope: Scope): string {
  const { expression, start } = unwrapCondition(text);
  if (expression.includes('${{')) {
    report.error(
      'bad-expression',
      report.yaml.within(path, text.indexOf('${{')),
      `${show(path)} is an expression as a whole.`,
      'Leave ${{ and }} out.',
    );
    return expression.trim();
  }
  const parsed = parseExpression(expression, CONDITION_CONTEXTS);
  if ('message' in parsed) {
    report.error('bad-expression', report.yaml.within(path, start + parsed.offset), `${show(path)}: ${parsed.message}`);
  } else {
    for (const read of parsed.reads) checkRead(report, path, { ...read, offset: start + read.offset }, scope);
  }
  return expression.trim();
}

/** A misspelt property is '' in this language, and a condition on it silently false: it is an error here. */
function checkRead(report: Report, path: Path, read: Read, scope: Scope | null): void {
  const [context, key, property] = read.path;
  if (key === undefined) return;
  const at = report.yaml.within(path, read.offset);
  const known = context === 'event' ? EVENT_KEYS : context === 'matrix' ? scope?.matrix : scope?.needs;
  if (known && !known.some((name) => name.toLowerCase() === key.toLowerCase())) {
    const what = {
      event: `An event has no "${key}".`,
      matrix: known.length === 0 ? 'The job has no matrix.' : `The job's matrix has no "${key}".`,
      needs: `The job "${scope?.job ?? ''}" doesn't need "${key}".`,
    }[context ?? ''];
    const hint = context === 'needs' ? `Add it to needs. ${suggestion(key, known)}`.trim() : suggestion(key, known);
    report.error('unknown-property', at, `${show(path)}: ${what ?? ''}`, hint);
  } else if (context === 'needs' && property !== undefined && property !== 'result') {
    report.error(
      'unknown-property',
      at,
      `${show(path)}: Of a job there is only its "result" yet.`,
      `Write needs.${key}.result.`,
    );
  }
}

function instead(path: Path, read: Read, contexts: readonly string[]): string {
  const variables: Record<string, string> = {
    branch: 'BRANCH',
    tag: 'TAG',
    sha: 'SHA',
    number: 'PULL_REQUEST',
    base: 'BASE_BRANCH',
    actor: 'ACTOR',
    kind: 'EVENT',
  };
  const [context, key = ''] = read.path;
  const name = Object.hasOwn(variables, key) ? variables[key] : undefined;
  if (context === 'event' && path[2] === 'run' && name) {
    return `Use the variable "$SLIPWAY_${name}" in the commands: a branch may be called anything, and a variable is never run.`;
  }
  return contexts.length === 0 ? 'Write it out.' : `Only ${contexts.join(' and ')} can be used there.`;
}

function variableHint(path: Path, message: string): string | undefined {
  if (message.startsWith('There is no context "secrets"')) {
    return 'Name it in the job\'s "secrets", and the commands have it as a variable: "$NPM_TOKEN".';
  }
  if (message.startsWith('There is no context "github"')) {
    return 'What GitHub Actions has in "github" is in "event" here: event.branch, event.tag, event.sha, event.number.';
  }
  if (path[2] !== 'run' || !message.startsWith('There is no context')) return undefined;
  return 'In commands, use variables: "$SLIPWAY_SHA", or your own from "env".';
}
