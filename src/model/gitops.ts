import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, parseDocument, visit } from 'yaml';
import type { GitOpsChange } from './delivery.ts';
import { type Condition, type FieldPath, fieldText, parseField } from './field-path.ts';
import { list, suggestion } from './suggest.ts';
import { readDocuments } from './yaml-documents.ts';

/** A file with a field set, or why it can't be. `before`: what the field had; null: nothing. */
export type FieldSet =
  | { readonly kind: 'set'; readonly text: string; readonly before: string | null }
  | { readonly kind: 'refused'; readonly message: string };

/**
 * Sets one field of a YAML or JSON file (by its name, `.json`) to a text. Only the characters of that one value change: comments,
 * order, line ends and quotes stay. In a file of several documents the field is sought in each, and must be in exactly one.
 */
export function setField(file: string, text: string, field: string, value: string): FieldSet {
  const refused = (message: string): FieldSet => ({ kind: 'refused', message: `${file}: ${message}` });
  const path = parseField(field);
  if (typeof path === 'string') return refused(`the field "${field}" is no path: ${path}.`);
  // It is written as it is: what a registry may call an image needs no escapes anywhere.
  if (!/^[A-Za-z0-9][\w.:/@+-]*$/.test(value)) return refused(`"${value}" is no image, digest or tag.`);
  const isJson = file.toLowerCase().endsWith('.json');
  const wrong = isJson ? jsonProblem(text) : null;
  if (wrong !== null) return refused(wrong);
  const read = readDocuments(text, '1.2');
  if (typeof read === 'string') return refused(read);
  const found = choose(
    read.filter((it) => it.contents !== null),
    path,
  );
  if ('message' in found) return refused(found.message);
  const { document, scalar } = found;
  const problem = editProblem(document, scalar, fieldText(path));
  if (problem !== null) return refused(problem);
  const [from, to] = scalar.range;
  const source = text.slice(from, to);
  const before = scalar.value === null || source === '' ? null : (scalar.source ?? source);
  const written = isJson ? JSON.stringify(value) : writtenAs(value, source);
  const space = source === '' && /\S/.test(text.charAt(from - 1)) ? ' ' : '';
  return { kind: 'set', text: `${text.slice(0, from)}${space}${written}${text.slice(to)}`, before };
}

/** What a field gets of an image; `reference` is `repository@sha256:...`. Null: the image has none. */
export function fieldValue(reference: string, tag: string | null, part: GitOpsChange['value']): string | null {
  if (part === 'reference') return reference;
  if (part === 'tag') return tag;
  return /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1] ?? null;
}

interface Leaf {
  readonly value: unknown;
  readonly source?: string;
  readonly type?: string | undefined;
  readonly anchor?: string;
  readonly tag?: string;
  readonly range: readonly [number, number, number];
}

type Found = { readonly document: Document.Parsed; readonly scalar: Leaf } | { readonly message: string };

/** In each document on its own; a leading `[...]` chooses among them. */
function choose(all: readonly Document.Parsed[], path: FieldPath): Found {
  const [first, ...rest] = path;
  const chooses = first?.kind !== 'key' && all.some(({ contents }) => !isSeq(contents));
  const among = chooses && first ? all.filter((it, index) => isChosen(it, index, first)) : all;
  if (chooses && among.length !== 1) {
    const kinds = all.map(({ contents }, index) => `[${index}] ${nameOf(contents)}`);
    return {
      message: `${among.length === 0 ? 'no' : `${among.length}`} of its ${all.length} documents match ${fieldText(path.slice(0, 1))}; there ${all.length === 1 ? 'is' : 'are'} ${list(kinds.slice(0, 20))}.`,
    };
  }
  const tried = among.map((document) => ({ document, result: walk(document.contents, chooses ? rest : path) }));
  const hits = tried.flatMap(({ document, result }) => ('node' in result ? [{ document, scalar: result.node }] : []));
  const [hit] = hits;
  if (hit && hits.length === 1) return hit;
  if (hit) {
    return {
      message: `the field "${fieldText(path)}" is in ${hits.length} of its documents. Say which, by a condition in front: [kind=Deployment][metadata.name=api].${fieldText(path)}`,
    };
  }
  // Of several documents the one that came nearest tells most.
  const deepest = tried.toSorted((a, b) => depth(b.result) - depth(a.result))[0]?.result;
  return { message: deepest && 'message' in deepest ? deepest.message : 'the file is empty.' };
}

type Walked = { readonly node: Leaf } | { readonly message: string; readonly depth: number };

function depth(walked: Walked): number {
  return 'depth' in walked ? walked.depth : Number.POSITIVE_INFINITY;
}

