import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import type { WebhookDefinition } from '@octokit/webhooks-examples';
import { handledEvents, understand } from '#src/adapters/github/understand.ts';

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookDefinition[];
const appId = 29310;
const hello = {
  id: 186853002,
  owner: 'Codertocat',
  name: 'Hello-World',
  defaultBranch: 'master',
  private: false,
  cloneUrl: 'https://github.com/Codertocat/Hello-World.git',
};
const one = '1'.repeat(40);
const two = '2'.repeat(40);
const zeros = '0'.repeat(40);

type Json = Record<string, unknown>;

/** The published example number `index` of the event, with parts of it replaced. */
function example(name: string, index: number, change: (payload: Json) => void = () => undefined): Json {
  const found = examples.find((it) => it.name === name)?.examples[index];
  const payload = structuredClone(found) as unknown as Json;
  change(payload);
  return payload;
}

const branchPush = { name: 'push', index: 4 };
const tagPush = { name: 'push', index: 0 };

function set(path: string, value: unknown): (payload: Json) => void {
  return (payload) => {
    const keys = path.split('.');
    const last = keys.pop() ?? '';
    const parent = keys.reduce((at, key) => at[key] as Json, payload);
    parent[last] = value;
  };
}

function all(...changes: ((payload: Json) => void)[]): (payload: Json) => void {
  return (payload) => changes.forEach((change) => change(payload));
}

describe('pushes', () => {
  it('a branch', () => {
    expect(understand('push', example('push', 4), appId)).toEqual({
      kind: 'trigger',
      repository: { ...hello, installationId: 1 },
      trigger: {
        kind: 'push',
        branch: 'master',
        sha: '6113728f27ae82c7b1a177c8d03f9e96e0adf246',
        ref: 'refs/heads/master',
        actor: 'Codertocat',
        title: 'Initial commit',
        at: Date.parse('2019-05-15T15:20:57Z'),
      },
    });
  });

  it('a lightweight tag', () => {
    const event = understand('push', example('push', 0), appId);
    expect(event).toMatchObject({
      kind: 'trigger',
      trigger: { kind: 'tag', tag: 'simple-tag', sha: '6113728f27ae82c7b1a177c8d03f9e96e0adf246' },
    });
  });

  it('an annotated tag is its commit, not the tag object that `after` names', () => {
    const payload = example('push', 0, all(set('after', one), set('head_commit.id', two)));
    expect(understand('push', payload, appId)).toMatchObject({ kind: 'trigger', trigger: { sha: two } });
  });

  it('a tag without its commit must be resolved', () => {
    const payload = example('push', 0, all(set('after', one), set('head_commit', null)));
    expect(understand('push', payload, appId)).toMatchObject({
      kind: 'tag_to_resolve',
      trigger: { kind: 'tag', tag: 'simple-tag', ref: 'refs/tags/simple-tag' },
    });
  });

  it.each([
    [
      'a deleted branch',
      branchPush,
      all(set('deleted', true), set('after', zeros), set('head_commit', null)),
      /deleted/,
    ],
    ['a deleted tag', tagPush, all(set('deleted', true), set('after', zeros)), /deleted/],
    ['nothing new', branchPush, all(set('before', one), set('after', one)), /left refs\/heads\/master where it was/],
    ['no commit', branchPush, set('head_commit', null), /no commit/],
    ['a merge queue', branchPush, set('ref', 'refs/heads/gh-readonly-queue/main/pr-1-abc'), /merge queue/],
    ['a note', branchPush, set('ref', 'refs/notes/commits'), /neither a branch nor a tag/],
  ])('ignores %s', (_what, { name, index }, change, reason) => {
    expect(understand(name, example(name, index, change), appId)).toEqual({
      kind: 'ignored',
      reason: expect.stringMatching(reason),
    });
  });
});

