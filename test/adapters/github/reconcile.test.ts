import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { CatchUp } from '#src/adapters/github/catch-up.ts';
import { makeSlip, type Slip } from './away-support.ts';

let slip: Slip;
let catchUp: CatchUp;
let first: string;

beforeEach(async () => {
  slip = await makeSlip();
  first = await slip.town.commit('a.txt', 'a');
  await slip.town.push('main');
  await slip.settled();
  catchUp = slip.start({ reconcile: true });
});

afterEach(async () => {
  const { violations } = slip.town.github.world;
  await slip[Symbol.asyncDispose]();
  expect(violations).toEqual([]);
});

/** From here on GitHub sends nothing, and has nothing to send later. */
function noDeliveries(): void {
  slip.town.app.hook.url = null;
}

async function look() {
  const found = await catchUp.look();
  await slip.settled();
  return found;
}

it('makes no run of what was there when a repository is seen for the first time', async () => {
  noDeliveries();
  await slip.town.git('tag', 'v1');
  await slip.town.push('v1', 'main:old');
  await slip.town.git('checkout', '--quiet', '-b', 'topic');
  await slip.town.commit('b.txt', 'b');
  await slip.town.push('topic');
  await slip.town.github.people.openPullRequest('acme/shop', { title: 'More', head: 'topic' });
  expect(await look()).toEqual({ deliveries: 0, redelivered: 0, runs: 0, complete: true });
  expect(slip.runs).toEqual([`refs/heads/main ${first}`]);
});

it('gives everything that came without a delivery the run that its delivery would have made', async () => {
  const { town } = slip;
  const { people } = town.github;
  await look();
  noDeliveries();
  const main = await town.commit('a.txt', 'b');
  await town.push('main');
  await town.git('tag', 'light');
  await town.git('tag', '--annotate', 'heavy', '--message', 'One');
  await town.push('light', 'heavy');
  await town.git('checkout', '--quiet', '-b', 'topic');
  const topic = await town.commit('b.txt', 'b');
  await town.push('topic');
  await people.openPullRequest('acme/shop', { title: 'Of a branch', head: 'topic', by: 'mia' });
  const fork = await people.forkRepository('acme/shop', 'mallory');
  await town.git('checkout', '--quiet', '-b', 'evil', 'main');
  const evil = await town.commit('c.txt', 'c');
  await town.git('push', '--quiet', town.github.pushUrl(fork.fullName, 'mallory'), 'evil');
  await people.openPullRequest('acme/shop', { title: 'Of a fork', head: 'mallory:evil' });
  expect(await look()).toMatchObject({ runs: 5, complete: true });
  expect([...slip.runs].sort()).toEqual(
    [
      `refs/heads/main ${first}`,
      `refs/heads/main ${main}`,
      `refs/heads/topic ${topic}`,
      `refs/pull/2/head ${evil}`,
      `refs/tags/heavy ${main}`,
      `refs/tags/light ${main}`,
    ].sort(),
  );
  const at = expect.any(Number) as unknown as number;
  expect(slip.triggers).toContainEqual({
    kind: 'pull_request',
    number: 1,
    sha: topic,
    ref: 'refs/pull/1/head',
    branch: 'topic',
    base: 'main',
    fork: false,
    author: { login: 'mia', bot: false },
    actor: 'mia',
    title: 'Of a branch',
    at,
  });
  // Who pushed to a fork isn't told, and need not be the author.
  const ofFork = { kind: 'pull_request', number: 2, fork: true, actor: 'ghost' };
  expect(slip.triggers).toContainEqual(
    expect.objectContaining({ ...ofFork, author: { login: 'mallory', bot: false } }),
  );
  expect(slip.triggers).toContainEqual({
    kind: 'tag',
    tag: 'heavy',
    sha: main,
    ref: 'refs/tags/heavy',
    actor: 'ghost',
    title: 'Write a.txt',
    at,
  });
  expect(slip.triggers).toContainEqual(expect.objectContaining({ kind: 'push', branch: 'main', sha: main, at }));
  expect(await look()).toMatchObject({ runs: 0 });
});

it('sees a moved tag, a moved pull request of a fork, and what a later process finds', async () => {
  const { town } = slip;
  const { people } = town.github;
  const fork = await people.forkRepository('acme/shop', 'mallory');
  const mallory = town.github.pushUrl(fork.fullName, 'mallory');
  await town.git('checkout', '--quiet', '-b', 'evil');
  await town.commit('c.txt', 'c');
  await town.git('push', '--quiet', mallory, 'evil');
  await people.openPullRequest('acme/shop', { title: 'Of a fork', head: 'mallory:evil' });
  await town.git('tag', 'latest', 'main');
  await town.push('latest');
  await slip.settled();
  await look();
  noDeliveries();
  const evil = await town.commit('c.txt', 'd');
  await town.git('push', '--quiet', mallory, 'evil');
  await town.git('tag', '--force', 'latest');
  await town.push('--force', 'latest');
  await catchUp.close();
  catchUp = slip.start({ reconcile: true });
  expect(await look()).toMatchObject({ runs: 2 });
  expect(slip.runs.slice(-2)).toEqual([`refs/pull/1/head ${evil}`, `refs/tags/latest ${evil}`]);
});

it('sees a pull request that was opened after its push', async () => {
  const { town } = slip;
  await town.git('checkout', '--quiet', '-b', 'topic');
  const topic = await town.commit('b.txt', 'b');
  await town.push('topic');
  await slip.settled();
  await look();
  noDeliveries();
  await town.github.people.openPullRequest('acme/shop', { title: 'More', head: 'topic', by: 'mia' });
  expect(await look()).toMatchObject({ runs: 1, complete: true });
  expect(slip.triggers.at(-1)).toMatchObject({ kind: 'pull_request', number: 1, sha: topic, branch: 'topic' });
  expect(await look()).toMatchObject({ runs: 0 });
});

