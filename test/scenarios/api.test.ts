import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { environmentActions } from '#src/web-actions.ts';
import { webApp } from '#src/web/app.ts';
import { createChanges } from '#src/web/changes.ts';
import { createLinks, createSigner } from '#src/web/signer.ts';
import { push, repository, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

const a1 = 'a1'.repeat(20);
const b2 = 'b2'.repeat(20);

const pipeline = `
jobs:
  image: { build: { image: registry.example/acme/shop } }
environments:
  staging:
    on: { branch: main }
    stable: 0s
    rollout: [{ deployment: staging/api, container: api, image: image }]
  production:
    on: { tag: "v*" }
    stable: 0s
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;

const token = 'an operator token, long enough';
const closes: (() => void)[] = [];
afterEach(() => {
  for (const close of closes.splice(0)) close();
});

/** The engine and its API on a port. `ask` answers the status and the body; `settle` waits for the run that was answered. */
async function serve(change: Partial<ScenarioOptions> = {}) {
  const file = (version: string) => ({
    'slipway.yml': pipeline.replace('acme/shop }', `acme/shop, args: { VERSION: "${version}" } }`),
  });
  const s = await scenario({
    commits: { [a1]: file('1'), [b2]: file('2') },
    refs: { 'refs/heads/main': b2, 'refs/tags/v1': a1 },
    cluster: {
      workloads: ['shop/api', 'staging/api'].map((name) => ({ name, image: 'old', containers: ['api'] })),
      behave: () => [{ afterMs: 0 }],
      sleep: async () => {},
    },
    ...change,
  });
  const signer = createSigner(Buffer.alloc(32, 7));
  const app = webApp({
    store: s.store,
    logs: s.parts.logs,
    changes: createChanges(),
    signer,
    clock: s.parts.clock,
    baseUrl: 'https://ci.acme.example',
    operatorToken: token,
    checks: {},
    sealKey: async () => '',
    cancel: async () => {},
    environments: environmentActions(s.parts, s.engine.wake),
    setup: null,
    version: '0.1.0',
    onError: (error) => {
      throw error;
    },
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  async function ask(path: string, body?: object): Promise<{ status: number; body: Record<string, unknown> }> {
    const sent = body && { method: 'POST', body: JSON.stringify({ repository: 'acme/shop', ...body }) };
    const response = await fetch(`${url}/api/${path}`, { headers, ...sent });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
  return {
    ...s,
    url,
    signer,
    ask,
    async settle({ body }: { readonly body: Record<string, unknown> }) {
      const id = /runs\/(\w+)\?/.exec(String(body['run']))?.[1] ?? '';
      await s.engine.completed(id);
      return s.store.runs.view(id);
    },
    async environments() {
      const { body } = await ask('environments?repository=Acme/shop');
      const all = body['environments'] as readonly { readonly name: string }[];
      return Object.fromEntries(all.map((one) => [one.name, one])) as Record<string, Record<string, unknown>>;
    },
  };
}

describe('the API, on the whole engine', () => {
  it('says what is where, deploys, promotes and rolls back to the digests that were healthy', async () => {
    const s = await serve();
    await s.play(trigger(push(a1)));
    const before = await s.environments();
    expect(Object.keys(before)).toEqual(['staging', 'production']);
    expect(before['staging']).toMatchObject({
      current: {
        sha: a1,
        by: 'ada',
        tag: null,
        run: expect.stringContaining('https://ci.acme.example/runs/') as unknown,
      },
      health: { kind: 'healthy', message: 'staging/api: 2 of 2 available' },
      running: null,
      queue: [],
      lock: null,
    });
    expect(before['production']).toMatchObject({ current: null });

    const deployed = await s.ask('deploy', { environment: 'Staging', ref: 'main' });
    expect(deployed).toMatchObject({ status: 200, body: { message: expect.stringContaining('staging') as unknown } });
    expect((await s.settle(deployed))?.run.outcome).toEqual({ kind: 'success' });
    const [first, second] = s.cluster.patches;
    expect(second).toMatch(/^staging\/api=registry\.example\/acme\/shop@sha256:/);
    expect(second).not.toBe(first);

    const promoted = await s.ask('promote', { from: 'staging', to: 'production' });
    expect((await s.settle(promoted))?.run.outcome).toEqual({ kind: 'success' });
    expect(s.cluster.patches[2]).toBe(second?.replace('staging/', 'shop/'));

    const back = await s.ask('rollback', { environment: 'staging' });
    expect((await s.settle(back))?.run.outcome).toEqual({ kind: 'success' });
    expect(s.cluster.patches[3]).toBe(first);
    const after = await s.environments();
    expect(after['staging']).toMatchObject({ current: { sha: a1, by: '(operator)' } });
    expect(after['production']).toMatchObject({ current: { sha: b2 } });
    const audit = await s.store.audit.list('acme/shop', 50);
    const mine = audit.filter((record) => record.actor === '(operator)' && record.decision === 'allowed');
    expect(new Set(mine.map((record) => record.subject)).size).toBeGreaterThanOrEqual(2);
  });

  it('locks and unlocks: what happens by itself waits meanwhile', async () => {
    const s = await serve();
    await s.play(trigger(push(a1)));
    expect(await s.ask('lock', { environment: 'production', reason: 'Größe' })).toEqual({
      status: 200,
      body: { message: 'production is locked.' },
    });
    expect((await s.environments())['production']).toMatchObject({
      lock: { owner: '(operator)', reason: 'Größe', wholeRepository: false },
    });
    const others = { environment: 'staging', owner: 'linus', reason: '', pullRequest: null, at: 1 };
    await s.store.locks.take({ ...others, repositoryId: repository.id });
    const again = await s.ask('lock', { environment: 'staging' });
    expect(again).toEqual({ status: 409, body: { error: 'staging is locked already, by linus.' } });
    const result = await s.engine.intake(trigger(tag(a1, 'v1')));
    const runId = /run (\w+)/i.exec(result)?.[1] ?? '';
    const isHeld = async () => (await s.environments())['production']?.['queue'] as readonly { state: string }[];
    let held = await isHeld();
    while (!held[0]?.state.includes('locked')) held = await isHeld();
    expect(s.cluster.patches.filter((patch) => patch.startsWith('shop/'))).toEqual([]);
    expect(await s.ask('unlock', { environment: 'production' })).toMatchObject({ status: 200 });
    await s.engine.completed(runId);
    expect(s.cluster.patches.filter((patch) => patch.startsWith('shop/'))).toHaveLength(1);
    expect((await s.ask('unlock', { environment: 'production' })).status).toBe(404);
    expect((await s.ask('lock', { environment: '', reason: 'all' })).body).toEqual({
      message: 'The whole repository is locked.',
    });
    expect((await s.environments())['staging']).toMatchObject({ lock: { owner: 'linus' } });
    expect((await s.environments())['production']).toMatchObject({ lock: { wholeRepository: true } });
  });

  it.each([
    ['deploy', { environment: 'prodution' }, 404, /has no environment prodution\. Did you mean production\?/],
    ['deploy', { environment: 'staging', ref: 'nowhere' }, 404, /no branch, tag or commit nowhere/],
    ['promote', { from: 'staging', to: 'production' }, 409, /staging/],
    ['promote', { from: 'staging', to: 'nowhere' }, 404, /has no environment nowhere/],
    ['rollback', { environment: 'production' }, 409, /./],
    ['lock', { environment: 'nowhere' }, 404, /has no environment nowhere/],
    ['unlock', { environment: 'staging' }, 404, /staging isn't locked/],
    ['deploy', {}, 400, /^environment: /],
    ['deploy', { environment: 'staging', branch: 'x' }, 400, /branch/],
    ['rollback', { environment: 'staging', overLock: 'yes' }, 400, /^overLock: /],
    ['deploy', { repository: 'acme/other', environment: 'staging' }, 404, /knows no run of a repository "acme\/other"/],
    ['deploy', { repository: 'acme', environment: 'staging' }, 400, /^repository: doesn't read OWNER\/REPO/],
  ] as const)('refuses %s %j with %i', async (path, body, status, error) => {
    const s = await serve();
    await s.store.runs.create({ repository, trigger: push(a1), pullRequest: null, at: 1 });
    const answer = await s.ask(path, body);
    expect(answer.body['error']).toMatch(error);
    expect(answer.status).toBe(status);
    expect(s.cluster.patches).toEqual([]);
  });

  it('takes nothing but the token: no cookie, no other token, no broken body', async () => {
    const s = await serve();
    const paths = ['environments?repository=acme/shop', 'deploy', 'rollback', 'promote', 'lock', 'unlock'];
    const signedIn = await fetch(`${s.url}/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ token }),
      redirect: 'manual',
    });
    const cookie = (signedIn.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    expect(cookie).not.toBe('');
    for (const headers of [{}, { cookie }, { authorization: 'Bearer wrong' }, { authorization: `Basic ${token}` }]) {
      for (const path of paths) {
        const method = path.includes('?') ? 'GET' : 'POST';
        const answer = await fetch(`${s.url}/api/${path}`, { method, headers: headers as Record<string, string> });
        expect([path, answer.status, answer.headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer']);
        expect(Object.keys((await answer.json()) as object)).toEqual(['error']);
      }
    }
    const authorization = `Bearer ${token}`;
    const json = { authorization, 'content-type': 'application/json' };
    const broken = await fetch(`${s.url}/api/deploy`, { method: 'POST', headers: json, body: '{"a":' });
    expect([broken.status, await broken.json()]).toEqual([400, { error: "The body isn't JSON that can be read." }]);
    const crossSite = { ...json, origin: 'https://evil.example' };
    expect((await fetch(`${s.url}/api/deploy`, { method: 'POST', headers: crossSite, body: '{}' })).status).toBe(403);
    expect((await fetch(`${s.url}/api/unknown`, { headers: json })).status).toBe(404);
    expect((await fetch(`${s.url}/api/environments`, { headers: json })).status).toBe(400);
    const link = new URL(createLinks(s.url, s.signer).environments(repository));
    expect((await fetch(`${s.url}/api/environments${link.search}`)).status).toBe(401);
  });
});
