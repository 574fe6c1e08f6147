import { describe, expect, it, test } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { ENDPOINTS } from '#src/adapters/docker/proxy/endpoints.ts';
import { match } from '#src/adapters/docker/proxy/rules.ts';
import { ask, THINGS } from './world.ts';

const TRICKS: readonly string[] = [
  '',
  '*',
  '/',
  '//',
  'containers/json',
  'http://docker/containers/json',
  'http:/containers/json',
  '//containers/json',
  '/containers//json',
  '/containers/json/',
  '/./containers/json',
  '/containers/./json',
  '/containers/../containers/json',
  '/x/../containers/json',
  '/%2e/containers/json',
  '/containers/%2e%2e/json',
  '/containers/%2E%2E/json',
  '/containers/%252e%252e/json',
  '/containers/..%2fjson',
  '/containers/db%2f..%2fweb/json',
  '/containers/db%2Fjson/json',
  '/containers/db%252Fjson',
  '/containers/db%00/json',
  '/containers/db\0/json',
  '/containers/db%0a/json',
  '/containers/db%20/json',
  '/containers/db\tx/json',
  '/containers/d\u00fc/json',
  '/containers/%c3%bc/json',
  '/containers/%ff/json',
  '/containers/%/json',
  '/containers/%zz/json',
  '/containers/%u0064b/json',
  '/containers/db;x=1/json',
  '/containers/db#x/json',
  '/containers/db/json#x',
  '/containers\\db\\json',
  '/containers/db%5cx/json',
  '/containers/-db/json',
  '/containers/.../json',
  '/Containers/json',
  '/CONTAINERS/JSON',
  '/containers/JSON',
  '/v1.41/v1.41/containers/json',
  '/v1.41//containers/json',
  '/V1.41/containers/json',
  '/v1.23/containers/json',
  '/v1.12/containers/db/json',
  '/v0.1/containers/json',
  '/v2.0/containers/json',
  '/v1.041/containers/json',
  '/v1.41.0/containers/json',
  '/v1.-41/containers/json',
  '/v1.99999999999999999999/containers/json',
  '/v1/containers/json',
  '/v/containers/json',
  '/v1.41',
  '/v1.41/',
  '/containers',
  '/containers/db',
  '/containers/db/json/x',
  '/containers/db/secret',
  '/images/json/../../containers/json',
  '/images/../containers/db/json',
  '/images/a/../../containers/db/json',
  '/images//json',
  '/images/%2fetc/json',
  '/networks/',
  '/volumes/',
  '/_ping/',
  '/ping',
  '/_ping?%',
  '/_ping/../containers/json',
  '/debug/pprof/heap',
  '/debug/vars',
  '/metrics',
  '/grpc',
  '/moby.buildkit.v1.Control/Solve',
  '/system',
  '/containers/json?filters=%zz',
  `/containers/${'a'.repeat(5000)}/json`,
  `/containers/json?x=${'a'.repeat(100_000)}`,
  `/${'a/'.repeat(500)}`,
  `/containers/json?${'a=1&'.repeat(1000)}`,
  '/\u212Acontainers/json',
];

describe('tricks with the path', () => {
  test.each(TRICKS)('%p', (url) => {
    expect(match('GET', url)).toMatchObject({ kind: 'refusal' });
  });
  test.each(['get', 'Get', 'PATCH', 'OPTIONS', 'CONNECT', 'TRACE', 'PROPFIND', 'PRI', '', 'GET ', 'GET /x'])(
    'method %p',
    (method) => {
      expect(match(method, '/containers/json')).toMatchObject({ kind: 'refusal' });
    },
  );
  it('HEAD is only for what the engine has it for', () => {
    expect(match('HEAD', '/_ping')).toMatchObject({ kind: 'matched' });
    expect(match('HEAD', '/containers/db/archive')).toMatchObject({ kind: 'matched' });
    expect(match('HEAD', '/containers/db/json')).toMatchObject({ kind: 'refusal' });
  });
});

describe('one decoding, one meaning', () => {
  it('an escaped slash in an image is a slash, as some clients write it', () => {
    expect(match('GET', '/images/ghcr.io%2Facme%2Fapp%3Av1/json')).toMatchObject({
      params: { image: 'ghcr.io/acme/app:v1' },
    });
    expect(match('GET', '/images/ghcr.io/acme/app:v1/json')).toMatchObject({
      params: { image: 'ghcr.io/acme/app:v1' },
    });
  });
  it('an escaped slash reaches no other endpoint', () => {
    expect(match('GET', '/containers%2fdb%2fjson')).toMatchObject({
      kind: 'matched',
      endpoint: 'ContainerInspect',
      params: { id: 'db' },
    });
    expect(match('POST', '/containers/db%2fattach%2fws')).toMatchObject({ kind: 'refusal' });
  });
  it('a parameter counts once: the first, as for the engine', () => {
    const matched = match('DELETE', '/containers/db?force=0&force=1');
    expect(matched.kind === 'matched' && matched.query.get('force')).toEqual(['0']);
  });
  it('unknown parameters are left out of questions, refused elsewhere', () => {
    const matched = match('GET', '/containers/json?all=true&x=1&__proto__=1&constructor=1');
    expect(matched.kind === 'matched' && [...matched.query]).toEqual([['all', ['1']]]);
    expect(match('POST', '/containers/db/start?x=1')).toMatchObject({ status: 403 });
    expect(match('POST', '/build?entitlements=network.host')).toMatchObject({ status: 403 });
    expect(match('POST', '/build?NetworkMode=host')).toMatchObject({ status: 403 });
    expect(match('POST', '/build?__proto__=1')).toMatchObject({ status: 403 });
  });
  test.each([
    '/containers/json?limit=1e3',
    '/containers/json?limit=x',
    '/containers/db/resize?h=%0a',
    '/containers/db/kill?signal=%00',
    '/events?since=1;2',
  ])('a value of another type: %s', (url) => {
    expect(match(url.includes('kill') || url.includes('resize') ? 'POST' : 'GET', url)).toMatchObject({ status: 400 });
  });
});

