/** A line of a comment that people read as the writer's own words. */
export interface CommentLine {
  /** From 0. */
  readonly index: number;
  readonly text: string;
}

interface Fence {
  readonly mark: string;
  /** Columns that its list item is indented by; 0 outside of a list. */
  readonly indent: number;
}

/**
 * The lines of a comment that stand at the margin and are neither quoted, nor code (fenced, indented, between backticks,
 * `<pre>`), nor hidden in an HTML comment. Time is proportional to the length.
 */
export function* ownLines(body: string): Generator<CommentLine> {
  let fence: Fence | null = null;
  let hidden = false;
  let raw: string | null = null;
  let paragraph: CommentLine[] = [];
  for (const [index, line] of body.split(/\r?\n/).entries()) {
    if (hidden) {
      // One may end and the next begin in this line.
      hidden = !line.includes('-->') || opensComment(line);
      continue;
    }
    if (raw !== null) {
      if (line.toLowerCase().includes(raw)) raw = null;
      continue;
    }
    if (fence !== null && !leaves(fence, line)) {
      if (closes(fence, line)) fence = null;
      continue;
    }
    fence = fenceOf(line);
    const tag = /^ {0,3}<(pre|script|style|textarea)(?=[\s>]|$)/i.exec(line)?.[1]?.toLowerCase();
    if (fence !== null || tag !== undefined || line.trim() === '') {
      yield* withoutCode(paragraph);
      paragraph = [];
      if (tag !== undefined && !line.toLowerCase().includes(`</${tag}>`)) raw = `</${tag}>`;
      continue;
    }
    hidden = opensComment(line);
    paragraph.push({ index, text: withoutComments(line) });
  }
  yield* withoutCode(paragraph);
}

/** A fence, maybe as the first thing of a list item. What stands behind backticks holds none, or they are code within a line. */
function fenceOf(line: string): Fence | null {
  const [, list = '', mark, behind = ''] =
    /^( {0,3}(?:(?:[-+*]|\d{1,9}[.)]) {1,4}){0,8}) {0,3}(`{3,}|~{3,})([^]*)$/.exec(line) ?? [];
  if (mark === undefined || (mark.startsWith('`') && behind.includes('`'))) return null;
  return { mark, indent: list.trim() === '' ? 0 : list.length };
}

/** A list item ends with the first line that isn't indented as it is, and what is open in it ends too. */
function leaves({ indent }: Fence, line: string): boolean {
  return indent > 0 && line.trim() !== '' && !line.startsWith(' '.repeat(indent));
}

function closes({ mark, indent }: Fence, line: string): boolean {
  const text = indent > 0 ? line.trimStart() : line.replace(/^ {0,3}(?=[`~])/, '');
  return text.startsWith(mark) && text.replaceAll(mark.charAt(0), '').trim() === '';
}

/** A comment begins in this line and goes on behind it. */
function opensComment(line: string): boolean {
  return line.lastIndexOf('<!--') > line.lastIndexOf('-->');
}

/** What is hidden at the end of a line isn't said. */
function withoutComments(line: string): string {
  const begin = line.indexOf('<!--');
  if (begin < 0) return line;
  let text = line.slice(0, begin);
  for (let at = begin; at >= 0; ) {
    const end = line.indexOf('-->', at + 4);
    if (end < 0) break;
    const next = line.indexOf('<!--', end + 3);
    text += line.slice(end + 3, next < 0 ? line.length : next);
    at = next;
  }
  return text;
}

/** The lines that don't begin between backticks: those span lines of one paragraph. */
function* withoutCode(lines: readonly CommentLine[]): Generator<CommentLine> {
  const runs = lines.flatMap(({ text }, row) =>
    [...text.matchAll(/`+/g)].map((match) => ({ row, length: match[0].length })),
  );
  const last = new Map(runs.map(({ length }, at) => [length, at]));
  const code = new Set<number>();
  for (let at = 0; at < runs.length; at += 1) {
    const open = runs[at];
    if (open === undefined || (last.get(open.length) ?? at) <= at) continue;
    let end = at + 1;
    while (runs[end]?.length !== open.length) end += 1;
    for (let row = open.row + 1; row <= (runs[end]?.row ?? open.row); row += 1) code.add(row);
    at = end;
  }
  for (const [row, line] of lines.entries()) if (!code.has(row)) yield line;
}
