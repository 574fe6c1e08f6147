import { describe, expect, it } from '@jest/globals';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { createReadiness, readiness } from '#src/web/health.ts';
import { createSigner } from '#src/web/signer.ts';
import { openSite, operatorToken } from './site.ts';

describe('health', () => {
  it('says that the process lives', async () => {
    await using site = await openSite();
    const response = await fetch(`${site.url}/healthz`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'alive', version: '0.1.0' }]);
  });

  it('says which part is not ready, and why to the operator only', async () => {
    const refused = () => Promise.reject(new PlatformError('connect ECONNREFUSED /var/run/docker.sock'));
    await using site = await openSite({ checks: { database: async () => {}, docker: refused } });
    const open = await fetch(`${site.url}/readyz`);
    const checks = { database: 'ok', docker: 'failed' };
    expect([open.status, await open.json()]).toEqual([503, { ready: false, checks }]);
    const headers = { Authorization: `Bearer ${operatorToken}` };
    expect(await (await fetch(`${site.url}/readyz`, { headers })).json()).toEqual({
      ready: false,
      checks,
      errors: { docker: 'connect ECONNREFUSED /var/run/docker.sock' },
    });
  });

  it('is ready when all parts are', async () => {
    await using site = await openSite({ checks: { database: async () => {}, docker: async () => {} } });
    const response = await fetch(`${site.url}/readyz`);
    expect([response.status, await response.json()]).toEqual([
      200,
      { ready: true, checks: { database: 'ok', docker: 'ok' } },
    ]);
  });

  it('asks the parts once for many who ask, and again after a while', async () => {
    let asked = 0;
    let now = 1_000;
    const check = async () => {
      asked += 1;
    };
    const ask = createReadiness({ github: check }, 1_000, { now: () => now });
    await Promise.all([ask(), ask(), ask()]);
    expect(asked).toBe(1);
    now += 2_000;
    await ask();
    expect(asked).toBe(2);
  });

  it("doesn't wait for a part that doesn't answer", async () => {
    const never = () => new Promise<void>(() => {});
    expect(await readiness({ github: never, database: async () => {} }, 20)).toEqual({
      ready: false,
      checks: { github: 'timed out', database: 'ok' },
      errors: { github: 'No answer within 0.02 s.' },
    });
  });
});

describe('signatures', () => {
  const signer = createSigner(Buffer.alloc(32, 1));

  it('are of one run and one key', () => {
    expect(signer.verify('run', signer.sign('run'))).toBe(true);
    expect(signer.verify('other', signer.sign('run'))).toBe(false);
    expect(createSigner(Buffer.alloc(32, 2)).verify('run', signer.sign('run'))).toBe(false);
    for (const wrong of ['', undefined, null, ['a'], `${signer.sign('run')} `]) {
      expect(signer.verify('run', wrong)).toBe(false);
    }
  });

  it('need a key that is long enough', () => {
    expect(() => createSigner(Buffer.from('short'))).toThrow('has 5 bytes, 32 are needed');
  });
});

describe('set-up', () => {
  const flow = {
    begin: (organization: string | null) => ({
      action: `https://github.example/${organization ?? 'me'}/settings/apps/new?state=s1`,
      manifest: '{"name":"slipway","url":"https://ci.example/?a=1&b=\'2\'"}',
    }),
    async complete(code: string, state: string) {
      if (code !== 'c1' || state !== 's1') throw new UserError('This link did not start on this page. Start again.');
      return { name: 'slipway-acme', url: 'https://github.example/apps/slipway-acme/installations/new' };
    },
  };
  const setup = { flow, token: 'printed in the log' };
  const post = (url: string, body: Record<string, string>) =>
    fetch(`${url}/setup`, { method: 'POST', body: new URLSearchParams(body) });

  it('is where a fresh server leads, and asks for the token of its log', async () => {
    await using site = await openSite({ setup, operatorToken: null });
    const response = await fetch(site.url);
    expect(response.url).toBe(`${site.url}/setup`);
    const text = await response.text();
    expect(text).toContain('one-time token');
    expect(text).not.toContain('manifest');
    const refused = await post(site.url, { token: 'guessed' });
    expect(refused.status).toBe(401);
    expect(await refused.text()).not.toContain('name="manifest"');
  });

  it('posts the manifest to GitHub, and nowhere else', async () => {
    await using site = await openSite({ setup });
    const response = await post(site.url, { token: ' printed in the log ', organization: 'acme' });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-security-policy')).toContain("form-action 'self' https://github.example;");
    const text = await response.text();
    expect(text).toContain('action="https://github.example/acme/settings/apps/new?state=s1"');
    expect(text).toContain('value="{&quot;name&quot;:&quot;slipway&quot;');
  });

  it('ends with the link to install the App', async () => {
    await using site = await openSite({ setup });
    const done = await fetch(`${site.url}/setup/callback?code=c1&state=s1`);
    expect(done.status).toBe(200);
    expect(await done.text()).toContain('href="https://github.example/apps/slipway-acme/installations/new"');
    for (const query of ['code=c1&state=forged', 'state=s1', '']) {
      const failed = await fetch(`${site.url}/setup/callback?${query}`);
      expect(failed.status).toBe(400);
      expect(await failed.text()).toContain('Start again');
    }
  });

  it('is gone once the App is registered', async () => {
    await using site = await openSite();
    expect((await fetch(`${site.url}/setup`)).status).toBe(404);
    expect((await fetch(`${site.url}/setup/callback?code=c1&state=s1`)).status).toBe(404);
  });
});

describe('the public key for sealing', () => {
  it('is there for any repository, known or not, as a line of text', async () => {
    await using site = await openSite();
    for (const name of ['acme/shop', 'Acme/Shop.js', 'badge/shop', 'runs/x']) {
      const response = await fetch(`${site.url}/${name}/seal-key`);
      expect([response.status, await response.text()]).toEqual([200, `seal-key:v1:${name}\n`]);
      expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
      expect(response.headers.get('cache-control')).toBe('public, max-age=300');
    }
  });

  it('is not there for what is no name of a repository', async () => {
    await using site = await openSite();
    for (const path of ['a%20b/shop', 'acme/%2e%2e', 'acme/sh%0aop', 'acme/<b>', 'acme', '-a/b']) {
      expect((await fetch(`${site.url}/${path}/seal-key`)).status).toBe(404);
    }
    expect(site.errors).toEqual([]);
  });

  it('that can not be had is an error that tells nothing of the server', async () => {
    const sealKey = () => Promise.reject(new PlatformError('The key file /srv/secret.key is damaged.'));
    await using site = await openSite({ sealKey });
    const response = await fetch(`${site.url}/acme/shop/seal-key`);
    expect([response.status, (await response.text()).includes('/srv')]).toEqual([500, false]);
    expect(site.errors).toHaveLength(1);
  });
});
