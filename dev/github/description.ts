import { readFileSync } from 'node:fs';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { OPERATIONS, type OperationName, type WebhookName } from './operations.ts';
import type { Body } from './world.ts';

/** A JSON Schema, as far as it is walked here. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly additionalProperties?: boolean | Schema;
}

interface Operation {
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: Schema }[];
  readonly body: Schema | null;
  readonly bodyRequired: boolean;
  readonly responses: Readonly<Record<string, Schema | null>>;
}

interface Reduced {
  readonly operations: Readonly<Record<string, Operation>>;
  readonly webhooks: Readonly<Record<string, Schema>>;
  readonly schemas: Readonly<Record<string, Schema>>;
}

/** One thing that is wrong, as GitHub tells it in `errors`. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** Parameters whose values may contain slashes. */
const WIDE = new Set(['path', 'ref', 'branch', 'basehead']);

const reduced = JSON.parse(readFileSync(new URL('./openapi.json', import.meta.url), 'utf8')) as Reduced;
const options = { strict: false, allErrors: true, validateFormats: true } as const;
const ajv = withFormats(new Ajv(options));
/** Queries and paths are text: `per_page=100` is a number. */
const coercing = withFormats(new Ajv({ ...options, coerceTypes: 'array' }));
for (const each of [ajv, coercing]) each.addSchema({ $id: 'github', ...reduced });
const compiled = new Map<string, ValidateFunction>();
const routes = OPERATIONS.map((name) => ({ name, pattern: pattern(name) })).sort(
  (a, b) => segments(b.name) - segments(a.name),
);

function withFormats(made: Ajv): Ajv {
  (addFormats as unknown as (ajv: Ajv) => void)(made);
  // GitHub's addresses are often templates, such as .../git/refs{/sha}, or empty, as log_url is by default.
  made.addFormat('uri', (text: string) => text === '' || URL.canParse(text));
  // What stands in a commit as an address need not be one.
  made.addFormat('email', true);
  made.addFormat('repo.nwo', true);
  return made;
}

/** The operation that a method and path (without query) name, with the path's parameters; null if it isn't known. */
export function findOperation(
  method: string,
  path: string,
): { readonly name: OperationName; readonly params: Record<string, string> } | null {
  for (const { name, pattern } of routes) {
    const match = pattern.exec(`${method} ${path}`);
    if (!match) continue;
    const params = Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
    return { name, params: Object.fromEntries(params) as Record<string, string> };
  }
  return null;
}

/** What GitHub's description has against a request. The numbers and truths in `query` and `params` are converted. */
export function checkRequest(name: OperationName, params: Body, query: Body, body: unknown): FieldError[] {
  const operation = reduced.operations[name];
  if (!operation) throw new Error(`openapi.json has no ${name}. Run script/openapi.ts.`);
  const errors = [
    ...checkParameters(name, operation, 'path', params),
    ...checkParameters(name, operation, 'query', query),
  ];
  if (operation.body === null) {
    return body === undefined || isEmpty(body) ? errors : [...errors, { field: 'body', message: 'is not expected' }];
  }
  if (body === undefined)
    return operation.bodyRequired ? [...errors, { field: 'body', message: 'is missing' }] : errors;
  const check = validator(ajv, `/operations/${pointer(name)}/body`);
  if (!check(body)) errors.push(...(check.errors ?? []).map(told));
  return [...errors, ...unknownFields(operation.body, body as Body)];
}

/** What is wrong with an answer of ours, as text. */
export function checkResponse(name: OperationName, status: number, body: unknown): string[] {
  const operation = reduced.operations[name];
  if (!operation || !(String(status) in operation.responses)) return [`answered ${status}, which is not described`];
  if (operation.responses[String(status)] === null) return [];
  return problems(validator(ajv, `/operations/${pointer(name)}/responses/${status}`), body);
}

/** What is wrong with a webhook of ours, as text. */
export function checkWebhook(name: WebhookName, payload: unknown): string[] {
  return problems(validator(ajv, `/webhooks/${name}`), payload);
}

/** Adds to an answer the fields that GitHub always sends and nobody here gave: addresses, zeros, empty lists. */
export function completeResponse(name: OperationName, status: number, body: unknown, url: string): unknown {
  const schema = reduced.operations[name]?.responses[String(status)];
  return schema ? fill(schema, body, url) : body;
}

export function completeWebhook(name: WebhookName, payload: Body, url: string): Body {
  const schema = reduced.webhooks[name];
  if (!schema) throw new Error(`openapi.json has no webhook ${name}. Run script/openapi.ts.`);
  return fill(schema, payload, url) as Body;
}