describe('pull requests', () => {
  it.each([
    ['opened', 12],
    ['ready_for_review', 16],
    ['reopened', 18],
    ['synchronize', 22],
  ])('%s', (_action, index) => {
    const payload = example('pull_request', index);
    expect(understand('pull_request', payload, appId)).toMatchObject({
      kind: 'trigger',
      repository: { ...hello, installationId: 1 },
      trigger: {
        kind: 'pull_request',
        number: 2,
        sha: 'ec26c3e57ca3a959ca5aad62de7213c562f8c821',
        ref: 'refs/pull/2/head',
        branch: 'changes',
        base: 'master',
        fork: false,
      },
    });
  });

  it.each([
    ['opened', 12, 'Codertocat'],
    ['ready_for_review', 16, 'ghost'],
    ['reopened', 18, 'ghost'],
    ['synchronize', 22, 'Codertocat'],
  ])("of a fork: who %s it isn't always who pushed", (_action, index, actor) => {
    const payload = example('pull_request', index, set('pull_request.head.repo.id', 1));
    expect(understand('pull_request', payload, appId)).toMatchObject({ trigger: { fork: true, actor } });
  });

  it('drafts run too', () => {
    const payload = example('pull_request', 12, set('pull_request.draft', true));
    expect(understand('pull_request', payload, appId).kind).toBe('trigger');
  });

  it.each([
    ['a fork', { id: 99 }],
    ['a fork that was deleted', null],
  ])('%s', (_what, repo) => {
    const payload = example('pull_request', 12, set('pull_request.head.repo', repo));
    expect(understand('pull_request', payload, appId)).toMatchObject({ trigger: { fork: true } });
  });

  it.each([
    ['a person', { login: 'eve', type: 'User' }, { login: 'eve', bot: false }],
    ['an App', { login: 'renovate[bot]', type: 'Bot' }, { login: 'renovate[bot]', bot: true }],
    [
      'somebody who calls himself like one',
      { login: 'renovate-bot', type: 'User' },
      { login: 'renovate-bot', bot: false },
    ],
    ['an account without a type', { login: 'eve' }, { login: 'eve', bot: false }],
    ['who has left', null, { login: 'ghost', bot: false }],
  ])('opened by %s, whoever pushed last', (_what, user, author) => {
    const payload = example('pull_request', 22, set('pull_request.user', user));
    expect(understand('pull_request', payload, appId)).toMatchObject({ trigger: { author, actor: 'Codertocat' } });
  });

  it('closed', () => {
    expect(understand('pull_request', example('pull_request', 3), appId)).toMatchObject({
      kind: 'pull_request_closed',
      number: 2,
    });
  });

  it('other actions are ignored', () => {
    expect(understand('pull_request', example('pull_request', 8), appId)).toEqual({
      kind: 'ignored',
      reason: 'Nothing is to be done for pull_request.labeled.',
    });
  });
});

it('a merge group is its own head, not the commit that came last', () => {
  expect(understand('merge_group', example('merge_group', 0), appId)).toMatchObject({
    kind: 'trigger',
    trigger: {
      kind: 'merge_group',
      sha: '2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d',
      ref: 'refs/heads/gh-readonly-queue/main/pr-104-929f8209d40f77f4abc622a499c93a83babdbe64',
      base: 'main',
      title: 'Merge pull request #2048 from octo-repo/update-readme',
    },
  });
});

describe('checks', () => {
  const ours = set('check_run.app.id', appId);

  it('re-run of one job', () => {
    const payload = example('check_run', 7, all(ours, set('check_run.external_id', 'job1')));
    expect(understand('check_run', payload, appId)).toMatchObject({
      kind: 'rerun',
      externalId: 'job1',
      sha: 'd6fde92930d4715a2b49857d24b940956b26d2d3',
    });
  });

  it.each([
    ['the check run of a whole run', 'run:r1'],
    ['a check run without an id of ours', ''],
  ])('re-run of %s', (_what, externalId) => {
    const payload = example('check_run', 7, all(ours, set('check_run.external_id', externalId)));
    expect(understand('check_run', payload, appId)).toMatchObject({ kind: 'rerun', externalId: null });
  });

  it('a button', () => {
    const payload = example('check_run', 6, all(ours, set('check_run.external_id', 'job1')));
    expect(understand('check_run', payload, appId)).toMatchObject({
      kind: 'button',
      externalId: 'job1',
      identifier: 'lgtm|26764',
    });
  });

  it('a button of the check run that speaks for a whole run', () => {
    const whole = all(ours, set('check_run.external_id', 'run:r1'), set('requested_action.identifier', 'approve'));
    expect(understand('check_run', example('check_run', 6, whole), appId)).toMatchObject({
      kind: 'button',
      externalId: 'r1',
      identifier: 'approve',
    });
  });

  it("ignores a button of another App's check run", () => {
    const payload = example('check_run', 6, set('requested_action.identifier', 'approve'));
    expect(understand('check_run', payload, appId)).toMatchObject({ kind: 'ignored' });
  });

  it('re-run of a suite', () => {
    expect(understand('check_suite', example('check_suite', 7), appId)).toMatchObject({
      kind: 'rerun',
      externalId: null,
    });
  });

  it.each([
    ["another App's check run", 'check_run', 7, "The check run is another App's."],
    ['its own news', 'check_run', 0, 'Nothing is to be done for check_run.created.'],
    ['a new suite', 'check_suite', 4, 'Nothing is to be done for check_suite.requested.'],
  ])('ignores %s', (_what, name, index, reason) => {
    expect(understand(name, example(name, index), appId)).toEqual({ kind: 'ignored', reason });
  });

  it("ignores another App's suite", () => {
    const payload = example('check_suite', 7, set('check_suite.app.id', 1));
    expect(understand('check_suite', payload, appId)).toMatchObject({ kind: 'ignored' });
  });
});

