/* oxlint-disable no-control-regex, no-misleading-character-class -- such characters are what this file is about */

/** C0 and C1 without tab and line feed: they end texts (NUL), overwrite lines and begin escape sequences. */
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * Characters that nobody sees, or that show others in another order: zero-width spaces, what overrides the direction of
 * text, separators that editors take for line ends, and tags. Joiners stay, for emoji and many languages need them.
 */
const hidden = /[\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

/**
 * Somebody's text as it may be shown beside our own words: it can't be other than it looks, and no terminal, page or API
 * trips over it. Invisible characters become `�`, so that a name with one differs from the name without.
 */
export function harmless(text: string): string {
  return text.replace(controls, '').replace(hidden, '\uFFFD').toWellFormed();
}

/** A sequence that sets colours, which may stay; any other sequence, string or escape; a lone control character. */
const sequences =
  /\u001b\[[0-9;:]{0,64}m|\u001b\[[0-?]{0,64}[ -/]{0,8}[@-~]?|\u001b[\]PX^_][^\u0007\u001b\u009c]{0,4096}(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]{0,8}[0-~]?|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g;

/**
 * One line of a log for a terminal: its colours, and nothing else that a terminal obeys (moving, erasing, titles, the
 * clipboard, links, answers). Of what a carriage return wrote over, the last is left. Colours end with the line.
 */
export function terminalLine(line: string): string {
  const end = line.replace(/\r+$/, '');
  const last = end.slice(end.lastIndexOf('\r') + 1);
  let coloured = false;
  const text = last.replace(sequences, (match) => {
    if (!/^\u001b\[[0-9;:]*m$/.test(match)) return '';
    coloured = true;
    return match;
  });
  return text.replace(hidden, '\uFFFD').toWellFormed() + (coloured ? '\u001b[0m' : '');
}
