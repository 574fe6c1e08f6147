import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLError,
  type YAMLMap,
} from 'yaml';
import type { Diagnostic, Span } from '#src/model/diagnostic.ts';

/** Keys and indexes that lead to a value. */
export type Path = readonly PropertyKey[];

/** A YAML file taken apart, with the places of everything in it. */
export interface YamlFile {
  /** The file as plain data; undefined if it isn't YAML. */
  readonly value: unknown;
  /** What is wrong with it as YAML. */
  readonly diagnostics: readonly Diagnostic[];
  /** Place of the value at the path, or of the nearest thing around it that there is. */
  at(path: Path): Span;
  /** Place of the key at the path's end. */
  atKey(path: Path): Span;
  /** Place of a part of the text at the path; `offset` counts characters of its value. */
  within(path: Path, offset: number): Span;
  /** How the scalar at the path is written (`3.10`), or null if it isn't a scalar. */
  written(path: Path): string | null;
}

const MAX_CHARACTERS = 256 * 1024;
/** Finding what an alias stands for takes time in proportion to the file. */
const MAX_ALIASES = 500;
/** Values and characters with every alias written out. A file without aliases never comes near. */
const MAX_EXPANDED = 1024 * 1024;
/** More syntax errors than this tell nobody anything. */
const MAX_ERRORS = 20;

