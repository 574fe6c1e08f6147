import { createSign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { OPERATIONS } from '#dev/github/operations.ts';
import { ROUTES } from '#dev/github/routes/index.ts';
import { makeTown, SHOP, type Town } from './town.ts';

let town: Town;

beforeAll(async () => {
  town = await makeTown();
  await town.github.people.createRepository({ owner: 'acme', name: 'other', private: true });
  await town.commit('a.txt', 'a');
  await town.push('main');
});
afterAll(async () => {
  await town[Symbol.asyncDispose]();
});

function jwt(claims: Record<string, unknown>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(town.app.privateKey, 'base64url')}`;
}

async function get(path: string, token?: string): Promise<number> {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  return (await fetch(`${town.github.url}/api/v3${path}`, { headers })).status;
}

async function narrowed(repository: string): Promise<string> {
  const { data } = await town.octokit(null).rest.apps.createInstallationAccessToken({
    installation_id: town.installation.id,
    repositories: [repository],
    permissions: { contents: 'read' },
  });
  return data.token;
}

function clone(name: string, token: string): Promise<string> {
  const url = new URL(`${town.github.url}/acme/${name}.git`);
  url.username = 'x-access-token';
  url.password = token;
  return town.git('ls-remote', url.href);
}

it('answers every operation that it says it answers', () => {
  expect(Object.keys(ROUTES).sort()).toEqual([...OPERATIONS].sort());
});

describe("an App's own token", () => {
  const now = Math.floor(Date.now() / 1000);
  it.each([
    ['is taken', { iat: now - 30, exp: now + 500 }, 200],
    ['is refused when it has expired', { iat: now - 900, exp: now - 1 }, 401],
    ['is refused when it lives more than ten minutes', { iat: now, exp: now + 700 }, 401],
  ])('%s', async (_, times, status) => {
    expect(await get('/app', jwt({ ...times, iss: String(town.app.id) }))).toBe(status);
  });

  it('is refused with a foreign signature', async () => {
    const [head, , signature] = jwt({ iat: now, exp: now + 60, iss: town.app.id }).split('.');
    const payload = Buffer.from(JSON.stringify({ iat: now, exp: now + 61, iss: town.app.id })).toString('base64url');
    expect(await get('/app', `${head}.${payload}.${signature}`)).toBe(401);
  });
});

describe('an installation token', () => {
  it('reaches only the repositories that it was made for, in REST and in git', async () => {
    const token = await narrowed('shop');
    expect(token.length).toBeGreaterThan(100);
    expect(await get('/repos/acme/shop', token)).toBe(200);
    expect(await get('/repos/acme/other', token)).toBe(404);
    expect(await clone('shop', token)).toContain('refs/heads/main');
    await expect(clone('other', token)).rejects.toThrow(/not found/i);
  });

  it('has no more permissions than it was given', async () => {
    expect(await get('/repos/acme/shop/pulls', await narrowed('shop'))).toBe(403);
  });

  it('may not push with contents: read', async () => {
    const url = (await narrowed('shop')) && new URL(`${town.github.url}/acme/shop.git`);
    Object.assign(url, { username: 'x-access-token', password: await narrowed('shop') });
    await expect(town.git('push', (url as URL).href, 'HEAD:refs/heads/x')).rejects.toThrow(/403/);
  });

  it('is not made for what the installation does not have', async () => {
    const asked = town.octokit(null).rest.apps.createInstallationAccessToken({
      installation_id: town.installation.id,
      permissions: { administration: 'write' },
    });
    await expect(asked).rejects.toMatchObject({ status: 422 });
  });
});

describe('a private repository', () => {
  it('is not there for strangers', async () => {
    expect(await get('/repos/acme/shop')).toBe(404);
    await expect(town.git('ls-remote', `${town.github.url}/acme/shop.git`)).rejects.toThrow(/could not read Username/);
  });
});

it('tells the real role besides the mapped permission', async () => {
  town.github.people.setRole('acme/shop', 'mia', 'maintain');
  town.github.people.setRole('acme/shop', 'nobody', 'none');
  const ask = (username: string) => town.octokit().rest.repos.getCollaboratorPermissionLevel({ ...SHOP, username });
  expect((await ask('mia')).data).toMatchObject({ permission: 'write', role_name: 'maintain' });
  expect((await ask('nobody')).data).toMatchObject({ permission: 'none' });
  await expect(ask('unheard-of')).rejects.toMatchObject({ status: 404 });
  // An App is no user, and has no role.
  await expect(ask(town.app.bot.login)).rejects.toMatchObject({ status: 404 });
});

it('notes an operation that it does not know', async () => {
  const before = town.github.world.violations.length;
  expect(await get('/repos/acme/shop/actions/runs')).toBe(404);
  expect(town.github.world.violations.splice(before)).toEqual([
    { kind: 'unknown operation', what: 'GET /repos/acme/shop/actions/runs', details: [] },
  ]);
});

it.each([
  ['another answer', { kind: 'status', status: 502 } as const, { status: 502 }],
  ['a broken connection', { kind: 'reset' } as const, { status: 500 }],
])('goes wrong as asked: %s', async (_, fault, expected) => {
  town.github.faults = ({ path }) => (path === '/rate_limit' ? fault : null);
  await expect(town.octokit().rest.rateLimit.get()).rejects.toMatchObject(expected);
  town.github.faults = null;
});

it('loses an answer but not what was asked for', async () => {
  const head_sha = await town.git('rev-parse', 'HEAD');
  town.github.faults = ({ path }) => (path.endsWith('/check-runs') ? { kind: 'lost' } : null);
  await expect(town.octokit().rest.checks.create({ ...SHOP, name: 'lost', head_sha })).rejects.toMatchObject({
    status: 500,
  });
  town.github.faults = null;
  expect(town.github.checkRuns('acme/shop', head_sha).map(({ name }) => name)).toContain('lost');
});
