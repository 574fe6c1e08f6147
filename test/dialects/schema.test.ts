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
const validate = new Ajv2020().compile(published as object);
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
    expect(validate(parse(text))).toBe(valid);
  });

  const target = 'rollout: [{ deployment: shop/api, container: api, image: image }]';
  const gitops = 'repository: acme/deploy';
  const change = 'file: a.yaml, field: image, image: image';
  it.each<[boolean, string]>([
    [true, target],
    [false, 'url: https://x'],
    [true, `${target}, on: manual`],
    [false, `${target}, on: main`],
    [false, `${target}, on: {}`],
    [false, `${target}, on: { release: false }`],
    [false, `${target}, approvals: 0`],
    [true, `${target}, approvals: { count: 2, teams: acme/ops }`],
    [false, `${target}, allow: { permission: read }`],
    [true, `${target}, windows: [{ days: mon-fri, hours: "09:00-17:00", zone: UTC }, { days: [sat] }]`],
    [false, `${target}, windows: { zone: UTC }`],
    [false, `${target}, windows: { days: mo }`],
    [true, `${target}, steps: [10%, { pause: 5m }, approval, { approval: true }, { job: a }, { probe: x, count: 3 }]`],
    [false, `${target}, steps: [10]`],
    [false, `${target}, steps: []`],
    [false, `${target}, steps: [{}]`],
    [false, `${target}, steps: [{ pause: 5m, count: 1 }]`],
    [false, `${target}, steps: [{ probe: x, query: up }]`],
    [false, `${target}, steps: [{ pause: 5m, approval: true }]`],
    [true, `${target}, steps: [10%, { prometheus: a, query: up, max: 1 }]`],
    [false, `${target}, steps: [{ prometheus: a, query: up }]`],
    [false, `${target}, steps: [{ prometheus: a, max: 1 }]`],
    [true, `${target}, blue-green: { service: shop/api, before: [{ pause: 1m }], after: [approval] }`],
    [false, `${target}, blue-green: { service: shop/api, before: [10%] }`],
    [false, `${target}, blue-green: { service: shop/api }, steps: [10%]`],
    [true, `gitops: { ${gitops}, ${change}, value: tag, pull-request: true }, approvals: 1`],
    [true, `gitops: { ${gitops}, changes: [{ ${change} }, { file: b.yaml, field: image, image: image }] }`],
    [false, `gitops: { ${gitops} }`],
    [false, `gitops: { ${gitops}, ${change}, changes: [{ ${change} }] }`],
    [false, `gitops: { ${gitops}, ${change} }, ${target}`],
    [false, `gitops: { ${gitops}, ${change} }, stable: 1m`],
  ])('%s for an environment with %s', (valid, text) => {
    const jobs = 'jobs: { image: { build: { image: ghcr.io/acme/shop } }, a: { image: x, run: y } }';
    const whole = `{ ${jobs}, environments: { production: { ${text} } } }`;
    expect(validate(parse(whole))).toBe(valid);
    // A pattern of the schema says nothing that the compiler doesn't say, and says it of nothing that compiles.
    expect(compileFile('slipway.yml', whole.replace('probe: x', 'probe: https://x'))).toMatchObject({
      kind: valid ? 'pipeline' : 'invalid',
    });
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
