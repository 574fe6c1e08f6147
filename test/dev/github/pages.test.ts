import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { makeTown, SHOP, type Town } from './town.ts';

let town: Town;
let sha: string;

beforeAll(async () => {
  town = await makeTown();
  await town.commit('a.txt', 'a');
  await town.push('main');
  await town.git('checkout', '--quiet', '-b', 'basket');
  sha = await town.commit('b.txt', 'b');
  await town.push('basket');
  town.github.people.setRole('acme/shop', 'ada', 'write');
  await town.github.people.openPullRequest('acme/shop', { title: 'A <basket>', head: 'basket' });
});
afterAll(async () => {
  expect(town.github.violations).toEqual([]);
  await town[Symbol.asyncDispose]();
});

async function page(path: string, form?: Record<string, string>, headers: Record<string, string> = {}) {
  const answer = await fetch(`${town.github.url}${path}`, {
    headers: { accept: 'text/html', ...headers },
    ...(form && { method: 'POST', body: new URLSearchParams(form) }),
  });
  return { status: answer.status, text: await answer.text() };
}

it('a person writes a comment on a pull request and on an issue, and the App hears of it', async () => {
  const issue = town.github.people.openIssue('acme/shop', 'Freeze', 'ada');
  for (const path of ['pull/1', `issues/${issue.number}`]) {
    const shown = await page(`/acme/shop/${path}/comment`, { body: '/where\r\n/help', by: 'ada' });
    expect(shown.status).toBe(200);
    expect(shown.text).toContain('/where\n/help');
  }
  await town.events();
  const heard = town.hooks.filter(({ event }) => event === 'issue_comment');
  expect(heard.map(({ payload }) => [payload['sender'].login, payload['comment'].body])).toEqual([
    ['ada', '/where\n/help'],
    ['ada', '/where\n/help'],
  ]);
});

it('a person presses a button, as long as it is shown', async () => {
  const { checks } = town.octokit().rest;
  const actions = [{ label: 'Approve', identifier: 'approve', description: 'Lets it go on' }];
  const { data } = await checks.create({
    ...SHOP,
    name: 'deploy production',
    head_sha: sha,
    conclusion: 'action_required',
    actions,
  });
  expect((await page('/acme/shop/pull/1')).text).toContain('value="approve"');
  const press = (identifier: string) => page(`/acme/shop/runs/${data.id}/press`, { identifier, by: 'ada' });
  expect((await press('approve')).status).toBe(200);
  expect((await press('reject')).status).toBe(409);
  await town.events();
  const heard = town.hooks.filter(({ payload }) => payload['action'] === 'requested_action');
  expect(heard.map(({ payload }) => [payload['sender'].login, payload['requested_action']])).toEqual([
    ['ada', { identifier: 'approve' }],
  ]);
});

it('what another page sends is refused', async () => {
  const sent = await page(
    '/acme/shop/pull/1/comment',
    { body: '/deploy', by: 'ada' },
    { origin: 'http://evil.example' },
  );
  expect(sent.status).toBe(403);
});

it('shows what is where, and how each deployment came there', async () => {
  const { repos } = town.octokit().rest;
  const made = await repos.createDeployment({
    ...SHOP,
    ref: sha,
    environment: 'production',
    auto_merge: false,
    required_contexts: [],
    payload: { mode: 'rollback' },
  });
  const deployment_id = (made.data as { id: number }).id;
  await repos.createDeploymentStatus({ ...SHOP, deployment_id, state: 'pending', description: 'Waits for approval' });
  await repos.createDeploymentStatus({
    ...SHOP,
    deployment_id,
    state: 'success',
    environment_url: 'https://shop.example',
  });
  const { text } = await page('/acme/shop');
  expect(text).toContain('<h2>Environments</h2>');
  expect(text).toContain('<a href="https://shop.example">production</a>');
  expect(text).toContain('Waits for approval');
  expect(text).toContain('&quot;mode&quot;: &quot;rollback&quot;');
  expect(text).toContain('A &lt;basket&gt;');
});
