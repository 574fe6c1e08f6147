import { harmless } from './harmless.ts';

/** Somebody's text in GitHub's Markdown. Pure. */

/** Names from a repository as text, in one line: nothing in it formats, links, breaks a table or calls anybody. */
export function escapeMarkdown(text: string): string {
  return quietLinks(
    oneLine(text).replaceAll(/[\\`*_{}[\]()#+!|~<>&$]/g, (c) => (c === '<' ? '&lt;' : c === '&' ? '&amp;' : `\\${c}`)),
  );
}

/** A word of one line as code, also in a table; `fallback` for nothing. */
export function codeIn(text: string, fallback = '–'): string {
  const word = oneLine(text).replaceAll('`', "'").replaceAll('|', '\\|');
  return word === '' ? fallback : `\`${word}\``;
}

/** A table; the cells are Markdown. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Markdown that Slipway wrote, for where there is none: a terminal, a field of JSON. */
export function plainMarkdown(text: string): string {
  return harmless(
    text
      .replaceAll(/\[((?:\\.|[^\]\\])*)\]\(https?:\/\/[^\s()]+\)/g, '$1')
      .replaceAll(/```\w*\n?|\*\*|`/g, '')
      .replaceAll(/\\([!-/:-@[-`{-~])/g, '$1')
      .replaceAll(/&(lt|gt|amp);/g, (_, name: string) => ({ lt: '<', gt: '>' })[name] ?? '&')
      .replaceAll('\u200B', ''),
  ).trim();
}

export function oneLine(text: string): string {
  return harmless(text.replaceAll(/\s+/g, ' ')).trim();
}

/** Keeps `@name` from calling people: a zero-width space after the sign. `a@b` (an image's digest) stays as it is. */
export function quietMentions(text: string): string {
  return text.replaceAll(/(^|[^\w`])@(?=\w)/g, '$1@\u200B');
}

/** Keeps GitHub from making links of addresses, and from calling people. */
function quietLinks(text: string): string {
  return quietMentions(text.replaceAll(/(:)(?=\/\/)|(www)(?=\.)/gi, '$&\u200B'));
}
