import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { OPERATIONS, WEBHOOKS } from '#dev/github/operations.ts';

/**
 * Reduces GitHub's description of its REST API to what the stand-in answers and sends, and writes
 * dev/github/openapi.json. The npm package is 450 MB unpacked, so its archive is streamed and one
 * file of it is read. Run it by `npx node script/openapi.ts` after a change of dev/github/operations.ts.
 */
const PACKAGE = '@octokit/openapi@23.0.2';
const FILE = 'package/generated/api.github.com.json';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
/** Says nothing about what is valid. */
const DROPPED = new Set(['description', 'example', 'examples', 'title', 'externalDocs', 'deprecated', 'readOnly']);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Dict = { [key: string]: Json };

const source = JSON.parse(await download()) as Dict;
const schemas: Dict = {};
const operations: Dict = {};
for (const name of OPERATIONS) operations[name] = reduceOperation(name);
const webhooks: Dict = {};
for (const name of WEBHOOKS) webhooks[name] = reduceWebhook(name);
const reduced = { source: PACKAGE, operations, webhooks, schemas };
const target = new URL('../dev/github/openapi.json', import.meta.url);
await writeFile(target, `${JSON.stringify(reduced)}\n`);
process.stdout.write(`${Object.keys(operations).length} operations, ${Object.keys(schemas).length} schemas\n`);

async function download(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'openapi-'));
  try {
    const pack = ['pack', PACKAGE, '--silent', '--pack-destination', folder];
    const { stdout } = await promisify(execFile)('npm', pack, { timeout: 300_000 });
    const entries = createReadStream(join(folder, stdout.trim())).pipe(createGunzip()).pipe(extract());
    for await (const entry of entries) {
      if (entry.header.name !== FILE) {
        entry.resume();
        continue;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString('utf8');
    }
    throw new Error(`${PACKAGE} holds no ${FILE}.`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function reduceOperation(name: string): Json {
  const [method = '', path = ''] = name.split(' ');
  const item = at(source, 'paths', path);
  const operation = item?.[method.toLowerCase()] as Dict | undefined;
  if (!METHODS.includes(method.toLowerCase()) || !operation) throw new Error(`GitHub describes no ${name}.`);
  const parameters = [...((item?.['parameters'] as Json[]) ?? []), ...((operation['parameters'] as Json[]) ?? [])].map(
    (raw) => {
      const parameter = resolve(raw as Dict);
      return {
        name: parameter['name'] ?? null,
        in: parameter['in'] ?? null,
        required: parameter['required'] === true,
        schema: schema(parameter['schema'] ?? {}),
      };
    },
  );
  const body = operation['requestBody'] as Dict | undefined;
  const responses: Dict = {};
  for (const [status, raw] of Object.entries((operation['responses'] as Dict) ?? {})) {
    const json = at(resolve(raw as Dict), 'content', 'application/json');
    responses[status] = json?.['schema'] ? schema(json['schema']) : null;
  }
  const json = body ? at(body, 'content', 'application/json') : undefined;
  const content = json?.['schema'] ? schema(json['schema']) : null;
  return { parameters, body: content, bodyRequired: body?.['required'] === true, responses };
}

function reduceWebhook(name: string): Json {
  const post = at(source, 'x-webhooks', name, 'post') ?? at(source, 'webhooks', name, 'post');
  const json = post && at(post, 'requestBody', 'content', 'application/json');
  if (!json?.['schema']) throw new Error(`GitHub describes no webhook ${name}.`);
  return schema(json['schema']);
}

/** The schema in JSON Schema's words: without prose, `nullable` as a type, and its references collected. */
function schema(raw: Json): Json {
  if (Array.isArray(raw)) return raw.map(schema);
  if (raw === null || typeof raw !== 'object') return raw;
  const reference = raw['$ref'];
  if (typeof reference === 'string') return nullable(collect(reference), raw['nullable'] === true);
  const result: Dict = {};
  for (const [key, value] of Object.entries(raw)) {
    if (DROPPED.has(key) || key === 'nullable' || key.startsWith('x-')) continue;
    // Under `properties` the keys are names of fields, whatever they look like.
    // The events that an App may have are listed in places, and newer ones are missing there.
    if (key === 'properties' && 'events' in (value as Dict)) {
      result[key] = { ...fields(value as Dict), events: { type: 'array', items: { type: 'string' } } };
      continue;
    }
    result[key] = key === 'properties' ? fields(value as Dict) : key === 'enum' ? value : schema(value);
  }
  return nullable(result, raw['nullable'] === true);
}

function fields(properties: Dict): Dict {
  return Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, schema(value)]));
}

function collect(reference: string): Dict {
  const name = reference.split('/').at(-1) ?? '';
  if (!(name in schemas)) {
    schemas[name] = true; // Holds the place, so that a schema that refers to itself ends.
    schemas[name] = schema(at(source, 'components', 'schemas', name) ?? {});
  }
  return { $ref: `#/schemas/${name}` };
}

function nullable(result: Dict, yes: boolean): Dict {
  if (!yes) return result;
  if (typeof result['type'] !== 'string') return { anyOf: [result, { type: 'null' }] };
  const values = result['enum'];
  const withNull = Array.isArray(values) && !values.includes(null) ? { enum: [...values, null] } : {};
  return { ...result, type: [result['type'], 'null'], ...withNull };
}

function resolve(raw: Dict): Dict {
  const reference = raw['$ref'];
  if (typeof reference !== 'string') return raw;
  return at(source, ...reference.replace('#/', '').split('/')) ?? {};
}

function at(value: Json, ...path: string[]): Dict | undefined {
  let here: Json | undefined = value;
  for (const key of path) here = (here as Dict | undefined)?.[key];
  return here as Dict | undefined;
}
