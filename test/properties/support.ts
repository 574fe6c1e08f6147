import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import type { Trigger } from '#src/model/event.ts';
import type { Repository } from '#src/model/repository.ts';

/** Runs of each property. SLIPWAY_PROPERTY_RUNS=50000 is the thorough mode. */
const runs = Number(process.env['SLIPWAY_PROPERTY_RUNS'] ?? 500);
/** The same inputs each time, unless SLIPWAY_PROPERTY_SEED says otherwise. */
const seed = Number(process.env['SLIPWAY_PROPERTY_SEED'] ?? 20_260);

/** The seed beside a subject's name, so that a failure can be repeated. */
export function subject(name: string): string {
  return `${name} (seed ${seed}, ${runs} runs)`;
}

/** Checks a property `runs` times (times `share`), and that nothing was put on what all objects have. */
export function check<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => void, share = 1): void {
  fc.assert(
    fc.property(arbitrary, (value) => {
      property(value);
      refusePollution();
    }),
    { seed, numRuns: Math.max(1, Math.round(runs * share)) },
  );
}

/** As `check`, for what answers later. */
export async function checkLater<T>(
  arbitrary: fc.Arbitrary<T>,
  property: (value: T) => Promise<void>,
  share = 1,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      await property(value);
      refusePollution();
    }),
    { seed, numRuns: Math.max(1, Math.round(runs * share)) },
  );
}

/** A jest test of many runs may take as long as it needs. */
export const patience = 4 * 60 * 60_000;

const prototypes = [Object.prototype, Array.prototype, Function.prototype, String.prototype, Number.prototype];
const clean = prototypes.map((each) => Reflect.ownKeys(each).length);

function refusePollution(): void {
  const now = prototypes.map((each) => Reflect.ownKeys(each).length);
  if (now.some((count, index) => count !== clean[index])) throw new Error('A prototype was polluted.');
}

/** Pieces of any text: what readers trip over. */
const oddities: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '\u0000',
  '\uFEFF',
  '\r',
  '\r\n',
  '\n',
  '\t',
  '\u2028',
  '\u0085',
  '\u001b[31m',
  '\u009b31m',
  '\ud800',
  '\udc00',
  '🚀',
  '\u202e',
  '-1',
  '1e999',
  '0x7fffffffffffffff',
  'NaN',
  '99999999999999999999',
  '..',
  '/',
  '\\',
  '"',
  "'",
  '`',
  '$(id)',
  '%s%n',
  '<script>',
  '-->',
  '{{',
  '}}',
  ' ',
  '          ',
];

/** Texts of these pieces, with random characters between. */
export function madeOf(pieces: readonly string[], maxLength = 30): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...pieces) },
    { weight: 1, arbitrary: fc.constantFrom(...oddities) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
  );
  return fc.array(piece, { maxLength }).map((parts) => parts.join(''));
}

/** Any text at all. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  madeOf(oddities),
);

/** Any bytes at all: no text, text, and text that was damaged. */
export const anyBytes: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  anyText.map((text) => Buffer.from(text)),
  anyText.map((text) => Buffer.from(text, 'latin1')),
);

/** Cuts a thing with a length into parts: places as fractions of it, in any order. */
export const cuts: fc.Arbitrary<readonly number[]> = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
  maxLength: 12,
});

