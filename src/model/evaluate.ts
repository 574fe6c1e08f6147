import { data, Evaluator, ExpressionError, Lexer, Parser, wellKnownFunctions } from '@actions/expressions';
import type { Expr, ExprVisitor, FunctionCall, IndexAccess } from '@actions/expressions/ast';
import { Literal, Star } from '@actions/expressions/ast';
import type { Pair } from '@actions/expressions/data/expressiondata';

type Data = data.ExpressionData;
type Definition = (typeof wellKnownFunctions)[string];

/** What an expression works on and answers. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };

/** An expression that was understood. */
export interface Expression {
  readonly text: string;
  /** What it reads, as far as it can be known: `matrix.node` is ['matrix', 'node']. */
  readonly reads: readonly { readonly path: readonly string[]; readonly offset: number }[];
  /** Functions that it calls, in lower case. */
  readonly calls: ReadonlySet<string>;
  readonly root: Expr;
}

/** What is wrong with an expression. `offset` counts characters from its start. */
export interface ExpressionProblem {
  readonly message: string;
  readonly offset: number;
}

/** Thrown where an expression that is well formed can't be evaluated: fromJSON of something else, say. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}

/** Names of the functions that ask for the state of the jobs before. */
export const STATUS_FUNCTIONS = ['success', 'failure', 'always', 'cancelled'] as const;
export type StatusFunction = (typeof STATUS_FUNCTIONS)[number];

/** Nothing that an expression makes may be longer: nested format() would grow without end. */
const MAX_RESULT = 100_000;
const MAX_EXPRESSION = 10_000;

/** Parses GitHub's expression language. Contexts other than those given are a problem. */
export function parseExpression(text: string, contexts: readonly string[]): Expression | ExpressionProblem {
  if (text.trim() === '') return { message: 'The expression is empty.', offset: 0 };
  if (text.length > MAX_EXPRESSION) {
    return { message: `The expression is longer than ${MAX_EXPRESSION} characters.`, offset: 0 };
  }
  try {
    const { tokens } = new Lexer(text).lex();
    const status = STATUS_FUNCTIONS.map((name) => ({ name, minArgs: 0, maxArgs: 0 }));
    const root = new Parser(tokens, [...contexts], status).parse();
    const starts = lineStarts(text);
    const found = walk(root, (line, column) => (starts[line] ?? 0) + column);
    return found.problem ?? { text, reads: found.reads, calls: found.calls, root };
  } catch (error) {
    return problemOf(error, text, contexts);
  }
}

/** Evaluates with these contexts. Status functions answer by `status`; throws EvaluationError. */
export function evaluate(
  expression: Expression,
  contexts: Readonly<Record<string, Value>>,
  status: (name: StatusFunction) => boolean,
): Value {
  const functions = new Map<string, Definition>(bounded);
  for (const name of STATUS_FUNCTIONS) {
    functions.set(name, { name, minArgs: 0, maxArgs: 0, call: () => new data.BooleanData(status(name)) });
  }
  const evaluator = new Evaluator(expression.root, toData(contexts) as data.Dictionary, functions);
  try {
    return fromData(evaluator.evaluate());
  } catch (error) {
    if (error instanceof EvaluationError) throw error;
    throw new EvaluationError(error instanceof Error ? error.message : String(error));
  }
}

/** True as GitHub sees it: not false, null, 0, NaN or ''. */
export function isTruthy(value: Value): boolean {
  return typeof value === 'object' ? value !== null : Boolean(value);
}

/** The expression as part of a text. Throws EvaluationError for lists and objects, which have no text. */
export function toText(value: Value): string {
  if (value === null) return '';
  if (typeof value === 'object') {
    throw new EvaluationError("it gives a list or an object, which can't be part of a text; use toJSON(...)");
  }
  return typeof value === 'number' ? new data.NumberData(value).coerceString() : String(value);
}

/** The library's map drops keys that every object of JavaScript has, such as `constructor`. */
class Dictionary extends data.Dictionary {
  readonly #entries = new Map<string, Pair>();

