import { describe, expect, it } from '@jest/globals';
import { planned, plannedRun, push } from '#test/contracts/store-fixtures.ts';
import { openSite, operatorToken } from './site.ts';

describe("another site's page", () => {
  const signedIn = async (url: string) => {
    const answer = await fetch(`${url}/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ token: operatorToken }),
      redirect: 'manual',
    });
    return (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  };

  it.each([
    ['its name', { origin: 'https://evil.example' }],
    ['none, from a frame without an origin', { origin: 'null' }],
    ['ours, but of another port', { origin: 'http://127.0.0.1:1' }],
    ['Sec-Fetch-Site cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['a sister site', { 'sec-fetch-site': 'same-site' }],
  ])("can't press the operator's buttons; its origin is %s", async (_what, headers) => {
    const cancelled: string[] = [];
    await using site = await openSite({ cancel: async (runId) => void cancelled.push(runId) });
    const { id } = await plannedRun(site.store, push('a'.repeat(40)), [planned('a')]);
    const cookie = await signedIn(site.url);
    const send = (url: string) => fetch(url, { method: 'POST', headers: { ...headers, cookie }, redirect: 'manual' });
    for (const url of [site.links.cancel(id), `${site.url}/sign-in`, `${site.url}/sign-out`]) {
      expect((await send(url)).status).toBe(403);
    }
    expect(cancelled).toEqual([]);
    const records = await site.store.audit.list(null, 10);
    expect(records.map(({ action, decision }) => `${action} ${decision}`)).toEqual(['form refused', 'sign-in allowed']);
  });

  it('is told apart from our own, also behind a proxy', async () => {
    const cancelled: string[] = [];
    const cancel = async (runId: string) => void cancelled.push(runId);
    await using site = await openSite({ cancel, baseUrl: 'https://ci.acme.example' });
    const { id } = await plannedRun(site.store, push('a'.repeat(40)), [planned('a')]);
    const cookie = await signedIn(site.url);
    const ours = [
      { 'sec-fetch-site': 'same-origin', origin: 'null' },
      { origin: 'https://ci.acme.example' },
      { origin: new URL(site.url).origin },
    ];
    for (const headers of ours) {
      const init = { method: 'POST', headers: { ...headers, cookie }, redirect: 'manual' } as const;
      expect((await fetch(site.links.cancel(id), init)).status).toBe(303);
    }
    expect(cancelled).toHaveLength(3);
  });
});

describe('what is served over https', () => {
  it('stays there: browsers are told, and the cookie goes nowhere else', async () => {
    await using site = await openSite({ baseUrl: 'https://ci.acme.example' });
    const answer = await fetch(`${site.url}/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ token: operatorToken }),
      redirect: 'manual',
    });
    expect(answer.headers.get('set-cookie')).toMatch(/; Path=\/; .*HttpOnly; Secure; SameSite=Strict$/);
    expect(answer.headers.get('strict-transport-security')).toBe('max-age=31536000');
    await using plain = await openSite({ baseUrl: 'http://localhost:3000' });
    expect((await fetch(plain.url)).headers.get('strict-transport-security')).toBeNull();
  });
});

describe('a signature', () => {
  it('opens what it was made for, and nothing else', async () => {
    await using site = await openSite();
    const own = await plannedRun(site.store, push('a'.repeat(40)), [planned('a')]);
    const other = await plannedRun(site.store, push('b'.repeat(40)), [planned('b')]);
    const s = new URL(site.links.run(own.id)).searchParams.get('s') ?? '';
    const job = other.jobs[0] ?? '';
    const paths = [
      `/runs/${other.id}`,
      `/runs/${other.id}/jobs/${job}`,
      `/runs/${own.id}/jobs/${job}`,
      `/runs/${own.id}/jobs/${job}/log`,
      `/runs/${own.id}/jobs/${job}/events`,
      `/runs/${own.id}%2f..%2f${other.id}`,
      `/runs/${own.id}/../${other.id}`,
    ];
    for (const each of paths) expect((await fetch(`${site.url}${each}?s=${s}`)).status).toBe(404);
    const twice = await fetch(`${site.url}/runs/${other.id}?s=${s}&s=${s}`);
    expect(twice.status).toBe(404);
  });
});

describe('the audit', () => {
  it("has what was done on the pages, and doesn't grow by what strangers try", async () => {
    await using site = await openSite();
    const { id } = await plannedRun(site.store, push('a'.repeat(40)), [planned('a')]);
    const post = { method: 'POST', redirect: 'manual' } as const;
    for (let i = 0; i < 20; i += 1) {
      await fetch(site.links.cancel(id), post);
      await fetch(`${site.url}/sign-in`, { ...post, body: new URLSearchParams({ token: `guess ${i}` }) });
    }
    await fetch(site.links.cancel(id), { ...post, headers: { authorization: `Bearer ${operatorToken}` } });
    const records = await site.store.audit.list(null, 100);
    expect(records.map(({ actor, action, decision }) => `${actor}: ${action} ${decision}`).toSorted()).toEqual([
      'operator (on the page): cancel allowed',
      'unknown (on the page): cancel refused',
      'unknown (on the page): sign-in refused',
    ]);
    expect(records.find(({ decision }) => decision === 'allowed')).toMatchObject({
      repository: 'Acme/Shop',
      subject: `run ${id}`,
    });
    expect(JSON.stringify(records)).not.toContain('guess');
  });
});
