import type { Bound, EngineRequest, JobFacts, Needs, Order, Ref, Thing } from '#src/adapters/docker/proxy/contract.ts';
import { keyOf } from '#src/adapters/docker/proxy/contract.ts';
import * as rules from '#src/adapters/docker/proxy/rules.ts';

/** A job as the server would describe it, and what the engine has for it: both are data. */
export const JOB: JobFacts = {
  cacheNamespace: 'cache-of-acme-app',
  trusted: true,
  labels: { 'slipway.home': 'h1', 'slipway.job': '17', 'slipway.kind': 'inner', 'slipway.inner': '17-1' },
  namePrefix: 'slipway-17-1-',
  imagePrefix: 'slipway.local/secretofjob17',
  limits: { memory: 2 * 1024 ** 3, cpus: 2, pids: 512 },
  capabilities: ['CHOWN', 'DAC_OVERRIDE', 'KILL', 'SETGID', 'SETUID', 'NET_BIND_SERVICE'],
  network: 'slipway-net-17',
  bridgeOptions: { 'com.docker.network.bridge.name': 'slw-n{nonce}' },
  runtime: null,
  workspaceSource: '/var/lib/slipway/jobs/17-1/workspace',
  socketSource: '/var/lib/slipway/jobs/17-1/engine/docker.sock',
  refuseImage: (reference) =>
    reference.startsWith('private.example/') ? 'private.example belongs to the operator.' : null,
  refusePush: (reference) => (reference.startsWith('ghcr.io/acme/') ? null : `acme/app may not push to ${reference}.`),
};

export const id = (digit: string) => digit.repeat(64);
export const NONCE = 'abcdef012345';

/** What there is, by the engine's names. */
export const THINGS: readonly (Thing & { readonly kind: Ref['kind'] })[] = [
  { kind: 'container', id: id('1'), name: 'slipway-17-1-db' },
  { kind: 'container', id: id('2'), name: 'slipway-17-1-web' },
  { kind: 'network', id: id('3'), name: 'slipway-17-1-front' },
  { kind: 'volume', id: 'slipway-17-1-data', name: 'slipway-17-1-data' },
  { kind: 'exec', id: id('4'), name: id('4') },
  { kind: 'image', id: `sha256:${id('a')}`, name: 'alpine:latest', tags: ['alpine:latest'] },
  { kind: 'image', id: `sha256:${id('c')}`, name: 'private.example/x:latest', tags: ['private.example/x:latest'] },
  {
    kind: 'image',
    id: `sha256:${id('b')}`,
    name: 'slipway.local/secretofjob17/app:latest',
    tags: ['slipway.local/secretofjob17/app:latest'],
  },
  {
    kind: 'image',
    id: `sha256:${id('d')}`,
    name: 'slipway.local/secretofjob17/ghcr.io/acme/app:v1',
    tags: ['slipway.local/secretofjob17/ghcr.io/acme/app:v1', 'slipway.local/secretofjob17/two:1'],
  },
];

const SELF = 'f'.repeat(64);

function find(ref: Ref): Thing | null {
  if (ref.kind === 'exec' && ref.name.length < 64) return null;
  if (ref.self && ref.name.length >= 12 && SELF.startsWith(ref.name)) return { id: SELF, name: SELF };
  const all = THINGS.filter(({ kind }) => kind === ref.kind);
  for (const candidate of ref.candidates) {
    const named = all.find(({ name }) => name === candidate);
    if (named) return named;
  }
  const hex = ref.name.replace(/^sha256:/, '');
  const byId = /^[0-9a-f]{4,64}$/.test(hex)
    ? all.find((thing) => thing.id.replace(/^sha256:/, '').startsWith(hex))
    : undefined;
  return byId ? { ...byId, name: byId.kind === 'image' ? byId.id : byId.name } : null;
}

export interface Asked {
  readonly order: Order;
  readonly needs: Needs | null;
}

/** A request by the way it takes through the rules, with an engine that has THINGS. */
export function ask(method: string, url: string, body: unknown = '', job: JobFacts = JOB, bound?: Bound): Asked {
  const matched = rules.match(method, url);
  if (matched.kind === 'refusal') return { order: matched, needs: null };
  const parsed = rules.parseBody(matched, typeof body === 'string' ? body : JSON.stringify(body));
  if (parsed.kind === 'refusal') return { order: parsed, needs: null };
  const needs = rules.needs(matched, parsed.json, job);
  if ('kind' in needs) return { order: needs, needs: null };
  const things = new Map<string, Thing>();
  for (const ref of needs.refs) {
    const thing = find(ref);
    if (thing) things.set(keyOf(ref), thing);
    else if (ref.missing === 'refuse') return { order: rules.missing(ref), needs };
  }
  const binds = new Map(needs.binds.map(({ source, path }) => [source, bound ?? { path: `/safe/${path}` }]));
  return { order: rules.rewrite(matched, parsed.json, { things, binds, nonce: NONCE }, job), needs };
}

/** The request that goes to the engine; fails where none does. */
export function sent(method: string, url: string, body: unknown = '', job: JobFacts = JOB): EngineRequest {
  const { order } = ask(method, url, body, job);
  if (order.kind !== 'request') throw new Error(`not sent: ${JSON.stringify(order)}`);
  return order;
}

export function jsonOf(request: EngineRequest): Record<string, unknown> {
  if (typeof request.body === 'string') throw new Error('no JSON body');
  return request.body.json as Record<string, unknown>;
}

/** The query that goes to the engine. */
export function queryOf(request: EngineRequest): URLSearchParams {
  return new URL(request.path, 'http://engine').searchParams;
}

/** The refusal's message; fails if it went through. */
export function refusalOf(method: string, url: string, body: unknown = '', job: JobFacts = JOB): string {
  const { order } = ask(method, url, body, job);
  if (order.kind !== 'refusal') throw new Error(`not refused: ${JSON.stringify(order)}`);
  return `${order.status} ${order.message}`;
}

export function create(body: unknown, job: JobFacts = JOB): Asked {
  return ask('POST', '/v1.41/containers/create?name=it', body, job);
}
