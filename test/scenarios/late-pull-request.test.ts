import { describe, expect, it } from '@jest/globals';
import { createFakePreviews } from '#src/adapters/fake/previews.ts';
import { runCheckOf } from '#src/adapters/github/report/run-check.ts';
import type { PullRequestTrigger } from '#src/model/event.ts';
import { comment } from './commanding.ts';
import { ended, held, idOf, viewOf } from './held.ts';
import { outcomes, pullRequest, push, repository, type ScenarioOptions, scenario, trigger } from './world.ts';

/** A branch is pushed, and then a pull request is opened from it: the usual order. */

const jobs = `
jobs:
  test: { image: node, run: test }
  image: { needs: test, build: { image: registry.example/acme/shop } }
  other: { build: { image: registry.example/acme/other } }
`;
const environments = `
environments:
  staging: { stable: 0s, rollout: [{ deployment: staging/api, container: api, image: image }] }
`;
const preview = `
preview: { manifests: k8s, images: { shop: image } }
`;
const api = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec: { selector: { matchLabels: { app: api } }, template: { metadata: { labels: { app: api } }, spec: { containers: [{ name: api, image: shop }] } } }
`;
const all = `${jobs}${environments}${preview}`;
const late = (sha = 'b2', at = 2_000) => trigger(pullRequest(sha, { at }));
const early = (sha = 'b2', at = 1_000) => trigger({ ...push(sha, 'feature'), at });
const pull = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: 'b2',
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
} as const;

async function world(file = all, change: Partial<ScenarioOptions> = {}) {
  let taken = (_name: string, _image: string): void => {};
  const previews = createFakePreviews({
    onApply: ({ namespace, name }, image) => taken(`${namespace}/${name}`, image),
  });
  const files = { 'slipway.yml': file, 'k8s/api.yaml': api };
  const s = await scenario({
    commits: { a1: files, b2: files, c3: files },
    refs: { 'refs/heads/main': 'a1' },
    cluster: {
      workloads: [
        { name: 'shop-pr-3/api', containers: ['api'] },
        { name: 'staging/api', containers: ['api'] },
      ],
      behave: () => [],
      sleep: async () => {},
    },
    policy: {
      previews: () => ({ cluster: null, prefix: 'shop-pr', max: 2, quota: {}, limits: {}, kinds: ['Deployment'] }),
    },
    parts: { previews },
    ...change,
  });
  taken = (name, image) => s.cluster.change(name, { image, available: 2, troubles: [] });
  /** Runs of the commit, as they are once all of them are over. */
  const over = async (sha = 'b2') => {
    const runs = await s.store.runs.ofCommit(repository.id, sha);
    return await Promise.all(runs.toReversed().map((run) => ended(s, run.id)));
  };
  const opened = async () => {
    s.forge.setPullRequest(pull);
    return await s.engine.intake(late());
  };
  return { ...s, previews, over, opened, built: () => s.builder.requests.map(({ tags }) => tags.join()) };
}

const whole = { test: 'success', image: 'success', other: 'success' };
const added = {
  'preview image': 'success',
  preview: 'success',
  'deployment plan': expect.stringMatching(/^neutral: What a deployment would change in staging/),
};
const extras = { detailsUrl: '', externalId: '' };

describe('a pull request that is opened after the push', () => {
  it('gets the plan and the preview, and no job runs twice', async () => {
    const s = await world();
    await s.play(early());
    await s.opened();
    const [first, second] = await s.over();
    expect([outcomes(first!), outcomes(second!)]).toEqual([whole, added]);
    expect(s.executor.requests).toHaveLength(1);
    expect(s.built().toSorted()).toEqual(['', '', 'b2']);
    expect(s.previews.standing.get('shop-pr-3')).toEqual([
      expect.stringMatching(/^Deployment api=registry\.example\/acme\/shop@sha256:/),
    ]);
  });

  it('gets them while the push is at work, and builds after it', async () => {
    const script = held();
    const s = await world(all, { script: script.script });
    const id = idOf(await s.engine.intake(early()));
    await script.begun(1);
    const word = await s.opened();
    const other = /add: Run (\w+)/.exec(word)?.[1] ?? '';
    const waiting = async () => (await viewOf(s, other)).jobs.find((job) => job.plan.key === 'preview image');
    for (let tries = 0; tries < 1000 && !(await waiting())?.note; tries += 1) await new Promise(setImmediate);
    expect(await waiting()).toMatchObject({ state: 'waiting', note: `Waits for "image" of the push, run ${id}.` });
    script.letGo('test');
    expect((await s.over()).map(outcomes)).toEqual([whole, added]);
    expect(script.began).toEqual(['test']);
  });

  it.each([
    ['again', [early(), late(), late(), early()]],
    ['with its push last', [late(), early(), late()]],
  ])('is told %s, and nothing is done anew', async (_, events) => {
    const s = await world(all, { forge: { pullRequests: [pull] } });
    for (const event of events) {
      await s.engine.intake(event);
      await s.over();
    }
    const ran = (await s.over()).flatMap((view) => view.jobs.map(({ plan }) => plan.key));
    expect(ran.filter((key) => key === 'preview')).toEqual(['preview']);
    expect(ran.filter((key) => key === 'deployment plan')).toEqual(['deployment plan']);
    expect(s.executor.requests).toHaveLength(1);
    expect(s.previews.calls).toEqual(['apply shop-pr-3']);
  });

  it.each<[string, string, Partial<PullRequestTrigger>, Record<string, string>]>([
    ['without anything to add', jobs, {}, whole],
    ['with a broken file', 'jobs: 7', {}, {}],
    ["that is a stranger's", all, { author: { login: 'eve', bot: false } }, whole],
  ])('%s shows nothing', async (_, file, change, ran) => {
    const s = await world(file, { forge: { roles: { eve: 'read' } } });
    const first = await s.play(early());
    await s.engine.intake(trigger(pullRequest('b2', { at: 2_000, ...change })));
    const [, second] = await s.over();
    expect(second?.jobs).toEqual([]);
    expect(runCheckOf(second!, extras)).toBeNull();
    expect((await s.store.runs.list({ repository: 'acme/shop', limit: 9 })).map((run) => run.id)).toEqual([
      first.run.id,
    ]);
    expect(s.previews.calls).toEqual([]);
    expect(outcomes(first)).toEqual(ran);
    // Nor has a person anything to run again.
    expect(await s.engine.intake({ kind: 'rerun', repository, sha: 'b2', actor: 'ada', externalId: null })).not.toMatch(
      second?.run.id ?? '',
    );
  });

  it('of a fork has its own run, with neither', async () => {
    const s = await world();
    await s.play(early());
    const view = await s.play(
      trigger(pullRequest('b2', { fork: true, ref: 'refs/pull/3/head', author: { login: 'ada', bot: false } })),
    );
    expect(Object.keys(outcomes(view))).toEqual(['test', 'image', 'other']);
    expect(await s.over()).toHaveLength(2);
  });

  it('of the default branch has neither', async () => {
    const s = await world();
    await s.play(trigger(push('a1')));
    await s.engine.intake(trigger(pullRequest('a1', { branch: 'main', base: 'release', at: 2_000 })));
    expect(await s.over('a1')).toHaveLength(1);
  });
});

describe('what a pull request added', () => {
  it.each([
    ['a newer push', early('c3', 3_000), 'cancelled: Cancelled: a newer commit, c3, was pushed to #3.'],
    [
      'the end of the pull request',
      { kind: 'pull_request_closed', repository, number: 3, at: 3_000 },
      'cancelled: Cancelled: pull request #3 was closed.',
    ],
  ] as const)('ends with %s', async (_, event, reason) => {
    const script = held();
    const s = await world(all, { script: script.script });
    await s.engine.intake(early());
    await script.begun(1);
    await s.opened();
    await s.engine.intake(event);
    const [second] = await s.store.runs.ofCommit(repository.id, 'b2');
    const view = await ended(s, second?.id ?? '');
    expect(outcomes(view)).toMatchObject({ 'preview image': reason, preview: reason });
    expect(s.previews.calls).toEqual([]);
  });

  it('is left out if the push failed at it, and made up for once that succeeds', async () => {
    let broken = true;
    const s = await world(all, { script: () => (broken ? 1 : 0) });
    const { run } = await s.play(early());
    await s.opened();
    const [, second] = await s.over();
    expect(outcomes(second!)['preview image']).toBe(
      `skipped: "image" didn't succeed in the run of the push, run ${run.id}.`,
    );
    expect(s.previews.calls).toEqual([]);
    broken = false;
    expect(await s.engine.intake(comment('/retry', { at: Date.now() }))).toMatch(/Starts over: test, image/);
    await ended(s, run.id);
    for (let tries = 0; tries < 3000 && s.previews.calls.length === 0; tries += 1) await new Promise(setImmediate);
    expect((await s.over()).map(outcomes)).toEqual([whole, added]);
  });

  it('starts over when the pull request is opened again', async () => {
    const script = held();
    const s = await world(all, { script: script.script });
    await s.engine.intake(early());
    await script.begun(1);
    await s.opened();
    await s.engine.intake({ kind: 'pull_request_closed', repository, number: 3, at: 3_000 });
    const [second] = await s.store.runs.ofCommit(repository.id, 'b2');
    await ended(s, second?.id ?? '');
    script.letGo('test');
    await s.over();
    expect(await s.engine.intake(late('b2', 4_000))).toMatch(`Run ${second?.id} starts over`);
    expect((await s.over()).map(outcomes)).toEqual([whole, added]);
  });

  it('builds what no push builds, behind what the push ran', async () => {
    const s = await world(all.replace('image: { needs', 'image: { if: "event.kind == \'pull_request\'", needs'));
    const { run } = await s.play(early());
    await s.opened();
    const [first, second] = await s.over();
    expect(first?.run.id).toBe(run.id);
    expect(outcomes(first!)['image']).toMatch(/^skipped/);
    expect(outcomes(second!)).toEqual(added);
    expect(s.executor.requests).toHaveLength(1);
  });

  it('runs again with the whole commit', async () => {
    const s = await world();
    await s.play(early());
    await s.opened();
    await s.over();
    await s.engine.intake({ kind: 'rerun', repository, sha: 'b2', actor: 'ada', externalId: null });
    const views = await s.over();
    expect(views.map(outcomes)).toEqual([whole, added]);
    expect(views.flatMap(({ jobs: ran }) => ran.map((job) => job.attempt))).toEqual([2, 2, 2, 2, 2, 2]);
  });

  it('is not the run of the head', async () => {
    const s = await world(all, {
      build: ({ tags }) => (tags.length > 0 ? { failure: 'no' } : {}),
    });
    const { run } = await s.play(early());
    await s.opened();
    const [, second] = await s.over();
    expect(outcomes(second!)['preview image']).toMatch(/^failure/);
    expect((await s.store.runs.ofBranch('acme/shop', 'feature'))?.id).toBe(run.id);
    expect((await s.store.runs.ofPullRequest(repository.id, 3))?.id).toBe(run.id);
    await s.engine.intake(comment('/run image', { at: Date.now() }));
    const [again, same] = await s.over();
    expect(again?.jobs.map((job) => job.attempt)).toEqual([1, 2, 1]);
    expect(same?.jobs.map((job) => job.attempt)).toEqual([1, 1, 1]);
    await s.engine.intake(comment('/retry', { at: Date.now() }));
    expect((await s.over())[1]?.jobs.map((job) => job.attempt)).toEqual([2, 2, 1]);
  });
});
