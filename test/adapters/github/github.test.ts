import { describe, expect, it, jest } from '@jest/globals';
import { apiUrl } from '#src/adapters/github/github.ts';
import { useNock } from '#test/nock.ts';
import { allowTokens, api, openTestGitHub, privateKey, repository, sha } from './support.ts';

const nock = useNock();

function tokenIn(ms: number, token: string) {
  return { token, expires_at: new Date(Date.now() + ms).toISOString(), permissions: { contents: 'read' } };
}

// What stands between fetch and nock throws now and then when a request was ended before its answer, in whatever test runs then.
jest.retryTimes(1, { logErrorsBeforeRetry: true });

describe('tokens for git', () => {
  it('are narrowed to the repository and to reading, and kept', async () => {
    const asked: unknown[] = [];
    nock(api)
      .post('/app/installations/77/access_tokens')
      .once()
      .reply(201, async (request: Request) => {
        asked.push(await request.json());
        return tokenIn(3_600_000, 'first');
      });
    const github = await openTestGitHub();
    expect(await Promise.all([github.token(repository), github.token(repository)])).toContain('first');
    expect(await github.token(repository)).toBe('first');
    expect(asked).toEqual([{ repository_ids: [repository.id], permissions: { contents: 'read' } }]);
  });

  it('are replaced five minutes before they expire', async () => {
    nock(api)
      .post('/app/installations/77/access_tokens')
      .once()
      .reply(201, tokenIn(4 * 60_000, 'old'));
    nock(api).post('/app/installations/77/access_tokens').once().reply(201, tokenIn(3_600_000, 'new'));
    const github = await openTestGitHub();
    expect(await github.token(repository)).toBe('old');
    expect(await github.token(repository)).toBe('new');
    expect(await github.token(repository)).toBe('new');
  });

  it.each([
    [502, {}],
    [429, { 'retry-after': '1' }],
  ])('are asked for again after %i', async (status, headers) => {
    nock(api).post('/app/installations/77/access_tokens').once().reply(status, { message: 'Later' }, headers);
    nock(api).post('/app/installations/77/access_tokens').once().reply(201, tokenIn(3_600_000, 'new'));
    const github = await openTestGitHub();
    expect(await github.token(repository)).toBe('new');
  });

  it('a refusal says what to do and is not remembered', async () => {
    nock(api).post('/app/installations/77/access_tokens').once().reply(404, { message: 'Not Found' });
    nock(api).post('/app/installations/77/access_tokens').once().reply(201, tokenIn(3_600_000, 'new'));
    const github = await openTestGitHub();
    await expect(github.token(repository)).rejects.toThrow(/token for acme\/shop: 404 .*App is installed/);
    expect(await github.token(repository)).toBe('new');
  });
});

describe('addresses', () => {
  it.each([
    [null, 'https', 'https://api.github.com'],
    ['github.com', 'https', 'https://api.github.com'],
    ['git.acme.example', 'https', 'https://git.acme.example/api/v3'],
    ['localhost:4000', 'http', 'http://localhost:4000/api/v3'],
    ['acme.ghe.com', 'https', 'https://api.acme.ghe.com'],
  ] as const)('%s by %s', (host, protocol, url) => {
    expect(apiUrl(host, protocol)).toBe(url);
  });

  it('an Enterprise Server is asked for everything, tokens included', async () => {
    const ghe = 'http://ghe.example:4000/api/v3';
    allowTokens(nock(ghe));
    nock(ghe).get('/app').reply(200, { id: 1 });
    nock(ghe).get('/repos/acme/shop/pulls/1').reply(200, { number: 1 });
    const github = await openTestGitHub({ host: 'ghe.example:4000', protocol: 'http' });
    await github.ping();
    expect(await github.token(repository)).toBe('ghs_test');
    const client = await github.client(77);
    const answer = await client.rest.pulls.get({ owner: 'acme', repo: 'shop', pull_number: 1 });
    expect(answer.data.number).toBe(1);
  });
});

describe('the private key', () => {
  it.each([
    ['as it is', privateKey],
    ['in one line', privateKey.replaceAll('\n', '\\n')],
    ['in base64', Buffer.from(privateKey).toString('base64')],
  ])('%s', async (_what, key) => {
    nock(api).get('/app').reply(200, { id: 1 });
    await expect((await openTestGitHub({ privateKey: key })).ping()).resolves.toBeUndefined();
  });

  it('that is none stops the start, and is not shown', async () => {
    const start = openTestGitHub({ privateKey: 'hunter2' });
    await expect(start).rejects.toThrow(/^PRIVATE_KEY is not a private key in PEM form/);
    await expect(start).rejects.not.toThrow(/hunter2/);
  });
});

describe('ping', () => {
  it('accepts credentials that GitHub accepts', async () => {
    nock(api).get('/app').reply(200, { id: 1 });
    await expect((await openTestGitHub()).ping()).resolves.toBeUndefined();
  });

  it('says which settings to check', async () => {
    nock(api).get('/app').reply(401, { message: 'A JSON web token could not be decoded' });
    await expect((await openTestGitHub()).ping()).rejects.toThrow(/APP_ID and PRIVATE_KEY/);
  });
});

