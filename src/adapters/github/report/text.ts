/** Text for people on GitHub, within GitHub's limits and harmless whatever it is made of. Pure. */
import { oneLine, quietMentions } from '#src/model/markdown.ts';

export { escapeMarkdown } from '#src/model/markdown.ts';

/** `summary` and `text` of a check run: bytes, not characters. */
export const maxBytes = 65_535;

/** Cuts to at most `max` bytes of UTF-8 on a character's border; `keep` says which end stays. */
export function cutBytes(text: string, max: number, keep: 'start' | 'end' = 'start'): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= max) return text;
  if (keep === 'start') {
    let end = max;
    while (end > 0 && isContinuation(bytes[end])) end -= 1;
    return bytes.toString('utf8', 0, end);
  }
  let start = bytes.length - max;
  while (start < bytes.length && isContinuation(bytes[start])) start += 1;
  return bytes.toString('utf8', start);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Cuts to at most `max` UTF-16 units, without splitting a character, and shows that something is missing. */
export function cut(text: string, max: number): string {
  if (text.length <= max) return text;
  return `${text.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** A code block of at most `max` bytes which its content can't end: the fence is longer than any run of backticks in it. */
export function fenced(content: string, max: number, keep: 'start' | 'end'): string {
  const longest = [...content.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 0);
  // Thousands of backticks in a row would leave no room: they are thinned out.
  const safe = longest > 200 ? content.replaceAll(/`{200,}/g, '`…`') : content;
  const fence = '`'.repeat(Math.max(3, (longest > 200 ? 199 : longest) + 1));
  const room = max - 2 * fence.length - 'text\n\n'.length;
  return `${fence}text\n${cutBytes(safe, room, keep)}\n${fence}`;
}

/**
 * A log as it would stand on a terminal: colours and control characters gone, lines redrawn by \r only as they ended.
 * Takes time in proportion to its length, also for a log that was made to be slow.
 */
export function plainLog(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex
      .replaceAll(/\u001B(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)?|[@-_])/g, '')
      .split('\n')
      .map(lastDrawn)
      .join('\n')
      // oxlint-disable-next-line no-control-regex
      .replaceAll(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/g, '')
      // Whatever shows characters in another order than they stand, or as lines of their own.
      .replaceAll(/[\u2028-\u202E\u2066-\u2069]/g, '\uFFFD')
      .toWellFormed()
  );
}

function lastDrawn(line: string): string {
  let end = line.length;
  while (end > 0 && line[end - 1] === '\r') end -= 1;
  return end === 0 ? '' : line.slice(line.lastIndexOf('\r', end - 1) + 1, end);
}

/** One line of plain text for a title, of at most `max` UTF-16 units. */
export function titleOf(text: string, max = 255): string {
  return cut(quietMentions(oneLine(text)), max);
}

/** `Cancelled by @ada.`, and `Cancelled: ...` where the reason doesn't say that it is. */
export function cancelledText(reason: string): string {
  return /^Cancelled\b/.test(reason) ? reason : `Cancelled: ${reason}`;
}
