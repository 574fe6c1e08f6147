/** How text is shown, as the escape sequences so far say. Colours are 0 to 15, the terminal's. */
export interface Style {
  readonly foreground: number | null;
  readonly background: number | null;
  readonly bold: boolean;
  readonly dim: boolean;
  readonly italic: boolean;
  readonly underline: boolean;
}

export const plain: Style = {
  foreground: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
};

/**
 * One line of a log (without its end) as HTML, everything escaped, and the style that goes on in the next line.
 * Colours become classes, because the pages' policy forbids inline styles. Of what a carriage return wrote over,
 * the last is shown. Sequences other than colours, and other control characters, are left out.
 */
export function renderLine(line: string, before: Style): { readonly html: string; readonly style: Style } {
  let end = line.length;
  while (end > 0 && line[end - 1] === '\r') end -= 1;
  const segments = line.slice(0, end).split('\r');
  let style = before;
  let html = '';
  for (const segment of segments) ({ html, style } = renderSegment(segment, style));
  return { html, style };
}

// A colour; any other control sequence, string or escape; a lone control character. Every alternative matches what it
// has begun, so that time is in proportion to the length.
// biome-ignore format: one alternative a line
const sequence =
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]?|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|\x9b[0-?]*[ -/]*[@-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

function renderSegment(text: string, before: Style): { html: string; style: Style } {
  let style = before;
  let html = '';
  let from = 0;
  for (const match of text.matchAll(sequence)) {
    html += span(text.slice(from, match.index), style);
    from = match.index + match[0].length;
    if (match[1] !== undefined) style = applyCodes(match[1], style);
  }
  return { html: html + span(text.slice(from), style), style };
}

function span(text: string, style: Style): string {
  if (text === '') return '';
  const classes = [
    style.foreground === null ? '' : `f${style.foreground}`,
    style.background === null ? '' : `b${style.background}`,
    style.bold ? 'bold' : '',
    style.dim ? 'dim' : '',
    style.italic ? 'italic' : '',
    style.underline ? 'underline' : '',
  ].filter(Boolean);
  return classes.length === 0 ? escape(text) : `<span class="${classes.join(' ')}">${escape(text)}</span>`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  // What shows text in another order than it stands becomes visible.
  return text.replace(/[\u2028-\u202e\u2066-\u2069]/g, '\uFFFD').replace(/[&<>"']/g, (it) => entities[it] ?? '');
}

/** Select Graphic Rendition, ECMA-48 8.3.117, with xterm's 256 and 24-bit colours. */
function applyCodes(text: string, before: Style): Style {
  const codes = text.split(/[;:]/).map(Number);
  let style = before;
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const { color, used } = extendedColor(codes.slice(i + 1));
      style = code === 38 ? { ...style, foreground: color } : { ...style, background: color };
      i += used;
    } else {
      style = applyCode(code, style);
    }
  }
  return style;
}

function applyCode(code: number, style: Style): Style {
  if (code >= 30 && code <= 37) return { ...style, foreground: code - 30 };
  if (code >= 90 && code <= 97) return { ...style, foreground: code - 82 };
  if (code >= 40 && code <= 47) return { ...style, background: code - 40 };
  if (code >= 100 && code <= 107) return { ...style, background: code - 92 };
  switch (code) {
    case 0:
      return plain;
    case 1:
      return { ...style, bold: true };
    case 2:
      return { ...style, dim: true };
    case 3:
      return { ...style, italic: true };
    case 4:
      return { ...style, underline: true };
    case 22:
      return { ...style, bold: false, dim: false };
    case 23:
      return { ...style, italic: false };
    case 24:
      return { ...style, underline: false };
    case 39:
      return { ...style, foreground: null };
    case 49:
      return { ...style, background: null };
    default:
      return style;
  }
}

function extendedColor(rest: readonly number[]): { color: number | null; used: number } {
  if (rest[0] === 5) return { color: ofPalette(rest[1] ?? 0), used: 2 };
  if (rest[0] === 2) return { color: nearest(rest[1] ?? 0, rest[2] ?? 0, rest[3] ?? 0), used: 4 };
  return { color: null, used: rest.length };
}

/** xterm's 256 colours: 16 named ones, a cube of 6 x 6 x 6, 24 greys. */
function ofPalette(index: number): number {
  if (index < 16) return index;
  if (index >= 232) return nearest(8 + (index - 232) * 10, 8 + (index - 232) * 10, 8 + (index - 232) * 10);
  const level = (step: number) => (step === 0 ? 0 : 55 + step * 40);
  const cube = index - 16;
  return nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** The named colour that comes closest, so that the page's two palettes keep every text readable. */
function nearest(red: number, green: number, blue: number): number {
  const highest = Math.max(red, green, blue);
  if (highest - Math.min(red, green, blue) < 40) {
    if (highest < 64) return 0;
    if (highest < 150) return 8;
    return highest < 220 ? 7 : 15;
  }
  const bit = (value: number) => (value > highest / 2 ? 1 : 0);
  return bit(red) + bit(green) * 2 + bit(blue) * 4 + (highest > 170 ? 8 : 0);
}
