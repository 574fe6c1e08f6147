import type { Context } from './context.ts';
import { parseJson } from './json.ts';
import { misread, quoted, refuse } from './refusal.ts';
import { entries, list, text } from './shape.ts';

/** Filters as the client gave them: `{"label":["a=b"]}`, or in the old form `{"label":{"a=b":true}}`. */
export type Filters = ReadonlyMap<string, readonly string[]>;

export function readFilters(json: string): Filters {
  const filters = new Map<string, readonly string[]>();
  if (json === '') return filters;
  for (const [name, given] of entries(parseJson(json), 'filters')) {
    const values = Array.isArray(given)
      ? list(given, 'filters').map((value) => text(value, 'filters'))
      : entries(given, 'filters').flatMap(([value, on]) => (on === true ? [value] : []));
    if (values.some((value) => value.length > 1024)) misread('A filter is too long.');
    if (values.length > 0) filters.set(name, values);
  }
  return filters;
}

/** What becomes of a filter: it goes on, with its values changed; null: it is looked at in the answer. */
export type FilterRule = ((value: string, context: Context) => string) | null;

export const asIs: FilterRule = (value) => value;

/** The filters for the engine: only those of the table; `ours` is added. */
export function writeFilters(
  filters: Filters,
  rules: Readonly<Record<string, FilterRule>>,
  context: Context,
  ours: readonly string[] = [],
): string {
  const result: Record<string, string[]> = {};
  for (const [name, values] of filters) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) refuse(`the filter ${quoted(name)} is not known here.`);
    if (rule !== null) result[name] = values.map((value) => rule(value, context));
  }
  if (ours.length > 0) result['label'] = [...(result['label'] ?? []), ...ours];
  return JSON.stringify(result);
}

/** Of things: by the engine's id or name; what isn't the job's is named so that nothing fits. */
export function byThing(kind: 'container' | 'network' | 'volume' | 'image', take: 'id' | 'name'): FilterRule {
  return (value, context) => {
    const name = value.replace(/^\//, '');
    if (kind === 'network' && (name === 'bridge' || name === 'default')) return context.job.network ?? 'none';
    return context.maybe(kind, name)?.[take] ?? `${context.job.namePrefix}nothing`;
  };
}

/**
 * The engine's filter by name is a regular expression, which is looked for in its own name. Here it is a part of the
 * client's name, with `^` and `$` for its ends: a job can't have the server think for ever.
 */
export function matchesName(pattern: string, name: string): boolean {
  const from = /^\^?\/?/.exec(pattern)?.[0] ?? '';
  const start = from.startsWith('^');
  const end = pattern.endsWith('$');
  const plain = pattern.slice(from.length, end ? -1 : undefined).replaceAll(/\\([._-])/g, '$1');
  if (start && end) return name === plain;
  if (start) return name.startsWith(plain);
  return end ? name.endsWith(plain) : name.includes(plain);
}

export function checkNamePattern(pattern: string): void {
  if (!/^\^?\/?(?:[a-zA-Z0-9_.-]|\\[._-])*\$?$/.test(pattern)) {
    refuse(`the filter name=${pattern.slice(0, 40)}: use a part of the name, with ^ and $ for its ends.`);
  }
}

/** `app*`, `*:v1`, `u/?`: as the engine compares a reference. Linear: a star takes what is left of its part. */
export function matchesReference(pattern: string, name: string): boolean {
  const colon = name.lastIndexOf(':');
  const bare = colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
  const host = name.slice(name.lastIndexOf('/') + 1);
  return [name, bare, host].some((one) => glob(pattern, one));
}

function glob(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let from = 0;
  while (n < name.length) {
    const char = pattern[p];
    if (char === '*') {
      star = p++;
      from = n;
    } else if (char !== undefined && (char === name[n] || (char === '?' && name[n] !== '/'))) {
      p += 1;
      n += 1;
    } else if (star >= 0 && name[from] !== '/') {
      p = star + 1;
      from += 1;
      n = from;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
