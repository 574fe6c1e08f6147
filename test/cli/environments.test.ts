import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Environments } from '#src/web/environments.ts';
import { demoEnvironments, seedEnvironments } from '#test/web/demo-environments.ts';
import { openSite, operatorToken, type Site } from '#test/web/site.ts';
import { type Ended, slipway } from './slipway.ts';

// Each starts several processes, and the machine may be busy.
jest.setTimeout(120_000);

let folder: string;
let site: Site;
let environments: ReturnType<typeof demoEnvironments>;
let answer: Partial<Environments>;
const closes: (() => void)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-environments-'));
  environments = demoEnvironments(() => site.store);
  answer = {};
  const changing = new Proxy(environments, {
    get: (target, name: keyof Environments) => answer[name] ?? target[name],
  });
  site = await openSite({ environments: changing });
});
afterEach(async () => {
  for (const close of closes.splice(0)) close();
  await site[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return slipway(folder, args, { env: { SLIPWAY_URL: site.url, SLIPWAY_TOKEN: operatorToken, ...env } });
}

const shop = ['--repository', 'acme/shop'];

/** Something that isn't Slipway; answers its address. */
async function other(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closes.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('slipway apps', () => {
  it('prints which version is where, and what is the matter', async () => {
    await seedEnvironments(site.store);
    const { code, out, err } = await run(['apps', ...shop]);
    expect([code, err]).toEqual([0, '']);
    const [head, ...lines] = out.split('\n');
    expect(head).toMatch(/^ENVIRONMENT +VERSION +COMMIT +IMAGE +BY +SINCE +HEALTH +QUEUE$/);
    expect(lines[0]).toMatch(
      /^staging +Fix the tax of gift cards +9999999 +shop@9a7c3e5b1d9f +linus +20\S+ \S+ UTC +healthy +deploying, 1 waiting$/,
    );
    expect(lines[1]).toMatch(
      /^production +v1\.6\.0 +6666666 +shop@6a7c3e5b1d9f +ada +20\S+ \S+ UTC +unhealthy +1 waiting$/,
    );
    expect(out).toContain('production is unhealthy: shop/worker: 2 of 3 available.\n');
    expect(out).toMatch(/production is locked by linus since .*: Black Friday: nothing <changes> until Monday\n/);
    expect(out).toContain('production: c0ffee1 by ada: Waits for 2 approvals (1 so far, by @ada).');
    expect(out).toContain('staging, number 1 in the line: c0ffee1 by ada: Waits for its turn.');
  });

  it('tells of the lock of a whole repository once', async () => {
    await seedEnvironments(site.store);
    answer.where = async (repository, how) => {
      const lock = { repositoryId: 1, environment: '', owner: 'ada', reason: 'Moving house', pullRequest: null, at: 1 };
      return (await environments.where(repository, how)).map((status) => ({ ...status, lock }));
    };
    const { out } = await run(['apps', ...shop]);
    expect(out.match(/Moving house/g)).toHaveLength(1);
    expect(out).toMatch(/\nthe whole repository is locked by \S+ since .*: Moving house\n/);
  });

  it('takes the repository from the folder, and address and token from .env if the shell has no token', async () => {
    await seedEnvironments(site.store);
    const git = (...args: readonly string[]) => execFileSync('git', args, { cwd: folder });
    git('init', '-q');
    expect(await run(['apps'])).toMatchObject({
      code: 1,
      err: 'slipway: Which repository? This folder has no git remote "origin". Name it: --repository OWNER/REPO.\n',
    });
    git('remote', 'add', 'origin', 'x');
    for (const remote of [
      'git@github.example:acme/shop.git',
      'https://github.example/acme/shop',
      'ssh://git@github.example:22/Acme/shop.git/',
    ]) {
      git('remote', 'set-url', 'origin', remote);
      expect([remote, (await run(['apps'])).code]).toEqual([remote, 0]);
    }
    await writeFile(join(folder, '.env'), `SLIPWAY_URL=${site.url}\nSLIPWAY_TOKEN='${operatorToken}'\n`);
    expect(await slipway(folder, ['apps'])).toMatchObject({ code: 0, err: '' });
    // The folder may be a stranger's: the shell's token doesn't go where its file says.
    expect(await slipway(folder, ['apps'], { env: { SLIPWAY_TOKEN: operatorToken } })).toEqual({
      code: 1,
      out: '',
      err: 'slipway: Which server? Set SLIPWAY_URL, or add --server https://ci.acme.example.\n',
    });
  });
});

describe('a command to a server', () => {
  it.each([
    ['deploy staging', { what: 'deploy', environment: 'staging', ref: null }],
    ['deploy staging v1.2.0', { what: 'deploy', environment: 'staging', ref: 'v1.2.0' }],
    ['promote staging production', { what: 'promote', from: 'staging', to: 'production' }],
    ['rollback production', { what: 'rollback', environment: 'production', to: null, overLock: false }],
    ['rollback production 2 --over-lock', { what: 'rollback', environment: 'production', to: '2', overLock: true }],
    ['lock production Black Friday', { what: 'lock', environment: 'production', reason: 'Black Friday' }],
    ['lock --all Black Friday', { what: 'lock', environment: '', reason: 'Black Friday' }],
    ['unlock production', { what: 'unlock', environment: 'production' }],
    ['unlock --all', { what: 'unlock', environment: '' }],
  ])('%s', async (args, asked) => {
    await seedEnvironments(site.store);
    expect(await run([...args.split(' '), ...shop])).toEqual({ code: 0, out: `${asked.what}: done.\n`, err: '' });
    expect(environments.asked).toEqual([asked]);
  });

  it('prints where what it began can be watched', async () => {
    await seedEnvironments(site.store);
    answer = { deploy: async () => ({ kind: 'accepted', message: 'staging gets 1234567.', runId: 'r1' }) };
    const { out } = await run(['deploy', 'staging', ...shop]);
    expect(out).toMatch(/^staging gets 1234567\.\n.*\/runs\/r1\?s=\S+\n$/);
  });

  it('ends with 1 and the reason if it is refused or asked for wrongly', async () => {
    await seedEnvironments(site.store);
    const message = 'The pipeline file has no environment prodution. Did you mean production?\u001b[2J';
    answer = {
      deploy: async () => ({ kind: 'unknown', message }),
      rollback: async () => ({ kind: 'refused', message: 'production is locked by linus.' }),
    };
    expect(await run(['deploy', 'prodution', ...shop])).toEqual({
      code: 1,
      out: '',
      err: 'slipway: The pipeline file has no environment prodution. Did you mean production?[2J\n',
    });
    expect(await run(['rollback', 'production', ...shop])).toEqual({
      code: 1,
      out: '',
      err: 'slipway: production is locked by linus.\n',
    });
    expect((await run(['lock'])).err).toContain('Which environment? Name it, or write --all');
    expect((await run(['deploy', 'x'.repeat(101), ...shop])).err).toContain('environment: is too long');
    expect((await run(['deploy', 'staging', '--repository', 'acme'])).err).toContain(`"acme" doesn't read OWNER/REPO.`);
    expect((await run(['deploy', 'staging', '--repository', 'acme/nope'])).err).toContain(
      'knows no run of a repository',
    );
    expect(environments.asked).toEqual([]);
  });

  it('says what is wrong with the server or the token', async () => {
    const elsewhere = await other((request, response) => {
      if (request.url?.startsWith('/moved')) response.writeHead(302, { location: 'https://new.example/' }).end();
      else if (request.url?.startsWith('/broken')) response.writeHead(503).end('{"error":"GitHub is down."}');
      else response.end('<html>');
    });
    const wrong = (env: Readonly<Record<string, string>>) => run(['apps', ...shop], env);
    expect(await wrong({ SLIPWAY_TOKEN: 'wrong' })).toMatchObject({
      code: 1,
      err: `slipway: ${site.url} doesn't take the token: The token isn't this server's SLIPWAY_TOKEN. (SLIPWAY_TOKEN is where it is read from.)\n`,
    });
    expect(await wrong({ SLIPWAY_TOKEN: '' })).toMatchObject({
      code: 1,
      err: expect.stringContaining('There is no token.') as unknown,
    });
    expect(await wrong({ SLIPWAY_URL: 'ci.example' })).toMatchObject({ code: 1 });
    expect(await wrong({ SLIPWAY_URL: `${elsewhere}/moved` })).toMatchObject({
      code: 1,
      err: expect.stringContaining(
        'leads elsewhere, to https://new.example/. Give that address with --server.',
      ) as unknown,
    });
    expect(await wrong({ SLIPWAY_URL: `${elsewhere}/broken/` })).toEqual({
      code: 2,
      out: '',
      err: `slipway: ${elsewhere}/broken failed: GitHub is down.\n`,
    });
    expect(await wrong({ SLIPWAY_URL: elsewhere })).toMatchObject({
      code: 2,
      err: expect.stringContaining('answered 200 with something else than was asked for') as unknown,
    });
    for (const close of closes.splice(0)) close();
    expect(await wrong({ SLIPWAY_URL: elsewhere })).toMatchObject({
      code: 2,
      err: expect.stringMatching(/can't be reached: connect ECONNREFUSED/) as unknown,
    });
  });
});