it('asks for nothing but the lists while nothing changed, and conditionally after a start', async () => {
  await slip.town.git('tag', 'v1');
  await slip.town.push('v1');
  await slip.settled();
  // A push of the same second would show no sign in the list.
  slip.aheadMs = 60_000;
  await look();
  slip.requests();
  await look();
  const lists = ['GET /app/hook/deliveries 200', 'GET /app/installations 200', 'GET /installation/repositories 200'];
  expect(slip.requests()).toEqual(lists);
  await catchUp.close();
  catchUp = slip.start({ reconcile: true });
  await look();
  expect(slip.requests()).toEqual([...lists, 'GET /repos/{owner}/{repo}/pulls 304']);
  slip.aheadMs += 2 * 3_600_000;
  await look();
  const refs = 'GET /repos/{owner}/{repo}/git/matching-refs/{ref} 304';
  expect(slip.requests()).toEqual([...lists, 'GET /repos/{owner}/{repo}/pulls 304', refs, refs]);
});

it('makes no second run of a push whose delivery arrives while it looks', async () => {
  await look();
  const url = slip.town.app.hook.url;
  noDeliveries();
  const sha = await slip.town.commit('a.txt', 'b');
  await slip.town.push('main');
  // The delivery comes between the comparison and the run.
  slip.town.github.faults = ({ path }) => {
    if (path !== `/repos/acme/shop/commits/${sha}`) return null;
    slip.town.app.hook.url = url;
    void slip.town.git('commit', '--quiet', '--allow-empty', '-m', 'Next').then(() => slip.town.push('main'));
    return null;
  };
  await look();
  slip.town.github.faults = null;
  await slip.town.github.waitFor('the next push', () => slip.runs.length === 3);
  await look();
  expect(new Set(slip.runs).size).toBe(slip.runs.length);
  expect(slip.runs).toHaveLength(3);
});

it('tries again what the engine could not take', async () => {
  await look();
  noDeliveries();
  const sha = await slip.town.commit('a.txt', 'b');
  await slip.town.push('main');
  slip.broken = true;
  expect(await look()).toMatchObject({ runs: 0, complete: false });
  slip.broken = false;
  expect(await look()).toMatchObject({ runs: 1, complete: true });
  expect(slip.runs.at(-1)).toBe(`refs/heads/main ${sha}`);
});

it('looks at other repositories though GitHub fails for one', async () => {
  const { town } = slip;
  await town.github.people.createRepository({ owner: 'acme', name: 'bakery' });
  const bakery = town.github.pushUrl('acme/bakery', 'acme');
  await town.git('push', '--quiet', bakery, 'main');
  await slip.settled();
  await look();
  noDeliveries();
  const sha = await town.commit('a.txt', 'b');
  await town.push('main');
  await town.git('push', '--quiet', bakery, 'main');
  town.github.faults = ({ path }) => (path.startsWith('/repos/acme/shop/') ? { kind: 'status', status: 500 } : null);
  expect(await look()).toMatchObject({ runs: 1, complete: false });
  town.github.faults = null;
  expect(await look()).toMatchObject({ runs: 1, complete: true });
  expect(slip.runs.slice(-2)).toEqual([`refs/heads/main ${sha}`, `refs/heads/main ${sha}`]);
}, 20_000);

it('sees an empty repository, and its first push', async () => {
  const { town } = slip;
  await town.github.people.createRepository({ owner: 'acme', name: 'empty' });
  expect(await look()).toMatchObject({ complete: true });
  noDeliveries();
  await town.git('push', '--quiet', town.github.pushUrl('acme/empty', 'acme'), 'main');
  expect(await look()).toMatchObject({ runs: 1, complete: true });
});

it.each([
  ['of old commits', '2020-01-01T00:00:00Z', 0],
  ['of a new release', null, 5],
])('of many tags at once %s', async (_what, date, runs) => {
  const { town } = slip;
  await look();
  noDeliveries();
  // Git takes the committer's date from the environment only.
  if (date !== null) process.env['GIT_COMMITTER_DATE'] = date;
  try {
    await town.commit('a.txt', 'b');
  } finally {
    delete process.env['GIT_COMMITTER_DATE'];
  }
  for (const tag of ['a', 'b', 'c', 'd', 'e']) await town.git('tag', tag);
  await town.push('--tags');
  expect(await look()).toMatchObject({ runs, complete: true });
});

it('gives deliveries time to arrive, and can be ended meanwhile', async () => {
  await look();
  noDeliveries();
  const sha = await slip.town.commit('a.txt', 'b');
  await slip.town.push('main');
  await catchUp.close();
  slip.requests();
  catchUp = slip.start({ reconcile: true, settleMs: 3_600_000 });
  const looking = catchUp.look();
  await slip.town.github.waitFor('the comparison', () =>
    slip.town.github.world.exchanges.some(({ path }) => path.endsWith('/matching-refs/tags')),
  );
  await catchUp.close();
  expect(await looking).toMatchObject({ runs: 0, complete: false });
  expect(slip.runs).toHaveLength(1);
  catchUp = slip.start({ reconcile: true });
  expect(await look()).toMatchObject({ runs: 1 });
  expect(slip.runs.at(-1)).toBe(`refs/heads/main ${sha}`);
});

it('can be switched off', async () => {
  await catchUp.close();
  catchUp = slip.start({ reconcile: false });
  slip.requests();
  await look();
  expect(slip.requests()).toEqual(['GET /app/hook/deliveries 200']);
});
