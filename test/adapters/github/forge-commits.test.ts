import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createForge } from '#src/adapters/github/forge.ts';
import type { Forge } from '#src/engine/ports-forge.ts';
import type { Repository } from '#src/model/repository.ts';
import { makeTown, type Town } from '#test/dev/github/town.ts';

/** What decisions on deployments ask, asked of a GitHub with real commits. */

const shop = 'acme/shop';
const repository: Repository = {
  id: 1,
  owner: 'acme',
  name: 'shop',
  defaultBranch: 'main',
  private: true,
  cloneUrl: 'http://github.invalid/acme/shop.git',
  installationId: 1,
};
const shas: string[] = [];
let town: Town;
let forge: Forge;

beforeAll(async () => {
  town = await makeTown();
  const { people } = town.github;
  people.setRole(shop, 'ada', 'write');
  people.setRole(shop, 'bob', 'write');
  for (const name of ['one', 'two', 'three']) shas.push(await town.commit(`${name}.txt`, name));
  await town.git('tag', 'v1.0.0', shas[0] ?? '');
  await town.push('main', 'v1.0.0', `${shas[0]}:refs/heads/release/1.x`);
  forge = createForge({ client: async () => town.octokit() });
});
afterAll(async () => {
  expect(town.github.violations).toEqual([]);
  await town[Symbol.asyncDispose]();
});

describe('the commit of', () => {
  it.each([
    ['a branch', 'main', 2],
    ['a branch with a slash', 'release/1.x', 0],
    ['a tag', 'v1.0.0', 0],
    ['nothing that is there', 'v9', null],
    ['nothing at all', '', null],
    ['an address that leads elsewhere', '../..', null],
    ['here', '.', null],
    ["git's words for a parent", 'main~1', null],
    ['a range', 'v1.0.0..main', null],
    ['what looks like an option', '--all', null],
  ])('%s', async (_what, ref, index) => {
    expect(await forge.commit(repository, ref)).toBe(index === null ? null : shas[index]);
  });

  it('the beginning of a SHA', async () => {
    expect(await forge.commit(repository, shas[1]?.slice(0, 10) ?? '')).toBe(shas[1]);
  });
});

describe('a team', () => {
  it.each([
    ['a member', 'acme/crew', 'ada', true],
    ['a member, whatever the case', 'Acme/Crew', 'Ada', true],
    ['somebody else', 'acme/crew', 'bob', false],
    ['a team that is not there', 'acme/ghosts', 'ada', false],
    ["another organisation's", 'others/crew', 'ada', false],
    ['what is no team', 'crew', 'ada', false],
    ['what is more than a team', '../acme/crew', 'ada', false],
  ])('%s', async (_what, team, login, expected) => {
    town.github.people.setTeam('acme/crew', ['ada']);
    town.github.people.setTeam('others/crew', ['ada']);
    expect(await forge.isMember(repository, team, login)).toBe(expected);
  });
});

it('may not be asked for without the permission: nobody is a member', async () => {
  const { checks: _, ...others } = { checks: 'write', contents: 'read' } as const;
  const poor = town.github.registerApp({ name: 'poor', permissions: others, webhook: { url: null, secret: '' } });
  const installation = town.github.install(poor, 'acme');
  const { ProbotOctokit } = await import('probot');
  const client = new ProbotOctokit({
    baseUrl: `${town.github.url}/api/v3`,
    auth: { appId: poor.id, privateKey: poor.privateKey, installationId: installation.id },
    retry: { enabled: false },
    throttle: { enabled: false },
  });
  town.github.people.setTeam('acme/crew', ['ada']);
  expect(await createForge({ client: async () => client }).isMember(repository, 'acme/crew', 'ada')).toBe(false);
});

it('the authors of a commit are who made it and who opened its pull request, not GitHub itself', async () => {
  await town.git('checkout', '--quiet', '-b', 'basket');
  await town.git('config', 'user.email', 'bob@example.com');
  const head = await town.commit('basket.txt', 'basket');
  await town.git('checkout', '--quiet', 'main');
  await town.push('basket');
  const pull = await town.github.people.openPullRequest(shop, { title: 'A basket', head: 'basket', by: 'carol' });
  expect([...(await forge.authors(repository, head))].sort()).toEqual(['ada', 'carol']);
  const merged = await town.github.people.mergePullRequest(shop, pull.number, 'ada');
  expect(await forge.authors(repository, merged)).toEqual(['carol']);
});

