import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { compileFile } from '#src/dialects/index.ts';
import { jsonSchema } from '#src/dialects/native/schema.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';

const published: unknown = JSON.parse(
  readFileSync(new URL('../../schema/slipway.schema.json', import.meta.url), 'utf8'),
);
const docs = readFileSync(new URL('../../docs/pipeline.md', import.meta.url), 'utf8');

describe('the published JSON Schema', () => {
  it('is up to date (npx node script/schema.ts writes it)', () => {
    expect(published).toEqual(JSON.parse(JSON.stringify(jsonSchema())));
  });

  it('describes every key', () => {
    expect(undescribed(published)).toEqual([]);
  });

  it.each<[boolean, string]>([
    [true, 'jobs: { a: { image: x, run: y } }'],
    [true, 'jobs: { a: { build: { image: x/y } } }'],
    [false, 'jobs: { a: { image: x } }'],
    [false, 'jobs: { a: { image: x, run: y, build: {} } }'],
    [false, 'jobs: { a: { image: x, run: y, cache: z } }'],
    [false, 'environments: {}'],
  ])('%s for %s', (valid, text) => {
    expect(new Ajv2020().compile(published as object)(parse(text))).toBe(valid);
  });
});

describe('docs/pipeline.md', () => {
  it('names every key', () => {
    expect(keysOf(published).filter((key) => !docs.includes(`\`${key}\``) && !docs.includes(`${key}:`))).toEqual([]);
  });

  it.each([...docs.matchAll(/```yaml\n([^]*?)```/g)].map((match) => match[1] ?? ''))(
    'holds a true example: %.40s',
    (example) => {
      const text = example.includes('jobs:') ? example : `jobs:\n${example.replaceAll(/^/gm, '  ')}`;
      const compiled = compileFile('slipway.yml', text);
      expect('diagnostics' in compiled && compiled.diagnostics.map(formatDiagnostic)).toEqual([]);
      const validate = new Ajv2020().compile(published as object);
      expect([validate(parse(text)), validate.errors]).toEqual([true, null]);
    },
  );
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema & { readonly description?: string }>>;
}

function walk(node: unknown, visit: (schema: Schema) => void): void {
  if (typeof node !== 'object' || node === null) return;
  if ('properties' in node && typeof node.properties === 'object') visit(node as Schema);
  for (const child of Object.values(node)) walk(child, visit);
}

function keysOf(schema: unknown): readonly string[] {
  const keys = new Set<string>();
  walk(schema, ({ properties = {} }) => Object.keys(properties).forEach((key) => keys.add(key)));
  return [...keys];
}

function undescribed(schema: unknown): readonly string[] {
  const keys: string[] = [];
  walk(schema, ({ properties = {} }) =>
    keys.push(...Object.keys(properties).filter((key) => !properties[key]?.description)),
  );
  return keys;
}