/** The bytes in parts, cut at the fractions given; empty parts among them. */
export function cutBy(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [0, ...at.map((part) => Math.round(part * bytes.length)), bytes.length].sort((a, b) => a - b);
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

/** Real texts, damaged: parts left out, doubled, moved, replaced by the pieces. */
export function damaged(texts: readonly string[], pieces: readonly string[]): fc.Arbitrary<string> {
  const place = fc.double({ min: 0, max: 1, noNaN: true });
  const change = fc.record({
    kind: fc.constantFrom('leave out', 'double', 'put in', 'cut off', 'swap'),
    from: place,
    length: fc.nat(40),
    piece: fc.constantFrom(...pieces, ...oddities),
  });
  return fc.tuple(fc.constantFrom(...texts), fc.array(change, { maxLength: 6 })).map(([original, changes]) => {
    let text = original;
    for (const { kind, from, length, piece } of changes) {
      const start = Math.floor(from * text.length);
      const [head, part, tail] = [text.slice(0, start), text.slice(start, start + length), text.slice(start + length)];
      if (kind === 'leave out') text = head + tail;
      else if (kind === 'double') text = head + part + part + tail;
      else if (kind === 'put in') text = head + piece + part + tail;
      else if (kind === 'cut off') text = head + part;
      else text = tail + part + head;
    }
    return text.slice(0, 20_000);
  });
}

/** Real data with parts of it replaced by anything, left out, or nested. */
export function damagedJson(values: readonly unknown[]): fc.Arbitrary<unknown> {
  const change = fc.record({
    kind: fc.constantFrom('replace', 'leave out', 'nest', 'add'),
    path: fc.array(fc.nat(1000), { minLength: 1, maxLength: 5 }),
    value: anyJson,
    key: fc.constantFrom('__proto__', 'constructor', 'id', 'kind', 'metadata', 'toString'),
  });
  return fc.tuple(fc.constantFrom(...values), fc.array(change, { maxLength: 4 })).map(([value, changes]) => {
    const whole: { root: unknown } = { root: structuredClone(value) };
    for (const { kind, path, value: other, key } of changes) {
      let parent: Record<string, unknown> = whole;
      let name = 'root';
      for (const step of path) {
        const here = parent[name];
        if (typeof here !== 'object' || here === null) break;
        const keys = Object.keys(here);
        if (keys.length === 0) break;
        parent = here as Record<string, unknown>;
        name = keys[step % keys.length] ?? '';
      }
      if (kind === 'leave out') delete parent[name];
      else if (kind === 'nest') parent[name] = [parent[name]];
      else if (kind === 'add') {
        Object.defineProperty(parent, key, { value: other, enumerable: true, configurable: true, writable: true });
      } else parent[name] = other;
    }
    return whole.root;
  });
}

/** Any JSON, with keys that every object of JavaScript has among them. */
export const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(null, true, -1, 1e308, '', [], {}, [null], 2 ** 53, 'refs/heads/x', '0'.repeat(40)),
  fc
    .constantFrom('{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}')
    .map((text): unknown => JSON.parse(text)),
);

/** The YAML in the documentation, and the files of the folders in SLIPWAY_TEST_CORPUS (with `:` between). */
export function realFiles(): readonly string[] {
  const docs = new URL('../../docs/', import.meta.url).pathname;
  const pages = filesUnder(docs).filter((file) => file.endsWith('.md'));
  const examples = pages.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/```ya?ml\n([^`]*)```/g)].map((match) => match[1] ?? ''),
  );
  const folders = (process.env['SLIPWAY_TEST_CORPUS'] ?? '').split(':').filter((folder) => folder !== '');
  const corpus = folders.flatMap(filesUnder).filter((file) => /\.ya?ml$|\.json$/.test(file));
  return [...examples, ...corpus.map((file) => readFileSync(file, 'utf8').slice(0, 20_000))];
}

function filesUnder(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
    .sort();
}

export const repository: Repository = {
  id: 1,
  owner: 'acme',
  name: 'shop',
  defaultBranch: 'main',
  private: false,
  cloneUrl: 'https://github.example/acme/shop.git',
  installationId: 1,
};

/** Triggers of every kind, with names that people may give. */
export const triggers: fc.Arbitrary<Trigger> = fc
  .record({
    kind: fc.constantFrom('push', 'tag', 'pull_request', 'merge_group', 'deploy'),
    name: fc.oneof(fc.constantFrom('main', 'v1.2.3', 'staging', 'production', 'a', '__proto__'), anyText),
    number: fc.nat(1000),
    fork: fc.boolean(),
    title: anyText,
  })
  .map(({ kind, name, number, fork, title }) => {
    const common = { sha: 'a'.repeat(40), ref: `refs/heads/${name}`, actor: name, title };
    const all = {
      push: { ...common, kind: 'push', branch: name },
      tag: { ...common, kind: 'tag', tag: name },
      pull_request: { ...common, kind: 'pull_request', number, branch: name, base: 'main', fork },
      merge_group: { ...common, kind: 'merge_group', base: name },
      deploy: { ...common, kind: 'deploy', environment: name, branch: 'main', number: null, request: '1' },
    } as const;
    return all[kind];
  });