const PIECES = [
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2E%2e',
  '%2f',
  '%2F',
  '%252f',
  '%00',
  '%',
  '?',
  '#',
  ';',
  '&',
  '=',
  '\\',
  ' ',
  '\0',
  '@',
  ':',
  '*',
  'v1.41',
  'v1.12',
  'V1.41',
  'containers',
  'json',
  'images',
  'exec',
  'db',
  'app',
  'networks',
  'volumes',
  'create',
  'build',
  'grpc',
  'session',
  'swarm',
  'plugins',
  'secrets',
  'http://x',
  'start',
  '\u00fc',
  '\u212a',
  '{id}',
  '{image}',
  'slipway-18-1-db',
  '9'.repeat(64),
];
const path = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 14 }).map((pieces) => pieces.join('')),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 8 }).map((pieces) => `/${pieces.join('/')}`),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.webUrl({ withFragments: true, withQueryParameters: true }),
);
const method = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD') },
  { weight: 1, arbitrary: fc.string() },
);

/** A request that is right, with something put into its path somewhere, in every second. */
const nearly = fc
  .tuple(
    fc.constantFrom(...ENDPOINTS),
    fc.constantFrom('db', 'web', 'app', 'front', 'data', 'other', '4'.repeat(64)),
    fc.constantFrom('', '/v1.41', '/v1.24'),
    fc.option(fc.tuple(fc.nat(40), fc.constantFrom(...PIECES)), { freq: 2 }),
  )
  .map(([row, name, version, more]): [string, string] => {
    const own = { networks: 'front', volumes: 'data', exec: '4'.repeat(64), images: 'app' }[
      row.path.split('/')[1] ?? ''
    ];
    const url = version + row.path.replace(/\{\w+\}/, () => (own !== undefined && name === 'db' ? own : name));
    return [row.method, more ? url.slice(0, more[0]) + more[1] + url.slice(more[0]) : url];
  });

/** The table's paths as patterns of what may go to the engine: written anew here, without the matcher. */
const ALLOWED = ENDPOINTS.filter(({ use }) => use === 'own' || use === 'rewritten').map(
  ({ method: verb, path: row }) => ({
    verb,
    form: new RegExp(
      `^(?:/v1\\.\\d+)?${row
        .replaceAll(/[.?+*()[\]^$|]/g, String.raw`\$&`)
        .replace(/\{(?:id|name)\}/, '[A-Za-z0-9][A-Za-z0-9_.-]*')
        .replace('{image}', '[A-Za-z0-9_.:@/-]+')}$`,
    ),
  }),
);
const NAMES = THINGS.flatMap(({ id, name, tags }) => [id, name, ...(tags ?? [])]);

it("whatever comes, only paths of the table go on, built of what is the job's", () => {
  let through = 0;
  fc.assert(
    fc.property(fc.oneof(nearly, fc.tuple(method, path)), ([verb, url]) => {
      const { order } = ask(verb, url);
      if (order.kind !== 'request') return;
      through += 1;
      const [target = '', query = ''] = order.path.split('?');
      expect(ALLOWED.some((row) => row.verb === order.method && row.form.test(target))).toBe(true);
      expect(target).not.toMatch(/\/\.{1,2}(?:\/|$)|\/\/|%|[^\x21-\x7e]/);
      expect(query).toMatch(/^[A-Za-z0-9=&%_.!~*'()-]*$/);
      // Nobody else's name gets through, but to a registry, which has names of its own.
      const named = target.includes('/distribution/') ? query : order.path;
      expect(named).not.toMatch(/slipway-18|9{64}/);
    }),
    { numRuns: 20_000 },
  );
  expect(through).toBeGreaterThan(500);
});

it('reading is safe and quick whatever comes', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 3000 }),
      fc.string({ unit: 'binary', maxLength: 10 }),
      (url, verb) => {
        const result = match(verb, `/${url}`);
        expect(['matched', 'refusal']).toContain(result.kind);
      },
    ),
    { numRuns: 5000 },
  );
});

it('what the rules send is read by the rules as the same request', () => {
  const calls = ENDPOINTS.filter(({ use }) => use === 'own').map(({ method: verb, path: row }) => [verb, row] as const);
  for (const [verb, row] of calls) {
    const url = row.replace('/exec/{id}', `/exec/${'4'.repeat(64)}`).replace('{id}', 'db');
    const { order } = ask(verb, url);
    if (order.kind !== 'request') throw new Error(url);
    const again = ask(order.method, order.path).order;
    expect(again).toEqual(order);
  }
  expect(NAMES.length).toBeGreaterThan(5);
});
