import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { openGitHub } from '#src/adapters/github/github.ts';
import { createGitOps } from '#src/adapters/github/gitops.ts';
import type { GitOps } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { makeTown, type Town } from '#test/dev/github/town.ts';

const may = { contents: 'write', pull_requests: 'write', issues: 'write', checks: 'write' } as const;
const repository = 'acme/shop';
const never = new AbortController().signal;
const change = {
  files: new Map([
    ['a.yaml', 'image: new\n'],
    ['b.yaml', 'tag: v2\n'],
  ]),
  message: 'Deploy it\n\nSlipway-Deployment: 1',
};
const proposal = { ...change, body: 'Deploys it.\n\nSlipway-Deployment: 1' };

let town: Town;
let gitops: GitOps;
let head: string;

async function open(permissions: Record<string, 'read' | 'write'> = may): Promise<void> {
  town = await makeTown(permissions);
  gitops = createGitOps(
    await openGitHub({
      appId: town.app.id,
      privateKey: town.app.privateKey,
      webhookSecret: 'secret',
      host: new URL(town.github.url).host,
      protocol: 'http',
      logger: pino({ level: 'silent' }),
    }),
  );
  await town.commit('a.yaml', 'image: old # é\n');
  await town.commit('b.yaml', 'tag: v1\n');
  await mkdir(join(town.work, 'docs'));
  await town.commit('docs/x.yaml', 'x: 1\n');
  head = await town.commit('README.md', 'Hello');
  await town.push('main');
}

async function file(path: string, ref = 'main'): Promise<string> {
  await town.git('fetch', '--quiet', town.github.pushUrl(repository, 'acme'), ref);
  return town.git('show', `FETCH_HEAD:${path}`);
}

beforeEach(() => open());
afterEach(async () => {
  expect(town.github.violations).toEqual([]);
  await town[Symbol.asyncDispose]();
});

const at = () => ({ repository, branch: 'main', head });

it('reads files at the head of the default branch', async () => {
  expect(await gitops.read({ repository, branch: null }, ['a.yaml', 'c.yaml'], never)).toEqual({
    branch: 'main',
    head,
    files: new Map([
      ['a.yaml', 'image: old # é\n'],
      ['c.yaml', null],
    ]),
  });
});

it('changes several files in one commit, and nothing else', async () => {
  const { sha, url } = await gitops.commit(at(), change, never);
  expect(url).toBe(`${town.github.url}/acme/shop/commit/${sha}`);
  expect(await file('a.yaml')).toBe('image: new');
  expect(await file('README.md')).toBe('Hello');
  expect(await town.git('log', '-1', '--format=%P %B', 'FETCH_HEAD')).toBe(`${head} ${change.message}`);
});

it('never goes over a commit that came meanwhile', async () => {
  await gitops.commit(at(), change, never);
  const again = gitops.commit(at(), { ...change, files: new Map([['a.yaml', 'image: newer\n']]) }, never);
  await expect(again).rejects.toThrow(/branch main of acme\/shop has moved meanwhile/);
  await expect(again).rejects.toBeInstanceOf(PlatformError);
  expect(await file('a.yaml')).toBe('image: new');
});

it('says what to do where the branch takes no commits', async () => {
  town.github.world.protectedBranches.add('acme/shop refs/heads/main');
  const commit = gitops.commit(at(), change, never);
  await expect(commit).rejects.toThrow(
    /takes no commit to main of acme\/shop: .*must be made through a pull request.*set `pull_request: true`/,
  );
  await expect(commit).rejects.toBeInstanceOf(UserError);
});

describe('a pull request', () => {
  const from = 'slipway/production-b2b2';
  const propose = (body = proposal.body) => gitops.propose({ ...at(), from }, { ...proposal, body }, never);

  it('is opened once, and followed until it is merged', async () => {
    const { number, url } = await propose();
    expect(url).toBe(`${town.github.url}/acme/shop/pull/${number}`);
    expect(await propose()).toEqual({ number, url });
    expect(await gitops.pullRequest(repository, number, never)).toEqual({ state: 'open', url });
    expect(await file('a.yaml', from)).toBe('image: new');
    expect(await file('a.yaml')).toBe('image: old # é');
    await town.github.people.mergePullRequest(repository, number);
    expect((await gitops.pullRequest(repository, number, never)).state).toBe('merged');
    expect(await file('a.yaml')).toBe('image: new');
  });

  it('that was closed is found again by its body, and a new one is opened for another deployment', async () => {
    const { number } = await propose();
    await town.github.people.closePullRequest(repository, number);
    expect((await propose()).number).toBe(number);
    expect((await gitops.pullRequest(repository, number, never)).state).toBe('closed');
    const other = await propose('Deploys it.\n\nSlipway-Deployment: 2');
    expect(other.number).not.toBe(number);
    expect((await gitops.pullRequest(repository, other.number, never)).state).toBe('open');
  });

  it('is closed with a comment, once', async () => {
    const { number } = await propose();
    await gitops.close(repository, number, 'Nobody waits.', never);
    await gitops.close(repository, number, 'Nobody waits.', never);
    expect((await gitops.pullRequest(repository, number, never)).state).toBe('closed');
    expect(town.github.comments(repository, number).map((it) => it.body)).toEqual(['Nobody waits.']);
  });
});

it.each<[string, () => Promise<unknown>, RegExp]>([
  [
    'a repository without the App',
    () => gitops.read({ repository: 'other/deploy', branch: null }, [], never),
    /App is not installed on other\/deploy.*contents: write and pull_requests: write/,
  ],
  [
    'a branch that is not there',
    () => gitops.read({ repository, branch: 'nope' }, [], never),
    /no branch nope in acme\/shop/,
  ],
  ['a folder', () => gitops.read({ repository, branch: null }, ['docs'], never), /docs in acme\/shop is no file/],
  [
    'a path that leads elsewhere',
    () => gitops.read({ repository, branch: null }, ['../../other'], never),
    /is no path of a file/,
  ],
])('%s is told as the user’s mistake', async (_name, work, message) => {
  await expect(work()).rejects.toThrow(message);
  await expect(work()).rejects.toBeInstanceOf(UserError);
});

it('an App that is installed later is found', async () => {
  await town.github.people.createRepository({ owner: 'zoe', name: 'deploy' });
  const read = () => gitops.read({ repository: 'zoe/deploy', branch: 'main' }, [], never);
  await expect(read()).rejects.toThrow(/not installed/);
  town.github.install(town.app, 'zoe');
  await expect(read()).rejects.toThrow(/no branch main/);
});

it('a missing permission is named, and not tried again', async () => {
  await town[Symbol.asyncDispose]();
  await open({ contents: 'read', pull_requests: 'read' });
  const commit = gitops.commit(at(), change, never);
  await expect(commit).rejects.toMatchObject({ retry: 'never' });
  await expect(commit).rejects.toThrow(/may not commit to acme\/shop.*contents: write and pull_requests: write/);
});
