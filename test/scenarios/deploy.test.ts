import { describe, expect, it } from '@jest/globals';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import type { CommentEvent } from '#src/model/event.ts';
import { outcomes, pullRequest, push, repository, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

const pipeline = `
jobs:
  lint: { image: node, run: lint }
  image: { needs: lint, build: { image: registry.example/acme/shop } }
environments:
  staging:
    stable: 0s
    rollout: [{ deployment: staging/api, container: api, image: image }]
  production:
    on: { tag: "v*" }
    stable: 0s
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;

const pull: PullRequest = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: 'b2',
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
};

function options(change: Partial<ScenarioOptions> = {}): ScenarioOptions {
  return {
    commits: { a1: { 'slipway.yml': pipeline }, b2: { 'slipway.yml': pipeline } },
    refs: { 'refs/heads/main': 'a1' },
    forge: { roles: { ada: 'write', eve: 'read' }, pullRequests: [pull] },
    cluster: {
      workloads: [
        { name: 'shop/api', image: 'old', containers: ['api'] },
        { name: 'staging/api', image: 'old', containers: ['api'] },
      ],
      behave: () => [{ afterMs: 0 }],
      sleep: async () => {},
    },
    ...change,
  };
}

function comment(body: string, change: Partial<CommentEvent> = {}): CommentEvent {
  return { kind: 'comment', repository, number: 3, commentId: 77, body, actor: 'ada', at: Date.now(), ...change };
}

describe('a tag', () => {
  it('and the push of the same commit build one image, though they come at once', async () => {
    const both = pipeline.replace('staging:', 'staging:\n    on: { branch: main }');
    const s = await scenario(options({ commits: { a1: { 'slipway.yml': both } } }));
    await Promise.all([s.play(trigger(push('a1'))), s.play(trigger(tag('a1')))]);
    const [first, second] = s.builder.requests;
    expect(s.builder.requests).toHaveLength(2);
    expect(first?.built).toBeUndefined();
    expect(second?.built).toMatch(/^registry\.example\/acme\/shop@sha256:/);
    const images = new Set(s.cluster.patches.map((patch) => patch.split('=')[1]));
    expect([...images]).toEqual([second?.built]);
  });

  it('whose image is built by other words than the push had, or that is re-run, builds one of its own', async () => {
    const both = pipeline
      .replace('staging:', 'staging:\n    on: { branch: main }')
      .replace('acme/shop }', 'acme/shop, args: { VERSION: "${{ event.tag }}" } }');
    const s = await scenario(options({ commits: { a1: { 'slipway.yml': both } } }));
    await s.play(trigger(push('a1')));
    const { run, jobs } = await s.play(trigger(tag('a1')));
    expect(s.builder.requests.map((it) => it.built)).toEqual([undefined, undefined]);
    const image = jobs.find((job) => job.plan.key === 'image');
    await s.engine.intake({ kind: 'rerun', repository, sha: 'a1', actor: 'ada', externalId: image?.id ?? '' });
    await s.engine.completed(run.id);
    expect(s.builder.requests.at(-1)?.built).toBeUndefined();
  });

  it('builds the image once, pushes it and rolls it out by digest', async () => {
    const s = await scenario(options());
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)).toEqual({ lint: 'success', image: 'success', 'deploy production': 'success' });
    expect(s.builder.requests.map((r) => r.tags)).toEqual([['v1.0.0', 'a1']]);
    expect(s.cluster.patches).toEqual([expect.stringMatching(/^shop\/api=registry\.example\/acme\/shop@sha256:/)]);
    const [deployment] = await s.store.deployments.list(repository.id, 'production', 1);
    expect(deployment).toMatchObject({ state: 'success', sha: 'a1', actor: 'ada', changes: [{ before: 'old' }] });
    const [record] = await s.store.audit.list('acme/shop', 1);
    expect(record).toMatchObject({ action: 'deploy', actor: 'ada', decision: 'allowed' });
  });

  it('deploys nothing if a job failed', async () => {
    const s = await scenario(options({ script: () => 1 }));
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)['deploy production']).toMatch(/^skipped: /);
    expect(s.cluster.patches).toEqual([]);
  });

  it('deploys only what the operator allows, and says what would', async () => {
    const s = await scenario(options({ refuseRollout: 'The operator does not allow it.' }));
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)['deploy production']).toBe('failure: The operator does not allow it.');
    expect(s.cluster.patches).toEqual([]);
    expect((await s.store.audit.list('acme/shop', 1))[0]).toMatchObject({ decision: 'refused' });
  });

  it('pushes only where the operator allows it', async () => {
    const s = await scenario(options({ refusePush: 'Not there.' }));
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)['image']).toBe('failure: Not there.');
    expect(s.builder.requests).toEqual([]);
  });

  it('takes its environments from the default branch', async () => {
    const elsewhere = pipeline.replace('shop/api', 'kube-system/api');
    const s = await scenario(
      options({ commits: { a1: { 'slipway.yml': pipeline }, b2: { 'slipway.yml': elsewhere } } }),
    );
    await s.play(trigger(tag('b2')));
    expect(s.cluster.patches).toEqual([expect.stringMatching(/^shop\/api=/)]);
  });

  it('says so if the default branch has a broken file', async () => {
    const s = await scenario(
      options({ commits: { a1: { 'slipway.yml': 'jobs: 7' }, b2: { 'slipway.yml': pipeline } } }),
    );
    const view = await s.play(trigger(tag('b2')));
    expect(view.run.outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('main') as unknown });
  });
});

describe("a stranger's pull request", () => {
  it('gets no credentials, no push and no deployment', async () => {
    const s = await scenario(options());
    const view = await s.play(trigger(pullRequest('b2', { fork: true, ref: 'refs/pull/3/head' })));
    expect(outcomes(view)).toEqual({ lint: 'success', image: 'success' });
    expect(s.executor.requests.map((r) => r.trusted)).toEqual([false]);
    expect(s.builder.requests.map((r) => [r.trusted, r.tags])).toEqual([[false, []]]);
  });
});

describe('/deploy', () => {
  it('builds and rolls out the head of the pull request, and answers', async () => {
    const s = await scenario(options());
    const view = await s.play(comment('/deploy staging'));
    expect(outcomes(view)).toEqual({ lint: 'success', image: 'success', 'deploy staging': 'success' });
    expect(view.run.trigger).toMatchObject({ kind: 'deploy', sha: 'b2', number: 3 });
    expect(s.forge.reactions).toEqual([
      { commentId: 77, reaction: 'eyes' },
      { commentId: 77, reaction: 'rocket' },
    ]);
    expect(s.forge.comments).toEqual([]);
    expect(s.cluster.patches).toEqual([expect.stringMatching(/^staging\/api=/)]);
  });

  it('repeats nothing that succeeded at this commit, and builds an image once', async () => {
    const s = await scenario(options());
    await s.play(trigger(pullRequest('b2')));
    const first = await s.play(comment('/deploy staging'));
    expect(Object.keys(outcomes(first))).toEqual(['image', 'deploy staging']);
    const second = await s.play(comment('/deploy production', { commentId: 78 }));
    expect(outcomes(second)).toEqual({ 'deploy production': 'success' });
    const digests = s.cluster.patches.map((patch) => patch.split('@')[1]);
    expect(new Set(digests).size).toBe(1);
  });

  it("takes nothing from a stranger's run of the same commit", async () => {
    const s = await scenario(options());
    await s.play(trigger(pullRequest('b2', { number: 4, fork: true, ref: 'refs/pull/4/head' })));
    const view = await s.play(comment('/deploy staging'));
    expect(Object.keys(outcomes(view))).toEqual(['lint', 'image', 'deploy staging']);
  });

  it.each([
    ['without permission', comment('/deploy staging', { actor: 'eve' }), {}, /write permission.*"read"/],
    ['by somebody unknown', comment('/deploy staging', { actor: 'mallory' }), {}, /"none"/],
    [
      'to an unknown environment',
      comment('/deploy stagging'),
      {},
      /no environment `stagging`.*Did you mean `staging`.*`staging`, `production`/,
    ],
    ['of a closed pull request', comment('/deploy staging'), { state: 'closed' }, /closed/],
    ['of a fork', comment('/deploy staging'), { fork: true }, /fork/],
    ['without an environment', comment('/deploy'), {}, /Name the environment/],
  ] as const)('%s is refused with the reason', async (_name, event, change, reason) => {
    const base = options();
    const s = await scenario({ ...base, forge: { ...base.forge, pullRequests: [{ ...pull, ...change }] } });
    expect(await s.engine.intake(event)).toMatch(/^Refused/);
    expect(s.forge.comments).toEqual([{ number: 3, body: expect.stringMatching(reason) as unknown }]);
    expect(s.forge.reactions.map((it) => it.reaction)).toEqual(['eyes', 'confused']);
    expect(s.cluster.patches).toEqual([]);
    expect(await s.store.runs.list({ limit: 1 })).toEqual([]);
  });

  it('asks again if the head moved since the comment', async () => {
    const s = await scenario(options());
    await s.play(trigger(pullRequest('b2')));
    expect(await s.engine.intake(comment('/deploy staging', { at: Date.now() - 60_000 }))).toContain('moved');
    expect(s.cluster.patches).toEqual([]);
  });

  it('is not fooled by an earlier deployment of the same head', async () => {
    const s = await scenario(options());
    const at = Date.now() - 60_000;
    await s.play(comment('/deploy staging', { at }));
    expect(await s.engine.intake(comment('/deploy production', { at: at + 1, commentId: 78 }))).toContain('deploys');
  });

  it('delivered twice makes one deployment', async () => {
    const s = await scenario(options());
    await s.play(comment('/deploy staging'));
    await s.engine.intake(comment('/deploy staging'));
    expect(await s.store.runs.list({ limit: 10 })).toHaveLength(1);
  });
});

it('lists its commands on /help, to everybody', async () => {
  const s = await scenario(options());
  await s.engine.intake(comment('/help', { actor: 'eve' }));
  expect(s.forge.comments[0]?.body).toContain('/deploy ENV [REF]');
});

it('says on /help where the operator lets fewer people deploy, but not whom', async () => {
  const rule = { permission: null, people: ['secretary'], teams: [] };
  const deployers = (_: unknown, name: string) => (name === 'production' ? rule : null);
  const s = await scenario(options({ policy: { deployers } }));
  await s.engine.intake(comment('/help', { actor: 'eve' }));
  const body = s.forge.comments[0]?.body ?? '';
  expect(body).toContain(
    "| `production` | people with write permission, as far as the operator's rule allows them too |",
  );
  expect(body).toContain('| `staging` | people with write permission |');
  expect(body).not.toContain('secretary');
});

it('a push to the branch of an environment deploys it', async () => {
  const text = pipeline.replace('on: { tag: "v*" }', 'on: { branch: main }');
  const s = await scenario(options({ commits: { a1: { 'slipway.yml': text } } }));
  const view = await s.play(trigger(push('a1')));
  expect(outcomes(view)['deploy production']).toBe('success');
  expect(s.builder.requests[0]?.tags).toEqual(['main', 'a1']);
});
