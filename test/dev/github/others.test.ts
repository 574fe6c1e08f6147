import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { makeTown, SHOP, type Town } from './town.ts';

let town: Town;
let sha: string;

beforeAll(async () => {
  town = await makeTown();
  sha = await town.commit('a.txt', 'a');
  await town.push('main');
});
afterAll(async () => {
  expect(town.github.violations).toEqual([]);
  await town[Symbol.asyncDispose]();
});

it('comments on an issue are told without a pull request, and answered with the permission for issues alone', async () => {
  const { github } = town;
  const issue = github.people.openIssue('acme/shop', 'Freeze', 'ada');
  github.people.comment('acme/shop', issue.number, 'ada', '/lock production');
  await town.events();
  const told = town.hooks.find(({ event }) => event === 'issue_comment')?.payload;
  expect(told).toMatchObject({ action: 'created', issue: { number: issue.number, title: 'Freeze' } });
  expect(told?.['issue']).not.toHaveProperty('pull_request');

  const answer = { ...SHOP, issue_number: issue.number, body: 'Locked.' };
  await town.octokit().rest.issues.createComment(answer);
  const poor = github.registerApp({
    name: 'poor',
    permissions: { issues: 'read', pull_requests: 'write' },
    webhook: { url: null, secret: '' },
  });
  const { ProbotOctokit } = await import('probot');
  const octokit = new ProbotOctokit({
    baseUrl: `${github.url}/api/v3`,
    auth: { appId: poor.id, privateKey: poor.privateKey, installationId: github.install(poor, 'acme').id },
    throttle: { enabled: false },
    retry: { enabled: false },
  });
  await expect(octokit.rest.issues.createComment(answer)).rejects.toMatchObject({ status: 403 });
  expect(github.comments('acme/shop', issue.number).map(({ body }) => body)).toEqual(['/lock production', 'Locked.']);
});

it('a release makes its tag, and both are told', async () => {
  town.hooks.length = 0;
  await town.github.people.publishRelease('acme/shop', { tag: 'v1.0.0', name: 'One', by: 'ada' });
  expect((await town.events()).sort()).toEqual([
    'create',
    'push',
    'release.created',
    'release.published',
    'release.released',
  ]);
  const published = town.hooks.find(({ payload }) => payload['action'] === 'published')?.payload;
  expect(published).toMatchObject({ release: { tag_name: 'v1.0.0', name: 'One', prerelease: false, draft: false } });
  expect((await town.octokit().rest.repos.getCommit({ ...SHOP, ref: 'v1.0.0' })).data.sha).toBe(sha);
});

it('a commit is its author’s, if GitHub knows the address', async () => {
  town.github.people.setRole('acme/shop', 'ada', 'write');
  const { data } = await town.octokit().rest.repos.getCommit({ ...SHOP, ref: 'main' });
  expect(data.author?.login).toBe('ada');
});