function walk(root: unknown, path: FieldPath): Walked {
  let node = root;
  for (const [index, step] of path.entries()) {
    const way = fieldText(path.slice(0, index));
    const there = way === '' ? 'at its top' : `in ${way}`;
    const stop = (message: string): Walked => ({ message, depth: index });
    if (isAlias(node)) return stop(viaAlias(way, node.source));
    if (step.kind === 'key') {
      if (!isMap(node)) return stop(`there is no "${step.key}" ${there}: that is ${what(node)}.`);
      const pair = node.items.find((it) => keyOf(it) === step.key);
      if (!pair) {
        const keys = node.items.map(keyOf);
        const merged = keys.includes('<<') ? ' What it takes over by << is set where that is written.' : '';
        return stop(`there is no "${step.key}" ${there}. ${suggestion(step.key, keys)}${merged}`.trim());
      }
      node = pair.value;
      continue;
    }
    if (!isSeq(node)) return stop(`${way === '' ? 'the document' : `"${way}"`} is no list but ${what(node)}.`);
    const { items } = node;
    if (step.kind === 'index') {
      if (step.index >= items.length)
        return stop(
          `there is no [${step.index}] ${there}: it has ${items.length} item${items.length === 1 ? '' : 's'}.`,
        );
      node = items[step.index];
      continue;
    }
    const fitting = items.filter((item) => step.conditions.every((it) => holds(item, it)));
    const wanted = fieldText([step]);
    if (fitting.length !== 1) {
      const [condition] = step.conditions;
      const values = condition ? items.flatMap((item) => valueOf(item, condition.field) ?? []) : [];
      const say = fitting.length === 0 ? 'no item' : `${fitting.length} items`;
      return stop(
        `${say} ${there} match${fitting.length === 0 ? 'es' : ''} ${wanted}. ${suggestion(condition?.value ?? '', values)}`.trim(),
      );
    }
    node = fitting[0];
  }
  const way = fieldText(path);
  if (isAlias(node)) return { message: viaAlias(way, node.source), depth: path.length };
  // A key without anything behind it has no value of its own in a set of keys.
  if (!isScalar(node) || !node.range) {
    return { message: `"${way}" is ${what(node)}, not a single value.`, depth: path.length };
  }
  return { node: node as Leaf };
}

function editProblem(document: Document.Parsed, scalar: Leaf, way: string): string | null {
  if (scalar.type === 'BLOCK_LITERAL' || scalar.type === 'BLOCK_FOLDED') {
    return `"${way}" is a block of text (| or >). Write it on one line.`;
  }
  const { anchor, tag } = scalar;
  if (tag !== undefined && tag !== 'tag:yaml.org,2002:str') return `"${way}" has the tag ${tag}: it can't be a text.`;
  if (anchor === undefined) return null;
  let uses = 0;
  visit(document, { Alias: (_, alias) => void (uses += alias.source === anchor ? 1 : 0) });
  if (uses === 0) return null;
  return `"${way}" is used in other places too, by *${anchor}: they would change with it. Write it without &${anchor}.`;
}

function viaAlias(way: string, anchor: string): string {
  return `"${way}" is *${anchor}, which stands for something that is written elsewhere. Name the field where &${anchor} is.`;
}

/** As it was quoted before; without quotes only where every reader takes it for a text. */
function writtenAs(value: string, source: string): string {
  if (source.startsWith("'")) return `'${value}'`;
  if (source.startsWith('"')) return `"${value}"`;
  // Many tools read YAML 1.1, where 1:30 and yes are no texts.
  const isText = (['1.1', '1.2'] as const).every((version) => {
    const read: unknown = parseDocument(value, { version }).toJS();
    return read === value;
  });
  return isText ? value : `"${value}"`;
}

function jsonProblem(text: string): string | null {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ''));
    return null;
  } catch (error) {
    return `it isn't JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function isChosen(document: Document.Parsed, index: number, step: FieldPath[number]): boolean {
  if (step.kind === 'index') return step.index === index;
  return step.kind === 'where' && step.conditions.every((it) => holds(document.contents, it));
}

function holds(node: unknown, { field, value }: Condition): boolean {
  return valueOf(node, field) === value;
}

/** The text of a field further in, or null. */
function valueOf(node: unknown, field: readonly string[]): string | null {
  let at = node;
  for (const key of field) at = isMap(at) ? at.items.find((it) => keyOf(it) === key)?.value : null;
  return isScalar<string | number | boolean | null>(at) && at.value !== null ? String(at.value) : null;
}

function nameOf(contents: Node | null): string {
  const kind = valueOf(contents, ['kind']) ?? what(contents);
  const name = valueOf(contents, ['metadata', 'name']);
  return name === null ? kind : `${kind} ${name}`;
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : '';
}

function what(node: unknown): string {
  if (isMap(node)) return 'a map';
  if (isSeq(node)) return 'a list';
  if (isAlias(node)) return 'an alias';
  return isScalar(node) && node.value !== null ? 'a single value' : 'empty';
}
