import { SHORTEST_SECRET } from './secret.ts';

/** Shorter pieces of base64 would hit innocent text. */
const SHORTEST_BASE64 = 6;
/** Where base64(1) and openssl begin a new line. */
const BASE64_COLUMNS = [76, 64];

/**
 * Every text as which one of the values is hidden: as it is, line by line, and in the encodings in which tools print
 * values by accident (base64, URLs, JSON, XML, quoted by a shell). Not in those that only somebody who wants to show it
 * would choose (hex, reversed, a character at a time): there is no end to them. Values of less than SHORTEST_SECRET
 * characters are left out.
 */
export function formsOf(values: readonly string[]): ReadonlySet<string> {
  const forms = new Set<string>();
  for (const value of values) {
    const trimmed = value.trim();
    if (trimmed.length < SHORTEST_SECRET) continue;
    addForms(forms, trimmed);
    // What was encoded may have had the blanks at its ends.
    if (value !== trimmed) for (const form of base64Forms(value)) forms.add(form);
    const lines = trimmed.split(/\r?\n|\r/).map((line) => line.trim());
    if (lines.length > 1) for (const line of lines) if (line.length >= SHORTEST_SECRET) addForms(forms, line);
  }
  return forms;
}

function addForms(forms: Set<string>, text: string): void {
  forms.add(text);
  for (const encode of [urlForms, jsonForms, xmlForms, shellForms, base64Forms]) {
    for (const form of encode(text)) forms.add(form);
  }
}

function urlForms(text: string): readonly string[] {
  const plain = encodeURIComponent(text.toWellFormed());
  const strict = plain.replaceAll(/[!'()*]/g, percent);
  const forms = [
    plain,
    strict,
    // As in a path, and as in a form: also with blanks as +.
    strict.replaceAll('%2F', '/'),
    strict.replaceAll('%20', '+').replaceAll('%2A', '*'),
    plain.replaceAll('%20', '+'),
  ];
  return [...forms, ...forms.map((form) => form.replaceAll(/%[0-9A-F]{2}/g, (digits) => digits.toLowerCase()))];
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function jsonForms(text: string): readonly string[] {
  const plain = JSON.stringify(text).slice(1, -1);
  const ascii = plain.replaceAll(/[^\x20-\x7e]/g, unicodeEscape);
  return [plain, plain.replaceAll('/', '\\/'), ascii, plain.replaceAll(/[<>&]/g, unicodeEscape)];
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function xmlForms(text: string): readonly string[] {
  const content = text.replaceAll(/[&<>]/g, (found) => ENTITIES[found] ?? found);
  const attribute = content.replaceAll('"', '&quot;');
  const lines = attribute.replaceAll('\n', '&#10;');
  return [content, attribute, lines, ...['&apos;', '&#39;', '&#x27;'].map((apos) => attribute.replaceAll("'", apos))];
}

/** As `set -x`, `export -p` and `printf %q` print it. */
function shellForms(text: string): readonly string[] {
  const ansi = text
    .replaceAll(/[\\']/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('\r', '\\r');
  return [
    text.replaceAll("'", "'\\''"),
    text.replaceAll("'", `'"'"'`),
    text.replaceAll(/["$`\\]/g, '\\$&'),
    text.replaceAll(/[^A-Za-z0-9_./:=@%+,\u0080-\uffff-]/g, '\\$&'),
    ansi,
  ];
}

/**
 * The text's base64 as it appears wherever it stands in a longer text that was encoded (`user:password`): three
 * alignments, without the characters at the ends that depend on the neighbours. Both alphabets. Of a text that was
 * encoded alone also the lines into which tools break it.
 */
function base64Forms(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const forms: string[] = [];
  for (const shift of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    const from = shift === 0 ? 0 : shift + 1;
    const to = (shift + bytes.length) % 3 === 0 ? encoded.length : encoded.length - 1;
    const stable = encoded.slice(from, to);
    forms.push(stable);
    if (shift !== 0) continue;
    for (const columns of BASE64_COLUMNS) {
      for (let at = 0; stable.length > columns && at < stable.length; at += columns) {
        forms.push(stable.slice(at, at + columns));
      }
    }
  }
  return forms
    .filter((form) => form.length >= SHORTEST_BASE64)
    .flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]);
}
