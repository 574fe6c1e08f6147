import { createHmac } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeTown, SHOP, type Town } from './town.ts';

let town: Town;

beforeEach(async () => {
  town = await makeTown();
  await town.commit('a.txt', 'a\n');
  await town.push('main');
  await town.events();
  town.hooks.length = 0;
});
afterEach(async () => {
  const { violations } = town.github.world;
  await town[Symbol.asyncDispose]();
  expect(violations).toEqual([]);
});

describe('a push', () => {
  it('is told with its commits, signed', async () => {
    const before = await town.git('rev-parse', 'HEAD');
    const after = await town.commit('b.txt', 'b\n');
    await town.push('main');
    expect(await town.events()).toEqual(expect.arrayContaining(['push', 'check_suite.requested']));
    const push = town.hooks.find(({ event }) => event === 'push');
    expect(push?.payload).toMatchObject({
      ref: 'refs/heads/main',
      before,
      after,
      created: false,
      deleted: false,
      forced: false,
      commits: [{ id: after, message: 'Write b.txt', added: ['b.txt'] }],
      head_commit: { id: after },
      repository: {
        full_name: 'acme/shop',
        private: true,
        default_branch: 'main',
        clone_url: `${town.github.url}/acme/shop.git`,
      },
      installation: { id: town.installation.id },
      sender: { login: 'acme', type: 'User' },
    });
    const signature = `sha256=${createHmac('sha256', 'secret')
      .update(push?.body ?? '')
      .digest('hex')}`;
    expect(push?.headers['x-hub-signature-256']).toBe(signature);
  });

  it('of an annotated tag tells the tag object and its commit', async () => {
    await town.git('tag', '--annotate', 'v1', '--message', 'One');
    await town.push('v1');
    await town.events();
    const push = town.hooks.find(({ event }) => event === 'push');
    expect(push?.payload['after']).toBe(await town.git('rev-parse', 'v1'));
    expect(push?.payload['head_commit']).toMatchObject({ id: await town.git('rev-parse', 'v1^{commit}') });
    expect(push?.payload['base_ref']).toBe('refs/heads/main');
  });

  it('of more than three tags tells nothing', async () => {
    for (const tag of ['a', 'b', 'c', 'd']) await town.git('tag', tag);
    await town.push('--tags');
    expect(await town.events()).toEqual([]);
  });

  it('that deletes a branch has no head commit', async () => {
    await town.push('main:topic');
    await town.events();
    town.hooks.length = 0;
    await town.push('--delete', 'topic');
    expect((await town.events()).sort()).toEqual(['delete', 'push']);
    expect(town.hooks.find(({ event }) => event === 'push')?.payload).toMatchObject({
      deleted: true,
      head_commit: null,
    });
  });
});

