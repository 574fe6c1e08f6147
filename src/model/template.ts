import {
  EvaluationError,
  type Expression,
  type ExpressionProblem,
  evaluate,
  parseExpression,
  toText,
  type Value,
} from './evaluate.ts';

/** A text with `${{ }}` in it. */
export interface Template {
  readonly parts: readonly (string | Expression)[];
  /** What is wrong; offsets count from the start of the text. */
  readonly problems: readonly ExpressionProblem[];
}

/** Longest text that a template may become. */
const MAX_TEXT = 256 * 1024;

/** Takes a text apart. Everything between `${{` and `}}` is an expression on the contexts given. */
export function parseTemplate(text: string, contexts: readonly string[]): Template {
  const parts: (string | Expression)[] = [];
  const problems: ExpressionProblem[] = [];
  let at = 0;
  for (;;) {
    const open = text.indexOf('${{', at);
    if (open < 0) break;
    const close = endOf(text, open + 3);
    if (close < 0) {
      problems.push({ message: 'The expression that starts here never ends: }} is missing.', offset: open });
      break;
    }
    const expression = parseExpression(text.slice(open + 3, close), contexts);
    if ('message' in expression) {
      problems.push({ message: expression.message, offset: open + 3 + expression.offset });
    } else {
      const reads = expression.reads.map((read) => ({ ...read, offset: open + 3 + read.offset }));
      parts.push(text.slice(at, open), { ...expression, reads });
    }
    at = close + 2;
  }
  parts.push(text.slice(at));
  return { parts, problems };
}

/** Fills a text in. Throws EvaluationError where it can't be. */
export function fillTemplate(text: string, contexts: Readonly<Record<string, Value>>): string {
  if (!text.includes('${{')) return text;
  const template = parseTemplate(text, Object.keys(contexts));
  const [problem] = template.problems;
  if (problem) throw new EvaluationError(problem.message);
  let filled = '';
  for (const part of template.parts) {
    filled += typeof part === 'string' ? part : toText(evaluate(part, contexts, noStatus));
    if (filled.length > MAX_TEXT) throw new EvaluationError(`it becomes longer than ${MAX_TEXT} characters`);
  }
  return filled;
}

/** The expression of a condition, which may be written with or without `${{ }}`; `start` is where it begins. */
export function unwrapCondition(text: string): { readonly expression: string; readonly start: number } {
  const match = /^(\s*\$\{\{)([^]*)\}\}\s*$/.exec(text);
  const inner = match?.[2];
  if (match === null || inner === undefined || endOf(text, match[1]?.length ?? 0) !== text.trimEnd().length - 2) {
    return { expression: text, start: 0 };
  }
  return { expression: inner, start: match[1]?.length ?? 0 };
}

/** Index of the `}}` that ends an expression: not within a text in quotes. */
function endOf(text: string, from: number): number {
  let quoted = false;
  for (let i = from; i < text.length; i += 1) {
    if (text[i] === "'") quoted = !quoted;
    if (!quoted && text.startsWith('}}', i)) return i;
  }
  return -1;
}

function noStatus(name: string): never {
  throw new EvaluationError(`${name}() has no meaning here: only in an if`);
}