function fill(raw: Schema, value: unknown, url: string): unknown {
  const schema = deref(raw);
  const variants = schema.anyOf ?? schema.oneOf;
  let result = value;
  if (variants) result = fillVariant(variants, result, url);
  for (const part of schema.allOf ?? []) result = fill(part, result, url);
  if (result === undefined) result = initial(schema, url);
  if (Array.isArray(result))
    return schema.items ? result.map((item) => fill(schema.items as Schema, item, url)) : result;
  if (result === null || typeof result !== 'object') return result;
  const object: Body = { ...result };
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (object[key] !== undefined || schema.required?.includes(key)) object[key] = fill(property, object[key], url);
  }
  return object;
}

function fillVariant(variants: readonly Schema[], value: unknown, url: string): unknown {
  const all = variants.map(deref);
  if (value === null) return null;
  if (value === undefined && all.some(({ type }) => type === 'null' || type?.includes('null'))) return null;
  const keys = value && typeof value === 'object' ? Object.keys(value) : [];
  const score = ({ properties }: Schema): number => keys.filter((key) => properties && key in properties).length;
  const best = all
    .filter(({ type }) => type !== 'null' && (value === undefined || fits(type, value)))
    .sort((a, b) => score(b) - score(a))[0];
  return best ? fill(best, value, url) : value;
}

function fits(type: Schema['type'], value: unknown): boolean {
  const kind = Array.isArray(value) ? 'array' : typeof value === 'number' ? 'integer' : typeof value;
  return type === undefined || type.includes(kind) || (kind === 'integer' && type.includes('number'));
}

function initial(schema: Schema, url: string): unknown {
  if (schema.type?.includes('null')) return null;
  if (schema.enum) return schema.enum[0];
  switch (typeof schema.type === 'string' ? schema.type : schema.type?.[0]) {
    case 'string':
      return schema.format === 'uri' ? url : schema.format === 'date-time' ? '2026-01-01T00:00:00Z' : '';
    case 'integer':
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'array':
      return [];
    default:
      return {};
  }
}

function deref(schema: Schema): Schema {
  if (!schema.$ref) return schema;
  const target = reduced.schemas[schema.$ref.replace('#/schemas/', '')];
  if (!target) throw new Error(`openapi.json lacks ${schema.$ref}.`);
  return deref(target);
}

function checkParameters(name: string, operation: Operation, place: string, values: Body): FieldError[] {
  const known = operation.parameters.filter((parameter) => parameter.in === place);
  const errors: FieldError[] = Object.keys(values)
    .filter((key) => !known.some((parameter) => parameter.name === key))
    .map((key) => ({ field: key, message: `is no parameter of ${name}` }));
  for (const [index, parameter] of operation.parameters.entries()) {
    if (parameter.in !== place) continue;
    const value = values[parameter.name] as unknown;
    if (value === undefined) {
      if (parameter.required) errors.push({ field: parameter.name, message: 'is missing' });
      continue;
    }
    const check = validator(coercing, `/operations/${pointer(name)}/parameters/${index}/schema`);
    const holder = { [parameter.name]: value };
    if (
      !check(value, {
        parentData: holder,
        parentDataProperty: parameter.name,
        instancePath: '',
        rootData: holder,
        dynamicAnchors: {},
      })
    ) {
      errors.push(...(check.errors ?? []).map((error) => ({ ...told(error), field: parameter.name })));
    }
    values[parameter.name] = holder[parameter.name];
  }
  return errors;
}

/** GitHub passes over fields that it doesn't know; here they are mistakes, because they are typing errors. */
function unknownFields(schema: Schema, body: Body): FieldError[] {
  const { properties, additionalProperties } = deref(schema);
  if (!properties || additionalProperties !== undefined) return [];
  return Object.keys(body)
    .filter((key) => !(key in properties))
    .map((field) => ({ field, message: 'is not a field of this request' }));
}

function problems(check: ValidateFunction, value: unknown): string[] {
  if (check(value)) return [];
  return (check.errors ?? []).map((error) => `${told(error).field} ${error.message ?? error.keyword}`);
}

function told(error: ErrorObject): FieldError {
  const missing = error.keyword === 'required' ? `/${String(error.params['missingProperty'])}` : '';
  const field = `${error.instancePath}${missing}`.slice(1).replaceAll('/', '.') || 'body';
  return { field, message: error.message ?? error.keyword };
}

function validator(by: Ajv, path: string): ValidateFunction {
  const key = `${by === ajv ? 'strict' : 'coercing'} ${path}`;
  const known = compiled.get(key);
  if (known) return known;
  const made = by.compile({ $ref: `github#${path}` });
  compiled.set(key, made);
  return made;
}

function pointer(name: string): string {
  return encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'));
}

function pattern(name: string): RegExp {
  const source = name.replaceAll(/\{(\w+)\}/g, (_, key: string) => `(?<${key}>${WIDE.has(key) ? '.+' : '[^/]+'})`);
  return new RegExp(`^${source}$`);
}

function segments(name: string): number {
  return name.split('/').length;
}

function isEmpty(body: unknown): boolean {
  return typeof body === 'object' && body !== null && Object.keys(body).length === 0;
}
