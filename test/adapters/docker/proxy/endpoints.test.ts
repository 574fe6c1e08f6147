import { describe, expect, it, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ENDPOINTS } from '#src/adapters/docker/proxy/endpoints.ts';
import { match } from '#src/adapters/docker/proxy/rules.ts';
import { ask, id, JOB } from './world.ts';

const CALLS = ENDPOINTS.map((endpoint) => {
  const path = endpoint.path
    .replace('/exec/{id}', `/exec/${id('4')}`)
    .replace('/networks/{id}', '/networks/front')
    .replace('/volumes/{name}', '/volumes/data')
    .replace('{id}', 'db')
    .replace('{name}', 'x')
    .replace('{image}', endpoint.name === 'ImagePush' ? 'ghcr.io/acme/app' : 'app')
    .replace('{any}', 'vieux/sshfs:latest');
  return { ...endpoint, path };
});
/** What some endpoints can't do without. */
const GIVEN: Readonly<Record<string, { readonly query?: string; readonly body?: object }>> = {
  ContainerCreate: { body: { Image: 'alpine' } },
  ContainerRename: { query: '?name=new' },
  ContainerExec: { body: { Cmd: ['ls'] } },
  BuildCancel: { query: '?id=1' },
  ImageCreate: { query: '?fromImage=alpine&tag=3' },
  ImageGetAll: { query: '?names=app' },
  ImagePush: { query: '?tag=v1' },
  ImageTag: { query: '?repo=two&tag=1' },
  ImageCommit: { query: '?container=db&repo=new' },
  NetworkCreate: { body: { Name: 'back' } },
  NetworkConnect: { body: { Container: 'db' } },
  NetworkDisconnect: { body: { Container: 'db' } },
  VolumeCreate: { body: { Name: 'vol' } },
};

describe.each(['', '/v1.24', '/v1.41', '/v1.51'])('version %s', (version) => {
  test.each(CALLS)('$method $path: $use', ({ name, method, path, use, says, answer }) => {
    const { query = '', body = '' } = GIVEN[name] ?? {};
    const { order } = ask(method, `${version}${path}${query}`, body);
    const start = name.startsWith('SystemPing') ? '' : version;
    const expected = {
      refused: { kind: 'refusal', status: 403, message: `Not in a job: ${says}` },
      local: { kind: 'answer', status: 200 },
      own: { kind: 'request', method, answer, path: expect.stringMatching(new RegExp(`^${start}/`)) },
      rewritten: { kind: 'request', method, answer, path: expect.stringMatching(new RegExp(`^${start}/`)) },
    };
    expect(order).toMatchObject(expected[use]);
  });
});

describe("what an endpoint names must be the job's own", () => {
  const naming = CALLS.filter(({ path, use }) => use !== 'refused' && /\/(?:db|front|data|4{64})(?:\/|$)/.test(path));
  test.each(naming)('$method $path', ({ name, method, path }) => {
    const { query = '', body = '' } = GIVEN[name] ?? {};
    const other = path
      .replace(/\/(?:db|front|data|4{64})(?=\/|$)/, '/other')
      .replace('/exec/other', `/exec/${id('9')}`);
    expect(ask(method, other + query, body).order).toMatchObject({ kind: 'refusal', status: 404 });
    // Neither by the engine's own name of another job's, nor by an id.
    for (const stranger of ['slipway-18-1-db', id('9')]) {
      const { order } = ask(method, other.replace(/other|9{64}/, stranger) + query, body);
      expect(order).toMatchObject({ kind: 'refusal', status: 404 });
    }
  });
});

it('knows each name and path once', () => {
  expect(new Set(ENDPOINTS.map(({ name }) => name)).size).toBe(ENDPOINTS.length);
  expect(new Set(ENDPOINTS.map(({ method, path }) => `${method} ${path}`)).size).toBe(ENDPOINTS.length);
  expect(ENDPOINTS.length).toBeGreaterThan(100);
});

it('finds each row by its own path: none is hidden by another', () => {
  for (const { method, path, name } of CALLS.filter(({ use }) => use !== 'refused')) {
    expect(match(method, path)).toMatchObject({ kind: 'matched', endpoint: name });
  }
});

it('the page for users has this table', () => {
  const page = readFileSync(new URL('../../../../docs/docker-in-jobs.md', import.meta.url), 'utf8');
  for (const { method, path, use, says } of ENDPOINTS)
    expect(page).toContain(`| \`${method} ${path}\` | ${use} | ${says} |`);
});

it('a job without network builds nothing, for the engine would fetch for it', () => {
  expect(ask('POST', '/build', '', { ...JOB, network: null }).order).toMatchObject({ status: 403 });
  expect(ask('POST', '/session', '', { ...JOB, network: null }).order).toMatchObject({ status: 403 });
});