/** Parses YAML 1.2 with merge keys (`<<`). Never throws: what is wrong comes as diagnostics with places. */
export function readYaml(file: string, text: string): YamlFile {
  const start: Span = { file, line: 1, column: 1 };
  if (text.length > MAX_CHARACTERS) {
    return unreadable(
      start,
      'file-too-large',
      `The file has more than ${MAX_CHARACTERS / 1024} KiB.`,
      'Make it smaller.',
    );
  }
  try {
    const documents = parseAllDocuments(text, {
      merge: true,
      prettyErrors: false,
      stringKeys: true,
      // The library compares each key with each other one; keyProblems is quicker.
      uniqueKeys: false,
    });
    const [document, second] = 'empty' in documents ? [] : documents;
    if (document === undefined) return unreadable(start, 'empty-file', 'The file is empty.', 'Add jobs.');
    return read(document, second?.range[0] ?? null, file, text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (/alias count/i.test(message)) {
      return unreadable(
        start,
        'too-many-aliases',
        'The aliases (*name) of this file make it grow without measure.',
        'Use fewer aliases.',
      );
    }
    if (/unresolved alias/i.test(message))
      return unreadable(start, 'unknown-alias', `${message}.`, 'Aliases (*name) need an anchor (&name) before them.');
    return unreadable(start, 'yaml-syntax', 'The file is nested too deeply or is no YAML.');
  }
}

function read(document: Document.Parsed, second: number | null, file: string, text: string): YamlFile {
  const placeOf = placesIn(text);
  function span(from: number, to: number): Span {
    // The library places what is missing at the end beyond it.
    const start = placeOf(Math.min(from, text.length));
    const end = placeOf(Math.min(Math.max(from, to), text.length));
    return { file, line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
  }
  function ofNode(node: Node | null | undefined): Span {
    const [from, to] = node?.range ?? [0, 0];
    // A block's end lies on the line after it; its start is what people look for.
    return isScalar(node) && !text.slice(from, to).includes('\n') ? span(from, to) : span(from, from);
  }
  const diagnostics = [...document.errors, ...document.warnings]
    .slice(0, MAX_ERRORS)
    .map((error) => explain(error, span));
  if (second !== null) {
    diagnostics.push({
      severity: 'error',
      code: 'several-documents',
      message: 'The file holds several documents; a pipeline is one.',
      hint: 'Remove the line ---.',
      at: span(second, second),
    });
  }
  const readable = document.errors.length === 0;
  let aliases = 0;
  if (!document.errors.some(isTooDeep)) {
    visit(document, {
      Map(_, map) {
        for (const problem of keyProblems(map, ofNode)) diagnostics.push(problem);
      },
      Alias() {
        aliases += 1;
      },
    });
  }
  if (aliases > MAX_ALIASES) throw new Error('Excessive alias count');
  const value: unknown = readable ? document.toJS({ maxAliasCount: 100 }) : undefined;
  if (aliases > 0 && expandedSize(value, new Map()) > MAX_EXPANDED) throw new Error('Excessive alias count');
  return {
    value,
    diagnostics,
    at: (path) => ofNode(nodeAt(document, path)),
    atKey(path) {
      const parent = resolved(document, nodeAt(document, path.slice(0, -1)));
      const pair = isMap(parent) ? pairOf(parent, String(path.at(-1))) : undefined;
      return ofNode((pair?.key as Node | undefined) ?? nodeAt(document, path));
    },
    within(path, offset) {
      const node = resolved(document, nodeAt(document, path));
      if (!isScalar(node) || typeof node.value !== 'string' || !node.range) return ofNode(node);
      const place = sourceOffset(text.slice(node.range[0], node.range[1]), node.value, offset);
      return place === null ? ofNode(node) : span(node.range[0] + place, node.range[0] + place);
    },
    written(path) {
      const node = resolved(document, nodeAt(document, path));
      return isScalar(node) && node.range ? (node.source ?? text.slice(node.range[0], node.range[1])) : null;
    },
  };
}

/** Line and column of an offset. The library's own counter misses line feeds in what is no YAML. */
function placesIn(text: string): (offset: number) => { readonly line: number; readonly column: number } {
  const starts = [0];
  for (let feed = text.indexOf('\n'); feed >= 0; feed = text.indexOf('\n', feed + 1)) starts.push(feed + 1);
  return (offset) => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** The node at the path, or the nearest around it. */
function nodeAt(document: Document.Parsed, path: Path): Node | null {
  let node: Node | null = document.contents;
  for (const step of path) {
    const parent: Node | null = resolved(document, node);
    let next: Node | null = null;
    if (isMap(parent)) {
      const pair = pairOf(parent, String(step));
      next = (pair?.value as Node | null | undefined) ?? (pair?.key as Node | undefined) ?? null;
    } else if (isSeq(parent)) {
      next = (parent.items[Number(step)] as Node | undefined) ?? null;
    }
    if (next === null) return node;
    node = next;
  }
  return node;
}

const targets = new WeakMap<Alias, Node | null>();

/** The library looks through the whole document for each alias, and is asked for the same ones often. */
function resolved(document: Document.Parsed, node: Node | null): Node | null {
  if (!isAlias(node)) return node;
  const known = targets.get(node);
  if (known !== undefined) return known;
  const target = node.resolve(document) ?? null;
  targets.set(node, target);
  return target;
}

/** Values and characters of what aliases share, counted wherever it stands; infinite for what holds itself. */
function expandedSize(value: unknown, known: Map<object, number>): number {
  if (typeof value === 'string') return 1 + value.length;
  if (typeof value !== 'object' || value === null) return 1;
  const before = known.get(value);
  if (before !== undefined) return before;
  known.set(value, Number.POSITIVE_INFINITY);
  let size = 1;
  for (const [key, item] of Object.entries(value)) size += key.length + expandedSize(item, known);
  known.set(value, size);
  return size;
}

const indexes = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

/** Looked up often in maps that may be long. Of keys that are there twice the last counts, as in the value. */
function pairOf(map: YAMLMap, key: string): Pair | undefined {
  const index = indexes.get(map) ?? new Map(map.items.map((pair) => [keyOf(pair), pair]));
  indexes.set(map, index);
  return index.get(key);
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/** Where a character of a scalar's value stands in its source: found line by line, because blocks are indented. */
function sourceOffset(source: string, value: string, offset: number): number | null {
  const lines = value.split('\n');
  const before = value.slice(0, offset).split('\n');
  const line = before.length - 1;
  const column = before.at(-1)?.length ?? 0;
  const content = lines[line] ?? '';
  let from = 0;
  for (let above = 0; above < line; above += 1) {
    const text = lines[above] ?? '';
    const found = source.indexOf(text, from);
    if (found < 0) return null;
    from = found + text.length;
  }
  const found = source.indexOf(content, from);
  return found < 0 ? null : found + column;
}

/** Keys that are there twice, or can't be keys. */
function keyProblems(map: YAMLMap, place: (node: Node) => Span): readonly Diagnostic[] {
  const seen = new Set<string>();
  return map.items.flatMap((pair): Diagnostic[] => {
    const key = keyOf(pair);
    const twice = seen.has(key) && key !== '<<';
    seen.add(key);
    const at = place(pair.key as Node);
    if (key === '__proto__') {
      return [{ severity: 'error', code: 'bad-name', message: 'Nothing can be called "__proto__".', at }];
    }
    if (!twice) return [];
    const message = `The key "${key.slice(0, 100)}" is here twice; only one of them could count.`;
    return [{ severity: 'error', code: 'duplicate-key', message, hint: 'Remove or rename one of them.', at }];
  });
}

function isTooDeep(error: YAMLError): boolean {
  return /call stack/i.test(error.message);
}

function explain(error: YAMLError, span: (from: number, to: number) => Span): Diagnostic {
  const at = span(error.pos[0], error.pos[1]);
  const known: Partial<Record<YAMLError['code'], readonly [string, string, string]>> = {
    TAB_AS_INDENT: ['yaml-syntax', 'YAML is indented by spaces, never by tabs.', 'Replace the tab by spaces.'],
    TAG_RESOLVE_FAILED: ['yaml-syntax', 'This tag (!name) has no meaning here.', 'Remove it.'],
    BAD_INDENT: [
      'yaml-syntax',
      `The indentation isn't right: ${error.message}.`,
      'Keys of one map start in one column.',
    ],
  };
  if (isTooDeep(error)) {
    return { severity: 'error', code: 'too-deep', message: 'This is nested too deeply.', hint: 'Nest less.', at };
  }
  if (error.message.startsWith('Nested mappings are not allowed in compact')) {
    const message = 'This isn\'t YAML: a second ": " in one line.';
    return { severity: 'error', code: 'yaml-syntax', message, hint: 'Put a text that has ": " in it in quotes.', at };
  }
  const [code, message, hint] = known[error.code] ?? [
    'yaml-syntax',
    `This isn't YAML: ${error.message.replace('"quote', 'quote "')}.`,
    '',
  ];
  return { severity: 'error', code, message, ...(hint && { hint }), at };
}

function unreadable(at: Span, code: string, message: string, hint?: string): YamlFile {
  return {
    value: undefined,
    diagnostics: [{ severity: 'error', code, message, ...(hint && { hint }), at }],
    at: () => at,
    atKey: () => at,
    within: () => at,
    written: () => null,
  };
}