describe('requests', () => {
  it.each([
    ['a secondary limit', 403, { 'retry-after': '1' }, { message: 'You have exceeded a secondary rate limit.' }],
    ['too many requests', 429, { 'retry-after': '1' }, { message: 'Slow down' }],
  ])('%s is waited for, and the request sent again', async (_what, status, headers, body) => {
    allowTokens(nock(api));
    nock(api).post('/repos/acme/shop/issues/1/comments').once().reply(status, body, headers);
    nock(api).post('/repos/acme/shop/issues/1/comments').once().reply(201, { id: 9 });
    const client = await (await openTestGitHub()).client(77);
    const before = Date.now();
    const answer = await client.rest.issues.createComment({ owner: 'acme', repo: 'shop', issue_number: 1, body: 'x' });
    expect(answer.data.id).toBe(9);
    expect(Date.now() - before).toBeGreaterThanOrEqual(990);
  });

  it('reading is tried again after an error, writing is not', async () => {
    allowTokens(nock(api));
    nock(api).get('/repos/acme/shop/pulls/1').once().reply(502);
    nock(api).get('/repos/acme/shop/pulls/1').once().reply(200, { number: 1 });
    nock(api).post('/repos/acme/shop/check-runs').once().reply(502);
    const client = await (await openTestGitHub()).client(77);
    const at = { owner: 'acme', repo: 'shop' };
    expect((await client.rest.pulls.get({ ...at, pull_number: 1 })).data.number).toBe(1);
    await expect(client.rest.checks.create({ ...at, name: 'x', head_sha: sha })).rejects.toMatchObject({ status: 502 });
  });

  it('forty writes at once take no second each', async () => {
    allowTokens(nock(api));
    nock(api).persist().post('/repos/acme/shop/check-runs').reply(201, { id: 1 });
    const client = await (await openTestGitHub()).client(77);
    const at = { owner: 'acme', repo: 'shop', head_sha: sha };
    const before = Date.now();
    await Promise.all(Array.from({ length: 40 }, (_, i) => client.rest.checks.create({ ...at, name: `${i}` })));
    expect(Date.now() - before).toBeLessThan(10_000);
  });

  it('a delivery without an installation gives a refusal, not a client', async () => {
    await expect((await openTestGitHub()).client(0)).rejects.toMatchObject({ status: 404 });
  });
});

describe('credentials that GitHub does not take', () => {
  const at = { owner: 'acme', repo: 'shop', pull_number: 1 };

  it('a revoked token is renewed once for all that failed by it', async () => {
    const good = new Set<string>();
    let issued = 0;
    nock(api)
      .persist()
      .post('/app/installations/77/access_tokens')
      .reply(201, () => {
        issued += 1;
        good.clear();
        good.add(`token ghs_${issued}`);
        return tokenIn(3_600_000, `ghs_${issued}`);
      });
    nock(api)
      .persist()
      .get('/repos/acme/shop/pulls/1')
      .reply((request: Request) =>
        good.has(request.headers.get('authorization') ?? '')
          ? [200, { number: 1 }]
          : [401, { message: 'Bad credentials' }],
      );
    const client = await (await openTestGitHub()).client(77);
    await client.rest.pulls.get(at);
    good.clear();
    const answers = await Promise.all([
      client.rest.pulls.get(at),
      client.rest.pulls.get(at),
      client.rest.pulls.get(at),
    ]);
    expect(answers.map(({ data }) => data.number)).toEqual([1, 1, 1]);
    expect(issued).toBe(2);
  }, 30_000);

  it('credentials that are wrong are not tried for ever', async () => {
    nock(api)
      .persist()
      .post('/app/installations/77/access_tokens')
      .reply(401, { message: 'A JSON web token could not be decoded' });
    const client = await (await openTestGitHub()).client(77);
    await expect(client.rest.pulls.get(at)).rejects.toMatchObject({ status: 401 });
  });

  it.each([
    ['an hour behind', 3_600_000, "'Issued at' claim ('iat') must be in the past"],
    ['an hour ahead', -3_600_000, "'Expiration time' claim ('exp') is too far in the future"],
  ])('a clock that is %s is made up for, then and from then on', async (_what, ahead, message) => {
    let refused = 0;
    type Answer = [number, unknown, Record<string, string>];
    const answer =
      (body: unknown) =>
      (request: Request): Answer => {
        const [, payload = ''] = request.headers.get('authorization')?.split('.') ?? [];
        const { iat, exp } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { iat: number; exp: number };
        const theirs = (Date.now() + ahead) / 1000;
        if (iat <= theirs && exp > theirs && exp <= theirs + 600) return [201, body, {}];
        refused += 1;
        return [401, { message }, { date: new Date(Date.now() + ahead).toUTCString() }];
      };
    nock(api)
      .persist()
      .post('/app/installations/77/access_tokens')
      .reply(answer(tokenIn(3_600_000, 'ghs_a')));
    const github = await openTestGitHub();
    expect(await github.token(repository)).toBe('ghs_a');
    expect(await github.token({ ...repository, id: 9 })).toBe('ghs_a');
    expect(refused).toBe(1);
  });
});
