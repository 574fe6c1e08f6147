import type { LogName, Logs } from '#src/engine/ports.ts';
import type { Step } from '#src/model/run.ts';
import { plain, renderLine, type Style } from './ansi.ts';

/** A line of a log as HTML, and the bytes it came from. */
export interface Line {
  readonly start: number;
  /** Offset of the byte after the line and its end. */
  readonly end: number;
  readonly html: string;
}

const newline = 0x0a;
/** A line longer than this is shown in parts, so that output without line ends can't fill the memory. */
const longestLine = 64 * 1024;
/** How far back colours are looked for that are still on where reading begins. */
const lookBack = 16 * 1024;
const readAtOnce = 1024 * 1024;

/**
 * Makes lines of the bytes of a log, however they are torn: a line is given out once it is complete, so neither a
 * character of several bytes nor an escape sequence is ever cut (but for a line beyond the limit).
 */
export class LineRenderer {
  /** Offset from which reading would have to go on if this renderer were gone. */
  offset: number;
  #style: Style;
  #rest: Buffer[] = [];
  #restLength = 0;

  constructor(offset: number, style: Style) {
    this.offset = offset;
    this.#style = style;
  }

  get style(): Style {
    return this.#style;
  }

  /** Offset of the next byte that is to be pushed. */
  get position(): number {
    return this.offset + this.#restLength;
  }

  push(bytes: Buffer): Line[] {
    const lines: Line[] = [];
    let from = 0;
    for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, from)) {
      this.#keep(bytes.subarray(from, at));
      this.#cut(lines);
      lines.push(this.#take(1));
      from = at + 1;
    }
    this.#keep(bytes.subarray(from));
    this.#cut(lines);
    return lines;
  }

  /** The last line, if it has no end. */
  end(): Line[] {
    return this.#restLength > 0 ? [this.#take(0)] : [];
  }

  /** Gives out what is beyond the limit, at the same places however the bytes came. */
  #cut(lines: Line[]): void {
    if (this.#restLength <= longestLine) return;
    let rest = Buffer.concat(this.#rest);
    while (rest.length > longestLine) {
      const at = characterStart(rest, longestLine);
      this.#set(rest.subarray(0, at));
      lines.push(this.#take(0));
      rest = rest.subarray(at);
    }
    this.#set(rest);
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#rest.push(bytes);
    this.#restLength += bytes.length;
  }

  #set(bytes: Buffer): void {
    this.#rest = [bytes];
    this.#restLength = bytes.length;
  }

  #take(endLength: number): Line {
    const start = this.offset;
    const text = Buffer.concat(this.#rest).toString('utf8');
    this.offset = start + this.#restLength + endLength;
    this.#rest = [];
    this.#restLength = 0;
    const { html, style } = renderLine(text, this.#style);
    this.#style = style;
    return { start, end: this.offset, html };
  }
}

/** The nearest place at or before `at` where a character of UTF-8 starts. */
function characterStart(bytes: Buffer, at: number): number {
  for (let i = at; i > at - 4; i -= 1) if (((bytes[i] ?? 0) & 0xc0) !== 0x80) return i;
  return at;
}

/** A renderer that goes on at `offset`, the start of a line, in the colours that are on there. */
export async function rendererAt(logs: Logs, log: LogName, offset: number): Promise<LineRenderer> {
  if (offset === 0) return new LineRenderer(0, plain);
  const from = Math.max(0, offset - lookBack);
  const before = new LineRenderer(from, plain);
  before.push(await logs.read(log, from, offset));
  before.end();
  return new LineRenderer(offset, before.style);
}

export interface Tail {
  readonly lines: readonly Line[];
  /** Number of the first line, from 1. */
  readonly firstNumber: number;
  /** Bytes of the log that are left out before the first line. */
  readonly omitted: number;
  /** Offset from which a live view goes on. */
  readonly next: number;
}

/** The end of a log, at most `limit` bytes of it, in whole lines. `complete`: nothing is added any more. */
export async function readTail(logs: Logs, log: LogName, limit: number, complete: boolean): Promise<Tail> {
  const size = await logs.size(log);
  let start = Math.max(0, size - limit);
  let bytes = await logs.read(log, start, size);
  if (start > 0) {
    // Torn first line; a log that is one line without end is cut anywhere.
    const cut = bytes.indexOf(newline) + 1;
    bytes = bytes.subarray(cut);
    start += cut;
  }
  const renderer = await rendererAt(logs, log, start);
  const lines = renderer.push(bytes);
  if (complete) lines.push(...renderer.end());
  return { lines, firstNumber: (await countLines(logs, log, start)) + 1, omitted: start, next: renderer.offset };
}

async function countLines(logs: Logs, log: LogName, to: number): Promise<number> {
  let count = 0;
  for (let from = 0; from < to; from += readAtOnce) {
    const bytes = await logs.read(log, from, Math.min(to, from + readAtOnce));
    for (let at = bytes.indexOf(newline); at !== -1; at = bytes.indexOf(newline, at + 1)) count += 1;
  }
  return count;
}

/** Part of the page where a line belongs: a step's index, or what came before or after the steps. */
export type Section = number | 'before' | 'after';

export function sectionOf(steps: readonly Step[], offset: number): Section {
  const step = steps.findLast((s) => s.logStart !== null && s.logStart <= offset);
  if (!step) return 'before';
  const over = step.logEnd !== null && step.logEnd <= offset;
  return over && step.index === steps.length - 1 ? 'after' : step.index;
}

export interface Group {
  readonly section: Section;
  readonly lines: readonly Line[];
}

/** Neighbouring lines of the same section together, at most about 64 KB a group. */
export function groupLines(steps: readonly Step[], lines: readonly Line[]): Group[] {
  const groups: { section: Section; lines: Line[] }[] = [];
  let size = 0;
  for (const line of lines) {
    const section = sectionOf(steps, line.start);
    const last = groups.at(-1);
    if (last && last.section === section && size < 64 * 1024) {
      last.lines.push(line);
      size += line.html.length;
    } else {
      groups.push({ section, lines: [line] });
      size = line.html.length;
    }
  }
  return groups;
}
