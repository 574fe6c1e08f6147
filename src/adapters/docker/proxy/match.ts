import type { Matched, Refusal } from './contract.ts';
import { ENDPOINTS, type Endpoint, type QueryType } from './endpoints.ts';
import { misread, quoted, refuse, refused, Refused, wrong } from './refusal.ts';

const URL_LIMIT = 64 * 1024;
const PATH_LIMIT = 1024;
const PARAMETERS = 256;
/** Below 1.24 a start could still change a container's HostConfig. */
const OLDEST = 24;

/**
 * Finds the row of the table for the request's line, as it came. A path has one spelling: what would have to be
 * normalised first (`//`, `..`, a second decoding, another case) is refused, so that there are no two opinions on it.
 */
export function match(method: string, url: string): Matched | Refusal {
  try {
    return found(method, url);
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    return wrong('The request cannot be understood.');
  }
}

function found(method: string, url: string): Matched {
  if (url.length > URL_LIMIT) misread('The address is too long.');
  if (!url.startsWith('/')) misread('Give a path, not a whole address.');
  if (!/^[\x21-\x7e]*$/.test(url) || /[#\\]/.test(url)) misread('The address has characters that it may not have.');
  const mark = url.indexOf('?');
  const raw = mark < 0 ? url : url.slice(0, mark);
  if (raw.length > PATH_LIMIT) misread('The path is too long.');
  const { version, segments } = split(raw);
  for (const endpoint of ENDPOINTS) {
    if (endpoint.method !== method) continue;
    const params = fit(endpoint, segments);
    if (params === null) continue;
    if (endpoint.use === 'refused') refuse(endpoint.says);
    const query = readQuery(endpoint, mark < 0 ? '' : url.slice(mark + 1));
    return { kind: 'matched', endpoint: endpoint.name, version, params, query, body: endpoint.body };
  }
  throw new Refused(
    refused(`${quoted(`${method} /${segments.join('/')}`)} is not in the list of what a job's Docker can do.`),
  );
}

function split(raw: string): { readonly version: string | null; readonly segments: readonly string[] } {
  const path = decode(raw);
  if (!/^(?:\/[A-Za-z0-9_.:@+-]+)+$/.test(path))
    misread('The path has empty parts, or characters that it may not have.');
  const segments = path.slice(1).split('/');
  if (segments.some((segment) => /^\.+$/.test(segment))) misread('The path has dots for a part.');
  const first = /^v(\d+)\.(\d+)$/.exec(segments[0] ?? '');
  if (!first) return { version: null, segments };
  const [text, major, minor] = first;
  if (major !== '1' || Number(minor) < OLDEST || Number(minor) > 999 || text !== `v1.${Number(minor)}`) {
    misread(`Version ${quoted(text)} of the API is not supported here: use 1.${OLDEST} or a newer one.`);
  }
  return { version: text.slice(1), segments: segments.slice(1) };
}

/** What the row's placeholders stand for; null: the path isn't the row's. */
function fit(endpoint: Endpoint, segments: readonly string[]): Record<string, string> | null {
  const pattern = endpoint.path.slice(1).split('/');
  const at = pattern.findIndex((part) => part === '{image}' || part === '{any}');
  const params: Record<string, string> = {};
  if (at < 0) {
    if (segments.length !== pattern.length) return null;
    for (const [index, part] of pattern.entries()) {
      const segment = segments[index] as string;
      if (part.startsWith('{')) {
        // `GET /networks/{id}` isn't `GET /networks/json/..`; engines take only such names for containers and volumes.
        if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(segment)) return null;
        params[part.slice(1, -1)] = segment;
      } else if (part !== segment) return null;
    }
    return params;
  }
  const after = pattern.length - at - 1;
  const length = segments.length - at - after;
  if (length < 1) return null;
  if (pattern.slice(0, at).some((part, index) => part !== segments[index])) return null;
  if (after > 0 && pattern.slice(-after).some((part, index) => part !== segments[at + length + index])) return null;
  params[(pattern[at] as string).slice(1, -1)] = segments.slice(at, at + length).join('/');
  return params;
}

function readQuery(endpoint: Endpoint, text: string): Map<string, readonly string[]> {
  const query = new Map<string, string[]>();
  const pairs = text === '' ? [] : text.split('&');
  if (pairs.length > PARAMETERS) misread('The address has too many parameters.');
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode((equals < 0 ? pair : pair.slice(0, equals)).replaceAll('+', ' '));
    const value = equals < 0 ? '' : decode(pair.slice(equals + 1).replaceAll('+', ' '));
    const type = Object.hasOwn(endpoint.query, name) ? endpoint.query[name] : undefined;
    if (type === undefined) {
      // A question that isn't understood is answered without it; anything else might do other than was asked.
      if (endpoint.method === 'GET' || endpoint.method === 'HEAD') continue;
      refuse(`the parameter ${quoted(name)} of ${endpoint.method} ${endpoint.path} is not known here.`);
    }
    const values = query.get(name);
    // The engine takes the first one.
    if (!values) query.set(name, [checked(name, value, type)]);
    else if (type.endsWith('*')) values.push(checked(name, value, type));
  }
  return query;
}

function checked(name: string, value: string, type: QueryType): string {
  switch (type) {
    case 'flag':
      // As the engine reads it.
      return ['', '0', 'no', 'false', 'none'].includes(value.trim().toLowerCase()) ? '0' : '1';
    case 'int':
      if (value === '') return '0';
      if (/^-?\d{1,15}$/.test(value)) return value;
      break;
    case 'time':
      if (/^[0-9A-Za-z.:+-]{0,64}$/.test(value)) return value;
      break;
    case 'word':
    case 'word*':
      if (/^[A-Za-z0-9_.:@/+,-]{0,512}$/.test(value)) return value;
      break;
    case 'text':
    case 'text*':
      // oxlint-disable-next-line no-control-regex
      if (value.length <= 8192 && !/[\x00-\x08\x0b-\x1f\x7f]/.test(value)) return value;
      break;
    case 'json':
    case 'json*':
      if (value.length <= URL_LIMIT) return value;
      break;
  }
  return misread(`The parameter ${quoted(name)} has a value that it may not have: ${quoted(value)}.`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return misread('The address has a broken %-escape.');
  }
}
