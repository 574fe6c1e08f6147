import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { ATTACKS } from './attacks.ts';
import { dangersOf } from './dangers.ts';
import { CLI_20, COMPOSE, HARMLESS } from './harmless.ts';
import { ask, JOB, jsonOf } from './world.ts';

const URL = '/v1.41/containers/create?name=it';
type Json = Record<string, unknown>;

/** Keys that a HostConfig may have, in all cases; values that some of them take. */
const keys = [...new Set([...Object.keys(CLI_20.HostConfig), ...ATTACKS.flatMap(([, part]) => Object.keys(part))])];
const key = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...keys) },
  { weight: 1, arbitrary: fc.constantFrom(...keys).map((name) => name.toLowerCase()) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
);
const known = [
  ...ATTACKS.flatMap(([, part]) => Object.values(part)),
  ...HARMLESS.flatMap(([, body]) => Object.values((body as { HostConfig?: object }).HostConfig ?? {})),
];
const value = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...known) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(null, '', 0, false, true, [], {}, -1, 'host', 'private', ['/:/x'], 1e15),
  },
);
const hostConfig = fc.array(fc.tuple(key, value), { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs));
const body = fc.oneof(
  hostConfig.map((HostConfig) => ({ Image: 'alpine', HostConfig })),
  hostConfig.map((HostConfig) => ({ ...CLI_20, HostConfig: { ...CLI_20.HostConfig, ...HostConfig } })),
  fc
    .tuple(hostConfig, fc.jsonValue({ maxDepth: 5 }))
    .map(([HostConfig, more]) => ({ ...COMPOSE, HostConfig, NetworkingConfig: more })),
  fc
    .tuple(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), hostConfig)
    .map(([more, HostConfig]) => ({ ...more, Image: 'app', HostConfig })),
);

it('whatever body is given, what goes on has no danger in it', () => {
  let through = 0;
  fc.assert(
    fc.property(body, (given) => {
      const { order } = ask('POST', URL, given);
      const sent = order.kind === 'request';
      through += sent ? 1 : 0;
      expect(sent ? dangersOf(jsonOf(order), JOB) : order.kind).toEqual(sent ? [] : 'refusal');
    }),
    { numRuns: 5_000 },
  );
  // Else the property says nothing.
  expect(through).toBeGreaterThan(150);
});

it('one dangerous option among harmless ones is enough to be refused', () => {
  fc.assert(
    fc.property(fc.constantFrom(...HARMLESS), fc.constantFrom(...ATTACKS), ([, harmless], [, attack]) => {
      const { HostConfig } = harmless as { HostConfig?: object };
      const { order } = ask('POST', URL, { ...harmless, HostConfig: { ...HostConfig, ...attack } });
      expect(order).toMatchObject({ kind: 'refusal' });
    }),
    { numRuns: 3000 },
  );
});

it("an attack is found in a limits' update and an exec, too", () => {
  fc.assert(
    fc.property(hostConfig, (given) => {
      const { order } = ask('POST', '/containers/db/update', given);
      if (order.kind !== 'request') return;
      const json = jsonOf(order);
      const fine = [
        'Memory',
        'MemorySwap',
        'MemoryReservation',
        'MemorySwappiness',
        'PidsLimit',
        'NanoCpus',
        'CpuShares',
        'CpusetCpus',
        'CpusetMems',
        'BlkioWeight',
      ];
      expect(Object.keys(json).filter((name) => !fine.includes(name))).toEqual([]);
      for (const [name, most] of [
        ['Memory', JOB.limits.memory],
        ['MemorySwap', JOB.limits.memory],
        ['PidsLimit', 512],
        ['NanoCpus', 2e9],
      ] as const) {
        const limit = name in json ? Number(json[name]) : most;
        expect(limit > 0 && limit <= most).toBe(true);
      }
    }),
    { numRuns: 3000 },
  );
});

it('no text crashes the reader, hangs it or reaches a prototype', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    ',',
    '"',
    '\\',
    '"a"',
    '"__proto__"',
    '"constructor"',
    '1e9',
    'null',
    'true',
    ' ',
    '\n',
    '\u0000',
    '"HostConfig":',
    '"Privileged":true',
    '\\u0041',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join('')),
        fc.json({ maxDepth: 8 }),
        fc.string({ unit: 'binary' }),
      ),
      (text) => {
        expect(['request', 'answer', 'refusal']).toContain(ask('POST', URL, text).order.kind);
        expect(({} as Json)['Privileged']).toBeUndefined();
        expect(Object.keys(Object.prototype)).toEqual([]);
      },
    ),
    { numRuns: 5_000 },
  );
});

it('reads JSON as JSON.parse does, but for what is refused', () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string({ unit: 'binary' }).filter((name) => name !== '__proto__' && !name.includes('\0')),
        fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
      ),
      (labels) => {
        const own = Object.keys(labels).some((name) => name.toLowerCase().startsWith('slipway.'));
        const { order } = ask('POST', '/volumes/create', JSON.stringify({ Labels: labels }, null, 2));
        const kept = order.kind === 'request' ? jsonOf(order)['Labels'] : 'refused';
        expect(kept).toEqual(own ? 'refused' : { ...labels, ...JOB.labels });
      },
    ),
    { numRuns: 2000 },
  );
});

it('a body as long as may be takes bounded steps', () => {
  const long = 'a'.repeat(100_000);
  const bodies = [
    { Image: 'alpine', Env: Array.from({ length: 40_000 }, () => 'A=1') },
    { Image: 'alpine', HostConfig: { Binds: Array.from({ length: 20_000 }, (_, index) => `data:/d${index}`) } },
    { Image: 'alpine', HostConfig: { Tmpfs: { '/x': ','.repeat(100_000) } } },
    { Image: long },
    { Image: `${'a/'.repeat(50_000)}a` },
    { Image: 'alpine', HostConfig: { Links: [`${long}:${long}`] } },
    { Image: 'alpine', HostConfig: { LogConfig: { Type: 'local', Config: { 'max-size': long } } } },
    { Image: 'alpine', HostConfig: { Binds: [`/workspace/${'../'.repeat(30_000)}:/x`] } },
    { Image: 'alpine', Labels: { [long]: long } },
  ];
  for (const one of bodies) expect(['request', 'refusal']).toContain(ask('POST', URL, one).order.kind);
  expect(ask('POST', URL, `{"Image":"${'a'.repeat(3_000_000)}"}`).order).toMatchObject({ status: 400 });
});