it('the checks of a commit are those of all Apps, and its statuses', async () => {
  const sha = shas[2] ?? '';
  const { people } = town.github;
  expect(await forge.checks(repository, sha)).toEqual([]);
  const states = {
    success: 'success',
    failure: 'failure',
    timed_out: 'failure',
    cancelled: 'failure',
    neutral: 'neutral',
    skipped: 'skipped',
    action_required: 'pending',
  };
  for (const conclusion of Object.keys(states))
    people.setCheck(shop, { app: 'Other', sha, name: conclusion, conclusion });
  people.setCheck(shop, { app: 'Other', sha, name: 'runs', conclusion: null });
  // More than a page.
  for (let i = 0; i < 100; i += 1)
    people.setCheck(shop, { app: 'Many', sha, name: `many ${i}`, conclusion: 'success' });
  people.setStatus(shop, { sha, context: 'legal', state: 'pending' });
  people.setStatus(shop, { sha, context: 'legal', state: 'success' });
  people.setStatus(shop, { sha, context: 'size', state: 'error' });
  const found = await forge.checks(repository, sha);
  expect(found.filter(({ by }) => by === 'many')).toHaveLength(100);
  expect(found.filter(({ by }) => by !== 'many')).toEqual([
    ...Object.entries(states).map(([name, state]) => ({ name, by: 'other', state })),
    { name: 'runs', by: 'other', state: 'pending' },
    { name: 'legal', by: 'commit status', state: 'success' },
    { name: 'size', by: 'commit status', state: 'failure' },
  ]);
});

it('checks that are too many to look at are not taken for those that were seen', async () => {
  const { people } = town.github;
  const sha = shas[1] ?? '';
  people.setCheck(shop, { app: 'Many', sha, name: 'failed', conclusion: 'failure' });
  const run = town.github.world.repo(shop).runs;
  const [one] = [...run.values()].filter(({ headSha }) => headSha === sha);
  for (let i = 0; i < 2_100; i += 1) {
    const id = town.github.world.id();
    if (one) run.set(id, { ...one, id, name: `many ${i}`, annotations: [] });
  }
  await expect(forge.checks(repository, sha)).rejects.toThrow('GitHub lists more than 2000 entries');
});

describe('a comparison', () => {
  it('tells the commits between, newest first', async () => {
    const [first = '', second, third = ''] = shas;
    expect(await forge.compare(repository, first, third)).toEqual({
      ahead: 2,
      behind: 0,
      commits: [
        { sha: third, title: 'Write three.txt', author: 'ada' },
        { sha: second, title: 'Write two.txt', author: 'ada' },
      ],
    });
    expect(await forge.compare(repository, third, first)).toEqual({ ahead: 0, behind: 2, commits: [] });
  });

  it('tells the newest 250 of many', async () => {
    await town.git('checkout', '--quiet', '-b', 'long', shas[0] ?? '');
    const input = Array.from({ length: 320 }, (_, i) =>
      [
        'commit refs/heads/long',
        `committer Ada <ada@example.com> ${1_800_000_000 + i} +0000`,
        `data <<X\nchange ${i}\nX`,
        ...(i === 0 ? [`from ${shas[0]}`] : []),
        '',
      ].join('\n'),
    ).join('\n');
    await fastImport(input);
    await town.push('long');
    const { ahead, behind, commits } = await forge.compare(repository, shas[1] ?? '', 'long');
    expect([ahead, behind, commits.length]).toEqual([320, 1, 250]);
    expect([commits[0]?.title, commits.at(-1)?.title]).toEqual(['change 319', 'change 70']);
  });

  it('with what is not there is an error that says so', async () => {
    await expect(forge.compare(repository, 'main', 'nowhere')).rejects.toThrow(/compare main with nowhere: 404/);
  });
});

async function fastImport(input: string): Promise<void> {
  const { spawn } = await import('node:child_process');
  const { once } = await import('node:events');
  const git = spawn('git', ['-C', town.work, 'fast-import', '--quiet', '--force'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  git.stdin.end(input);
  expect(await once(git, 'close')).toEqual([0, null]);
}
