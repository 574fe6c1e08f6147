import type { z } from 'zod';
import { list } from '#src/model/suggest.ts';
import type { Path } from './yaml.ts';

/** One mistake that a schema found, in words. */
export type Problem =
  | { readonly kind: 'value'; readonly path: Path; readonly message: string; readonly hint?: string }
  | { readonly kind: 'key'; readonly path: Path; readonly message: string }
  | { readonly kind: 'missing'; readonly path: Path; readonly key: string }
  | { readonly kind: 'unknown-key'; readonly path: Path; readonly key: string };

type Issue = z.core.$ZodIssue;

/** Mistakes of a value in the words of people who write YAML. `value` is what was checked. */
export function problemsOf(issues: readonly Issue[], value: unknown, base: Path = []): readonly Problem[] {
  return issues.flatMap((issue) => problemsOfIssue(issue, value, base));
}

function problemsOfIssue(issue: Issue, value: unknown, base: Path): readonly Problem[] {
  const path = [...base, ...issue.path];
  const found = valueAt(value, issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ kind: 'unknown-key', path, key }));
    case 'invalid_key':
      return [
        { kind: 'key', path, message: `"${String(path.at(-1))}" ${issue.issues[0]?.message ?? "isn't allowed here"}` },
      ];
    case 'invalid_type':
      if (found === undefined) return [{ kind: 'missing', path: path.slice(0, -1), key: String(path.at(-1)) }];
      return [wrongType(path, [kindOf(issue.expected)], found)];
    case 'invalid_union':
      return problemsOfUnion(issue.errors, value, issue.path, base);
    case 'invalid_value':
      return [
        {
          kind: 'value',
          path,
          message: `must be ${or(issue.values.map((item) => (typeof item === 'string' ? `"${item}"` : String(item))))}`,
        },
      ];
    default:
      return [{ kind: 'value', path, message: issue.message }];
  }
}

/** The alternative whose type fits has the mistakes that matter; where none fits, all of them are named. */
function problemsOfUnion(
  alternatives: readonly (readonly Issue[])[],
  value: unknown,
  inner: readonly PropertyKey[],
  base: Path,
): readonly Problem[] {
  const found = valueAt(value, inner);
  const fitting = alternatives.find((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code !== 'invalid_type'),
  );
  const path = [...base, ...inner];
  if (fitting && isTextWithColon(alternatives, fitting, found, path)) return [wrongType(path, ['a text'], found)];
  if (fitting) return problemsOf(fitting, found, path);
  if (found === undefined) return [{ kind: 'missing', path: path.slice(0, -1), key: String(path.at(-1)) }];
  const kinds = alternatives.flatMap((issues) =>
    issues.flatMap((issue) => (issue.code === 'invalid_type' ? [kindOf(issue.expected)] : [])),
  );
  return [wrongType(path, [...new Set(kinds)], found)];
}

/** An item of a list that may be a text, and that YAML took for a map of keys that nobody knows. */
function isTextWithColon(
  alternatives: readonly (readonly Issue[])[],
  fitting: readonly Issue[],
  found: unknown,
  path: Path,
): boolean {
  const mayBeText = alternatives.some(([issue]) => issue?.code === 'invalid_type' && issue.expected === 'string');
  if (!mayBeText || typeof path.at(-1) !== 'number' || typeof found !== 'object' || found === null) return false;
  const unknown = fitting.flatMap((issue) => (issue.code === 'unrecognized_keys' ? issue.keys : []));
  return unknown.length > 0 && unknown.length === Object.keys(found).length;
}

function wrongType(path: Path, kinds: readonly string[], found: unknown): Problem {
  const message = `must be ${or(kinds)}, and is ${kindOfValue(found)}`;
  const quotable = kinds.includes('a text') && (typeof found === 'number' || typeof found === 'boolean');
  if (quotable) return { kind: 'value', path, message, hint: `Put it in quotes: '${String(found)}'.` };
  if (kinds.includes('a text') && kindOfValue(found) === 'a map') {
    return {
      kind: 'value',
      path,
      message,
      hint: 'If it is meant as a text, put it in quotes: YAML reads ": " as a map.',
    };
  }
  if (kinds.includes('true or false') && typeof found === 'string') {
    return { kind: 'value', path, message, hint: 'YAML 1.2 knows true and false only, without quotes.' };
  }
  return { kind: 'value', path, message };
}

function kindOf(expected: string): string {
  const kinds: Record<string, string> = {
    string: 'a text',
    array: 'a list',
    object: 'a map (key: value)',
    record: 'a map (key: value)',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
  };
  return kinds[expected] ?? expected;
}

function kindOfValue(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return value.length > 30 ? 'a text' : `the text "${value}"`;
  if (typeof value === 'object') return 'a map';
  return `the ${typeof value === 'number' ? 'number' : 'value'} ${JSON.stringify(value)}`;
}

function or(words: readonly string[]): string {
  return list(words).replace(/ and (?!.* and )/, ' or ');
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const step of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[step];
  }
  return found;
}