  override add(key: string, value: Data): void {
    if (!this.#entries.has(key.toLowerCase())) this.#entries.set(key.toLowerCase(), { key, value });
  }
  override get(key: string): Data | undefined {
    return this.#entries.get(key.toLowerCase())?.value;
  }
  override values(): Data[] {
    return this.pairs().map((pair) => pair.value);
  }
  override pairs(): Pair[] {
    return [...this.#entries.values()];
  }
}

function toData(value: Value): Data {
  if (value === null) return new data.Null();
  if (typeof value === 'string') return new data.StringData(value);
  if (typeof value === 'number') return new data.NumberData(value);
  if (typeof value === 'boolean') return new data.BooleanData(value);
  if (isList(value)) return new data.Array(...value.map(toData));
  const dictionary = new Dictionary();
  for (const [key, item] of Object.entries(value)) dictionary.add(key, toData(item));
  return dictionary;
}

function isList(value: readonly Value[] | { readonly [key: string]: Value }): value is readonly Value[] {
  return Array.isArray(value);
}

function fromData(result: Data): Value {
  if (result instanceof data.Array) return result.values().map(fromData);
  if (result instanceof data.Dictionary) {
    return Object.fromEntries(result.pairs().map((pair) => [pair.key, fromData(pair.value)]));
  }
  return result instanceof data.Null ? null : result.value;
}

/** The library's functions, refusing to make more than MAX_RESULT characters before they make them. */
const bounded: ReadonlyMap<string, Definition> = new Map(
  Object.entries(wellKnownFunctions).map(([name, definition]): [string, Definition] => [
    name,
    {
      ...definition,
      call: (...args) => {
        if (estimate(name, args) > MAX_RESULT) throw tooLong(definition.name);
        const result = definition.call(...args);
        if (result instanceof data.StringData && result.value.length > MAX_RESULT) throw tooLong(definition.name);
        return result;
      },
    },
  ]),
);

function estimate(name: string, args: readonly Data[]): number {
  const lengths = args.map((arg) => (arg.primitive ? arg.coerceString().length : 0));
  if (name === 'format') {
    const holes = (args[0]?.coerceString().split('{').length ?? 1) - 1;
    return (lengths[0] ?? 0) + holes * Math.max(0, ...lengths.slice(1));
  }
  if (name === 'join' && args[0] instanceof data.Array) return args[0].values().length * ((lengths[1] ?? 1) + 1);
  return Math.max(0, ...lengths);
}

function tooLong(name: string): EvaluationError {
  return new EvaluationError(`${name}(...) would make more than ${MAX_RESULT} characters`);
}

interface Found {
  reads: { path: string[]; offset: number }[];
  calls: Set<string>;
  problem: ExpressionProblem | null;
}

/** Collects what the expression reads and calls, and mends what the library reads wrongly. */
function walk(root: Expr, offsetOf: (line: number, column: number) => number): Found {
  const found: Found = { reads: [], calls: new Set(), problem: null };
  type Path = { path: string[]; offset: number } | null;
  const visitor: ExprVisitor<Path> = {
    visitLiteral(literal) {
      // The library unescapes only the first '' of a string.
      if (literal.literal instanceof data.StringData && literal.token.lexeme.startsWith("'")) {
        literal.literal = new data.StringData(literal.token.lexeme.slice(1, -1).replaceAll("''", "'"));
      }
      return null;
    },
    visitUnary: (unary) => all([unary.expr]),
    visitBinary: (binary) => all([binary.left, binary.right]),
    visitLogical: (logical) => all(logical.args),
    visitGrouping: (grouping) => all([grouping.group]),
    visitContextAccess(access) {
      const { line, column } = access.name.range.start;
      const read = { path: [access.name.lexeme.toLowerCase()], offset: offsetOf(line, column) };
      found.reads.push(read);
      return read;
    },
    visitIndexAccess(access: IndexAccess) {
      const read = access.expr.accept(visitor);
      if (!(access.index instanceof Literal)) {
        if (!(access.index instanceof Star)) access.index.accept(visitor);
        return null;
      }
      access.index.accept(visitor);
      read?.path.push(access.index.literal.coerceString());
      return read;
    },
    visitFunctionCall(call: FunctionCall) {
      const name = call.functionName.lexeme.toLowerCase();
      const { line, column } = call.functionName.range.start;
      // The library looks functions up in a plain object, where `constructor` is found as well.
      if (!bounded.has(name) && !STATUS_FUNCTIONS.some((status) => status === name)) {
        found.problem ??= unknownFunction(call.functionName.lexeme, offsetOf(line, column));
      }
      found.calls.add(name);
      return all(call.args);
    },
  };
  function all(parts: readonly Expr[]): null {
    for (const part of parts) part.accept(visitor);
    return null;
  }
  root.accept(visitor);
  return found;
}

function unknownFunction(name: string, offset: number): ExpressionProblem {
  const known = [...bounded.values()].map((definition) => definition.name).concat(STATUS_FUNCTIONS);
  return { message: `There is no function "${name}"; there are ${known.join(', ')}.`, offset };
}

function problemOf(error: unknown, text: string, contexts: readonly string[]): ExpressionProblem {
  if (error instanceof ExpressionError) {
    const offset = (lineStarts(text)[error.pos.line] ?? 0) + error.pos.column;
    const name = /'(.*)'$/s.exec(error.message)?.[1] ?? '';
    if (error.message.startsWith('Unrecognized named-value')) {
      return { message: `There is no context "${name}" here; there is ${contexts.join(', ')}.`, offset };
    }
    if (error.message.startsWith('Unrecognized function')) return unknownFunction(name, offset);
    return { message: `${error.message}.`, offset };
  }
  const message = error instanceof Error ? error.message : String(error);
  const place = /^(.*?)\. Located at position (\d+) within expression: /s.exec(message);
  if (place === null) return { message: 'The expression is nested too deeply or is no expression.', offset: 0 };
  const symbol = place[1] ?? '';
  const quotes = symbol.includes('"')
    ? " Texts stand in single quotes: 'text'."
    : symbol.endsWith("'='")
      ? ' Compare by ==.'
      : '';
  return { message: `${symbol}.${quotes}`, offset: Number(place[2]) - 1 };
}

function lineStarts(text: string): readonly number[] {
  return [0, ...[...text.matchAll(/\n/g)].map((match) => match.index + 1)];
}
