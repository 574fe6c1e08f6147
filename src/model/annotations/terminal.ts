/* oxlint-disable no-control-regex -- control characters are what this file is about */

/** Escape sequences of terminals (ECMA-48): CSI, OSC, other strings, two-character ones. Each part is bounded. */
const escapes =
  /\u001b\[[0-?]{0,64}[ -/]{0,8}[@-~]?|\u001b\][^\u0007\u001b\n]{0,4096}(?:\u0007|\u001b\\)?|\u001b[PX^_][^\u001b\n]{0,4096}(?:\u001b\\)?|\u001b[ -/]{0,8}[0-~]?|\u009b[0-?]{0,64}[ -/]{0,8}[@-~]?/g;
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The text without colours and other escape sequences. */
export function stripAnsi(text: string): string {
  return text.includes('\u001b') || text.includes('\u009b') ? text.replace(escapes, '') : text;
}

/**
 * The text as it stands on a terminal in the end: without colours, progress that overwrites its line reduced to the
 * last state, without other control characters than tab and line feed.
 */
export function cleanTerminal(text: string): string {
  return text.split('\n').map(cleanLine).join('\n');
}

/** One line of text, without its line feed. */
export function cleanLine(line: string): string {
  let text = stripAnsi(line);
  if (text.includes('\r')) text = text.split('\r').findLast((state) => state !== '') ?? '';
  if (text.includes('\b')) text = applyBackspaces(text);
  return text.replace(controls, '');
}

function applyBackspaces(text: string): string {
  const shown: string[] = [];
  for (const character of text) {
    if (character === '\b') shown.pop();
    else shown.push(character);
  }
  return shown.join('');
}