describe('comments', () => {
  const onPullRequest = set('issue.pull_request', { url: 'https://api.github.com/...' });

  it('on a pull request', () => {
    const payload = example('issue_comment', 3, all(onPullRequest, set('comment.body', '/deploy staging')));
    expect(understand('issue_comment', payload, appId)).toMatchObject({
      kind: 'comment',
      number: 1,
      onPullRequest: true,
      commentId: 492700400,
      body: '/deploy staging',
      actor: 'Codertocat',
      at: Date.parse('2019-05-15T15:20:21Z'),
    });
  });

  it('on an issue, which is told', () => {
    const payload = example('issue_comment', 3, set('comment.body', '/where'));
    expect(understand('issue_comment', payload, appId)).toMatchObject({
      kind: 'comment',
      number: 1,
      onPullRequest: false,
      body: '/where',
    });
  });

  it.each([
    ['by a bot', all(onPullRequest, set('comment.user.type', 'Bot')), /by a bot/],
    ['sent by a bot', all(onPullRequest, set('sender.type', 'Bot')), /by a bot/],
    ['by itself', all(onPullRequest, set('comment.performed_via_github_app', { id: appId })), /own/],
    ['that was edited', all(onPullRequest, set('action', 'edited')), /issue_comment\.edited/],
  ])('ignores one %s', (_what, change, reason) => {
    expect(understand('issue_comment', example('issue_comment', 3, change), appId)).toEqual({
      kind: 'ignored',
      reason: expect.stringMatching(reason),
    });
  });
});

describe('releases', () => {
  const published = all(set('action', 'published'), set('release.draft', false), set('release.name', 'One\nmore line'));

  it('that are published', () => {
    expect(understand('release', example('release', 0, published), appId)).toMatchObject({
      kind: 'release',
      releaseId: 17372790,
      tag: '0.0.1',
      name: 'One',
      prerelease: false,
      actor: 'Codertocat',
    });
  });

  it.each([
    ['a draft', all(published, set('release.draft', true)), /draft/],
    ['one that is only made', all(published, set('action', 'created')), /release\.created/],
    ['one that is edited', all(published, set('action', 'edited')), /release\.edited/],
    ['one whose pre-release became one', all(published, set('action', 'released')), /release\.released/],
  ])('ignores %s', (_what, change, reason) => {
    const reasonGiven = expect.stringMatching(reason) as unknown;
    expect(understand('release', example('release', 0, change), appId)).toEqual({
      kind: 'ignored',
      reason: reasonGiven,
    });
  });
});

it.each([
  ['installation', 1, { kind: 'installation', installationId: 957387, account: 'Codertocat', change: 'created' }],
  [
    'installation_repositories',
    0,
    { kind: 'installation', installationId: 957387, account: 'Codertocat', change: 'added' },
  ],
  ['ping', 0, { kind: 'ignored', reason: 'GitHub can reach Slipway.' }],
  ['star', 0, { kind: 'ignored', reason: 'Slipway doesn\'t use the event "star".' }],
  ['constructor', 0, { kind: 'ignored', reason: 'Slipway doesn\'t use the event "constructor".' }],
])('%s', (name, index, event) => {
  expect(understand(name, example(name, index), appId)).toEqual(event);
});

it('every published payload of a handled event is understood', () => {
  for (const name of handledEvents) {
    const found = examples.find((it) => it.name === name)?.examples ?? [];
    expect(found.length).toBeGreaterThan(0);
    for (const payload of found) expect(understand(name, payload, appId).kind).toBeTruthy();
  }
});

it('a payload that lacks what GitHub documents is refused with the path of what is missing', () => {
  const payload = example('pull_request', 12, set('pull_request.head.sha', 'main; rm -rf /'));
  expect(() => understand('pull_request', payload, appId)).toThrow(/"sha"/);
});