describe('a pull request', () => {
  async function open(): Promise<string> {
    await town.git('checkout', '--quiet', '-b', 'topic');
    const sha = await town.commit('b.txt', 'b\n');
    await town.push('topic');
    await town.github.people.openPullRequest('acme/shop', { title: 'More', head: 'topic' });
    return sha;
  }

  it('is opened, moved by a push, and merged', async () => {
    const first = await open();
    const second = await town.commit('b.txt', 'c\n');
    await town.push('topic');
    const octokit = town.octokit();
    const ask = () => octokit.rest.pulls.get({ ...SHOP, pull_number: 1 });
    expect((await ask()).data).toMatchObject({ mergeable: null, state: 'open', head: { sha: second, ref: 'topic' } });
    expect((await ask()).data).toMatchObject({ mergeable: true, commits: 2, changed_files: 1 });
    expect((await octokit.rest.pulls.list({ ...SHOP, head: 'acme:topic' })).data).toHaveLength(1);
    expect((await octokit.rest.pulls.listFiles({ ...SHOP, pull_number: 1 })).data).toMatchObject([
      { filename: 'b.txt' },
    ]);
    await town.github.people.mergePullRequest('acme/shop', 1);
    const events = await town.events();
    for (const action of ['opened', 'synchronize', 'closed']) expect(events).toContain(`pull_request.${action}`);
    const moved = town.hooks.find(({ payload }) => payload['action'] === 'synchronize');
    expect(moved?.payload).toMatchObject({ number: 1, before: first, after: second });
    const closed = town.hooks.find(({ payload }) => payload['action'] === 'closed');
    expect(closed?.payload['pull_request']).toMatchObject({ merged: true, head: { sha: second } });
  });

  it('of a fork has no check suite, and its head is in the base repository', async () => {
    const fork = await town.github.people.forkRepository('acme/shop', 'mallory');
    await town.git('checkout', '--quiet', '-b', 'evil');
    const sha = await town.commit('b.txt', 'b\n');
    await town.git('push', '--quiet', town.github.pushUrl(fork.fullName, 'mallory'), 'evil');
    await town.github.people.openPullRequest('acme/shop', { title: 'More', head: 'mallory:evil' });
    expect(await town.events()).toEqual(['pull_request.opened']);
    expect(town.hooks[0]?.payload['pull_request']).toMatchObject({
      head: { repo: { full_name: 'mallory/shop', fork: true }, sha },
      base: { repo: { full_name: 'acme/shop' } },
    });
    const refs = await town.git('ls-remote', town.github.pushUrl('acme/shop', 'acme'), 'refs/pull/1/head');
    expect(refs).toContain(sha);
    const { data } = await town.octokit().rest.checks.create({ ...SHOP, name: 'x', head_sha: sha });
    expect(data.pull_requests).toEqual([]);
  });

  it('tells who opened it, and what GitHub calls them, which says nothing of their rights', async () => {
    const { people } = town.github;
    await open();
    people.setRole('acme/shop', 'mia', 'read');
    const asked = await people.openPullRequest('acme/shop', { title: 'Same', head: 'topic', by: 'renovate[bot]' });
    const ask = async (pull_number: number) => (await town.octokit().rest.pulls.get({ ...SHOP, pull_number })).data;
    expect((await ask(1)).author_association).toBe('OWNER');
    expect(await ask(asked.number)).toMatchObject({
      user: { login: 'renovate[bot]', type: 'Bot' },
      author_association: 'FIRST_TIME_CONTRIBUTOR',
    });
    const reader = await people.openPullRequest('acme/shop', { title: 'Same', head: 'topic', by: 'mia' });
    expect((await ask(reader.number)).author_association).toBe('COLLABORATOR');
    await people.mergePullRequest('acme/shop', asked.number);
    expect((await ask(asked.number)).author_association).toBe('CONTRIBUTOR');
  });

  it('goes through the merge queue with a commit of its own', async () => {
    await open();
    const { sha, ref } = await town.github.people.addToMergeQueue('acme/shop', 1);
    const events = await town.events();
    expect(events).toEqual(expect.arrayContaining(['merge_group.checks_requested', 'push']));
    const group = town.hooks.find(({ event }) => event === 'merge_group');
    expect(group?.payload['merge_group']).toMatchObject({ head_sha: sha, head_ref: ref });
  });

  it('is commented on, and the App hears itself', async () => {
    await open();
    const asked = town.github.people.comment('acme/shop', 1, 'mia', '/deploy staging');
    const octokit = town.octokit();
    await octokit.rest.reactions.createForIssueComment({ ...SHOP, comment_id: asked.id, content: 'rocket' });
    await octokit.rest.issues.createComment({ ...SHOP, issue_number: 1, body: 'Done.' });
    const tooLong = octokit.rest.issues.createComment({ ...SHOP, issue_number: 1, body: 'x'.repeat(65_537) });
    await expect(tooLong).rejects.toMatchObject({ status: 422 });
    await town.events();
    const heard = town.hooks.filter(({ event }) => event === 'issue_comment').map(({ payload }) => payload);
    expect(heard.map(({ sender }) => sender as unknown)).toMatchObject([
      { login: 'mia', type: 'User' },
      { login: 'slipway[bot]', type: 'Bot' },
    ]);
    expect(heard[0]?.['issue']).toMatchObject({ number: 1, pull_request: { url: expect.any(String) } });
    expect(asked.reactions.map(({ content }) => content)).toEqual(['rocket']);
  });
});

describe('check runs', () => {
  it('are asked for again, and their buttons pressed', async () => {
    const head_sha = await town.git('rev-parse', 'HEAD');
    const octokit = town.octokit();
    const actions = [{ label: 'Deploy', description: 'To staging', identifier: 'deploy' }];
    const { data } = await octokit.rest.checks.create({
      ...SHOP,
      name: 'test',
      head_sha,
      external_id: 'j1',
      status: 'completed',
      conclusion: 'failure',
      actions,
    });
    const { people } = town.github;
    people.rerunCheckRun('acme/shop', data.id);
    people.pressButton('acme/shop', data.id, 'deploy', 'mia');
    people.rerunCheckSuite('acme/shop', people.suite('acme/shop', head_sha)?.id ?? 0);
    const events = await town.events();
    for (const event of ['check_run.rerequested', 'check_run.requested_action', 'check_suite.rerequested']) {
      expect(events).toContain(event);
    }
    const pressed = town.hooks.find(({ payload }) => payload['action'] === 'requested_action')?.payload;
    expect(pressed).toMatchObject({
      requested_action: { identifier: 'deploy' },
      check_run: { external_id: 'j1', head_sha, check_suite: { head_sha } },
      sender: { login: 'mia' },
    });
  });
});

describe('deliveries', () => {
  it('that failed are listed, and sent again under the same GUID', async () => {
    town.status = 500;
    await town.commit('b.txt', 'b\n');
    await town.push('main');
    await town.events();
    town.status = 200;
    const app = town.octokit(null);
    const failed = (await app.rest.apps.listWebhookDeliveries({ per_page: 100 })).data.filter(
      ({ status_code }) => status_code === 500,
    );
    const push = failed.find(({ event }) => event === 'push');
    expect(push).toBeDefined();
    await app.rest.apps.redeliverWebhookDelivery({ delivery_id: push?.id ?? 0 });
    await town.events();
    const guids = town.hooks.filter(({ event }) => event === 'push').map(({ headers }) => headers['x-github-delivery']);
    expect(guids).toEqual([push?.guid, push?.guid]);
  });

  it('are paged by a cursor', async () => {
    const app = town.octokit(null);
    const all = await app.paginate('GET /app/hook/deliveries', { per_page: 1 });
    expect(all).toHaveLength(town.github.webhooks.deliveries.length);
  });
});
