import { describe, expect, it } from '@jest/globals';
import { createForge } from '#src/adapters/github/forge.ts';
import { useNock } from '#test/nock.ts';
import { allowTokens, api, openTestGitHub, repository } from './support.ts';

const nock = useNock();

async function forge() {
  allowTokens(nock(api));
  return createForge(await openTestGitHub());
}

const pull = {
  number: 7,
  state: 'open',
  title: 'Add a basket',
  user: { login: 'ada' },
  head: { sha: 'a'.repeat(40), ref: 'basket', repo: { id: 1 } },
  base: { ref: 'main', repo: { id: 1 } },
};
const expected = {
  number: 7,
  state: 'open',
  title: 'Add a basket',
  sha: 'a'.repeat(40),
  branch: 'basket',
  base: 'main',
  fork: false,
  author: 'ada',
  bot: false,
};

describe('role', () => {
  it.each([
    ['maintain, which `permission` rounds down', { permission: 'write', role_name: 'maintain' }, 'maintain'],
    ['triage, which `permission` rounds down', { permission: 'read', role_name: 'triage' }, 'triage'],
    ['an admin', { permission: 'admin', role_name: 'admin' }, 'admin'],
    ['a stranger on a public repository', { permission: 'read', role_name: 'read' }, 'read'],
    ["a role of the organisation's own", { permission: 'write', role_name: 'release-captain' }, 'write'],
    ['nobody', { permission: 'none', role_name: 'none' }, 'none'],
    ['something new', { permission: 'emperor', role_name: 'emperor' }, 'none'],
  ])('%s', async (_what, answer, role) => {
    nock(api).get('/repos/acme/shop/collaborators/ada/permission').reply(200, answer);
    expect(await (await forge()).role(repository, 'ada')).toBe(role);
  });

  it('who does not exist has none', async () => {
    nock(api).get('/repos/acme/shop/collaborators/ghost/permission').reply(404, { message: 'Not Found' });
    expect(await (await forge()).role(repository, 'ghost')).toBe('none');
  });

  it('is never guessed if GitHub refuses to tell', async () => {
    nock(api).get('/repos/acme/shop/collaborators/ada/permission').reply(403, { message: 'Resource not accessible' });
    await expect((await forge()).role(repository, 'ada')).rejects.toThrow(/permissions with docs\/install.md/);
  });
});

it('reads a pull request', async () => {
  nock(api).get('/repos/acme/shop/pulls/7').reply(200, pull);
  expect(await (await forge()).pullRequest(repository, 7)).toEqual(expected);
});

it.each([
  ['of a fork', { ...pull, head: { ...pull.head, repo: { id: 2 } } }, { fork: true }],
  ['of a fork that is gone', { ...pull, head: { ...pull.head, repo: null } }, { fork: true }],
  ['of an author who is gone', { ...pull, user: null }, { author: 'ghost' }],
  ['of an App', { ...pull, user: { login: 'renovate[bot]', type: 'Bot' } }, { author: 'renovate[bot]', bot: true }],
  ['of a newcomer', { ...pull, author_association: 'FIRST_TIMER' }, { association: 'FIRST_TIMER' }],
  ['that was merged', { ...pull, state: 'closed' }, { state: 'closed' }],
])('reads a pull request %s', async (_what, answer, part) => {
  nock(api).get('/repos/acme/shop/pulls/7').reply(200, answer);
  expect(await (await forge()).pullRequest(repository, 7)).toMatchObject(part);
});

it('finds the open pull request of a branch', async () => {
  nock(api)
    .get('/repos/acme/shop/pulls')
    .query({ head: 'acme:basket', state: 'open', per_page: 100 })
    .reply(200, [pull]);
  expect(await (await forge()).openPullRequest(repository, 'basket')).toEqual(expected);
});

it.each([
  ['none', []],
  ["a fork's branch of the same name", [{ ...pull, head: { ...pull.head, repo: { id: 2 } } }]],
  ['another branch (an unknown head lists everything)', [{ ...pull, head: { ...pull.head, ref: 'other' } }]],
])('finds no pull request in %s', async (_what, answer) => {
  nock(api).get('/repos/acme/shop/pulls').query(true).reply(200, answer);
  expect(await (await forge()).openPullRequest(repository, 'basket')).toBeNull();
});

it('reacts and comments', async () => {
  const sent: unknown[] = [];
  nock(api)
    .post('/repos/acme/shop/issues/comments/5/reactions')
    .reply(201, async (request: Request) => ({ id: sent.push(await request.json()) }))
    .post('/repos/acme/shop/issues/7/comments')
    .reply(201, async (request: Request) => ({ id: sent.push(await request.json()) }));
  const it = await forge();
  await it.react(repository, 5, 'rocket');
  await it.comment(repository, 7, 'x'.repeat(70_000));
  expect(sent).toEqual([{ content: 'rocket' }, { body: 'x'.repeat(65_536) }]);
});

describe('a comment with a key', () => {
  const path = '/repos/acme/shop/issues/7/comments';
  const bot = { login: 'slipway[bot]', type: 'Bot' };

  /** Comments on GitHub; the first `lost` answers to a creation are lost, before or after it was carried out. */
  function thread(lost: ('before' | 'after')[], others: readonly object[] = []) {
    const made: { body: string; user: object }[] = [];
    nock(api)
      .persist()
      .get(path)
      .query(true)
      .reply((request: Request) => {
        const page = Number(new URL(request.url).searchParams.get('page'));
        return [200, [...others, ...made].slice(100 * (page - 1), 100 * page)];
      });
    nock(api)
      .persist()
      .post(path)
      .reply(async (request: Request) => {
        const { body } = (await request.json()) as { body: string };
        const trouble = lost.shift();
        if (trouble !== 'before') made.push({ body, user: bot });
        if (trouble) throw new Error('socket hang up');
        return [201, { id: 1 }];
      });
    return made;
  }

  async function quick() {
    allowTokens(nock(api));
    return createForge(await openTestGitHub(), 1);
  }

  it.each([
    ['whose answer is lost', ['after' as const]],
    ['that does not arrive', ['before' as const]],
    ['both', ['before' as const, 'after' as const]],
  ])('%s is made once', async (_what, lost) => {
    const made = thread(lost);
    const it = await quick();
    await it.comment(repository, 7, 'x'.repeat(70_000), 'delivery 1');
    await it.comment(repository, 7, 'x'.repeat(70_000), 'delivery 1');
    expect(made).toHaveLength(1);
    expect(made[0]?.body).toMatch(/^x{65000}x+\n\n<!-- slipway [0-9a-f]{32} -->$/);
    expect(made[0]?.body.length).toBe(65_536);
    await it.comment(repository, 7, 'another', 'delivery 2');
    expect(made).toHaveLength(2);
  });

  it('is found behind many others, and never taken for one that a person wrote', async () => {
    const first = thread([]);
    await (await quick()).comment(repository, 7, 'answer', 'key');
    const { body } = first[0] ?? { body: '' };
    nock.cleanAll();
    const chatter = Array.from({ length: 150 }, () => ({ body: 'hm', user: bot }));
    const again = thread([], [...chatter, { body, user: bot }]);
    await (await quick()).comment(repository, 7, 'answer', 'key');
    expect(again).toEqual([]);
    nock.cleanAll();
    const mocked = thread([], [{ body, user: { login: 'eve', type: 'User' } }]);
    await (await quick()).comment(repository, 7, 'answer', 'key');
    expect(mocked).toHaveLength(1);
  });
});
