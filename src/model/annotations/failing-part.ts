import { cleanLine, stripAnsi } from './terminal.ts';

const maxScanned = 8 * 1024 * 1024;
const maxLineLength = 2000;
const linesBefore = 2;

const trouble =
  /\b(?:error|errors|err!|fail|failed|failure|failures|fatal|exception|panic|panicked|traceback|segmentation fault|cannot find|can't find|command not found|no such file|undefined reference|not ok)\b|^E {2,}|✕|✗|×|\bERR_/i;
const harmless =
  /\b(?:0|no|without) (?:errors?|fail(?:ed|ures?)?|problems?)\b|\b(?:errors?|fail(?:ed|ures?)?)[:=] ?0\b/i;

/**
 * The part of a log that explains a failure, at most `maxBytes` of UTF-8: where the first error shows, and the end.
 * Cut between lines, without colours. Of a longer log than 8 MB only the end is looked at.
 */
export function failingPart(log: Uint8Array, maxBytes: number): string {
  const scanned = log.length > maxScanned ? log.subarray(firstLineStart(log, log.length - maxScanned)) : log;
  const lines = new TextDecoder().decode(scanned).split('\n');
  while (lines.at(-1)?.trim() === '') lines.pop();
  const room = Math.max(0, maxBytes - 80); // for the remark on what is left out

  const whole = lastLines(lines, room);
  if (whole.from === 0) return cutBytes(whole.shown.join('\n'), maxBytes);
  const first = lines.findIndex(looksBad);
  const tail = first < 0 ? whole : lastLines(lines, Math.floor(room * 0.6));
  const start = Math.max(0, first - linesBefore);
  if (first < 0 || start >= whole.from) return cutBytes(whole.shown.join('\n'), maxBytes);

  const head = nextLines(lines, start, tail.from, room - tail.bytes);
  const gap = tail.from - start - head.length;
  const remark = gap > 0 ? [`[${gap} lines left out]`] : [];
  return cutBytes([...head, ...remark, ...tail.shown].join('\n'), maxBytes);
}

function looksBad(line: string): boolean {
  if (line.length < 4) return false;
  const text = stripAnsi(line.slice(0, maxLineLength));
  return trouble.test(text) && !harmless.test(text);
}

/** As many lines of the end as fit. */
function lastLines(lines: readonly string[], room: number): { from: number; shown: string[]; bytes: number } {
  const shown: string[] = [];
  let bytes = 0;
  let from = lines.length;
  for (; from > 0; from--) {
    const line = shownLine(lines[from - 1] ?? '');
    const size = byteLength(line) + 1;
    if (bytes + size > room) break;
    bytes += size;
    shown.push(line);
  }
  return { from, shown: shown.toReversed(), bytes };
}

/** As many lines between `start` and `end` as fit. */
function nextLines(lines: readonly string[], start: number, end: number, room: number): string[] {
  const shown: string[] = [];
  let left = room;
  for (const raw of lines.slice(start, end)) {
    const line = shownLine(raw);
    left -= byteLength(line) + 1;
    if (left < 0) break;
    shown.push(line);
  }
  return shown;
}

function shownLine(line: string): string {
  const text = cleanLine(line.length > 4 * maxLineLength ? line.slice(0, 4 * maxLineLength) : line);
  return text.length > maxLineLength ? `${text.slice(0, maxLineLength).toWellFormed()} [...]` : text;
}

/** After the next line feed, so that no character is cut. */
function firstLineStart(bytes: Uint8Array, from: number): number {
  const feed = bytes.indexOf(10, from);
  return feed < 0 ? from : feed + 1;
}

/** At most `maxBytes` of UTF-8, cut between characters. */
export function cutBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  const target = new Uint8Array(Math.max(0, maxBytes));
  const { read } = new TextEncoder().encodeInto(text, target);
  return text.slice(0, read);
}

function byteLength(text: string): number {
  return encoder.encode(text).length;
}

const encoder = new TextEncoder();
