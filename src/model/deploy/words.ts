import { harmless } from '#src/model/harmless.ts';

/** Words that sentences about deployments share. */

/** `1a2b3c4`: how people name a commit. */
export function short(sha: string): string {
  return sha.slice(0, 7);
}

/** `2026-11-21 10:05 UTC`; `at` in milliseconds since the epoch. */
export function when(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? 'an unknown time' : `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** `a`, `a and b`, `a, b and c`; `word`: what stands before the last. */
export function list(items: readonly string[], word = 'and'): string {
  const last = items.at(-1);
  return items.length < 2 ? (last ?? '') : `${items.slice(0, -1).join(', ')} ${word} ${last}`;
}

const longestQuote = 200;

/** Somebody's text within a sentence, as code: nothing in it formats, links or calls anybody. '' stays ''. */
export function quoted(text: string): string {
  const line = harmless(text.replaceAll(/\s+/g, ' ')).replaceAll('`', "'").trim();
  if (line === '') return '';
  return `\`${line.length > longestQuote ? `${line.slice(0, longestQuote - 1).replace(/[\uD800-\uDBFF]$/, '')}…` : line}\``;
}

/** `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`. */
export function ordinal(n: number): string {
  const teen = n % 100 > 10 && n % 100 < 14;
  const ending = teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${ending}`;
}

/** What isn't known, and why: a sentence. Counts against whatever depends on it. */
export interface Unknown {
  readonly unknown: string;
}

export function isUnknown(value: unknown): value is Unknown {
  return typeof value === 'object' && value !== null && 'unknown' in value;
}
