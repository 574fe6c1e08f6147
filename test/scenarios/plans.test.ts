import { describe, expect, it } from '@jest/globals';
import type { DeployTrigger } from '#src/model/event.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { outcomes, pullRequest, push, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

/** What is planned, and from which commit's file. */
const JOBS = `
jobs:
  test: { image: node, run: test }
  image: { needs: test, build: { image: registry.example/acme/shop } }
`;
const SHOP = `${JOBS}
environments:
  staging:
    on: { branch: main }
    stable: 0s
    rollout: [{ deployment: staging/api, container: api, image: image }]
  production:
    stable: 0s
    timeout: 20m
    url: https://shop.example.com
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;
const PREVIEW = `
preview: { manifests: deploy, images: { registry.example/acme/shop: image }, url: "https://pr-\${{ event.number }}.example.com" }
`;
const digest = `registry.example/acme/shop@sha256:${'a'.repeat(64)}`;
const production = {
  kind: 'deployment',
  cluster: null,
  namespace: 'shop',
  name: 'api',
  container: 'api',
  image: 'image',
} as const;

function options(change: Partial<ScenarioOptions> = {}): ScenarioOptions {
  return {
    commits: { a1: { 'slipway.yml': SHOP }, b2: { 'slipway.yml': SHOP } },
    refs: { 'refs/heads/main': 'a1' },
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

function asked(change: Partial<DeployTrigger>): DeployTrigger {
  return {
    kind: 'deploy',
    sha: 'b2',
    ref: 'refs/heads/feature',
    actor: 'ada',
    title: 'A change',
    environment: 'production',
    branch: '',
    number: 3,
    request: '1',
    ...change,
  };
}

const broken = { 'slipway.yml': 'jobs: 7' };
const gone = new PlatformError('GitHub does not answer.');

describe('environments that come after each other', () => {
  const both = SHOP.replace('    on: { branch: main }', '    on: { tag: "v*" }').replace(
    '  production:\n',
    '  production:\n    on: { tag: "v*" }\n    after: staging\n',
  );
  const commits = { a1: { 'slipway.yml': both } };

  it('are deployed to in that order by one run, with the same digest', async () => {
    const s = await scenario(options({ commits }));
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)).toMatchObject({ 'deploy staging': 'success', 'deploy production': 'success' });
    const [first, second] = s.cluster.patches.map((patch) => patch.split('='));
    expect([first?.[0], second?.[0]]).toEqual(['staging/api', 'shop/api']);
    expect(second?.[1]).toBe(first?.[1]);
  });

  it('get nothing that failed before', async () => {
    const s = await scenario(
      options({
        commits,
        policy: { refuseRollout: (_, { namespace }) => (namespace === 'staging' ? 'Not today.' : null) },
      }),
    );
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)).toMatchObject({
      'deploy staging': 'failure: Not today.',
      'deploy production': 'skipped: "deploy staging" failed.',
    });
    expect(s.cluster.patches).toEqual([]);
  });
});

describe('a rollback', () => {
  const restore = { deployment: 'd1', images: { image: digest }, rollout: [production] };

  it.each<[string, ScenarioOptions['commits']]>([
    ['the default branch has a broken file', { a1: broken, b2: broken }],
    ['no file can be read', { a1: gone, b2: gone }],
  ])('goes although %s', async (_, commits) => {
    const s = await scenario(options({ commits, refuseRollout: 'Not today.' }));
    const view = await s.play(trigger(asked({ mode: 'rollback', restore })));
    expect(outcomes(view)).toEqual({ 'deploy production': 'failure: Not today.' });
    expect(view.run.diagnostics).toEqual([]);
    expect(view.jobs.map((job) => job.plan)).toMatchObject([
      {
        key: 'deploy production',
        needs: [],
        timeoutMinutes: 10,
        work: { mode: 'rollback', restores: 'd1', images: { image: digest }, rollout: [production] },
      },
    ]);
  });

  it('of which nobody knows where it went is no success', async () => {
    const s = await scenario(options());
    const nowhere = { deployment: 'd1', images: { image: digest } };
    expect((await s.play(trigger(asked({ mode: 'rollback', restore: nowhere })))).run.outcome).toEqual({
      kind: 'failure',
      reason:
        "Where the deployment that is to be restored went isn't known any more. Deploy its commit: /deploy production b2.",
    });
  });

  it('has the time and the address that the deployment had which it restores', async () => {
    const s = await scenario(options());
    await s.play(trigger(asked({})));
    const [before] = await s.store.deployments.list(5_000_000_001, 'production', 1);
    const again = { ...restore, deployment: before?.id ?? '' };
    const view = await s.play(trigger(asked({ mode: 'rollback', restore: again, request: '2' })));
    expect(view.jobs.map((job) => job.plan)).toMatchObject([
      { timeoutMinutes: 20, work: { url: 'https://shop.example.com', stableSeconds: 0, mode: 'rollback' } },
    ]);
  });
});

describe('a promotion', () => {
  const promote = (change: Partial<DeployTrigger> = {}) =>
    trigger(asked({ mode: 'promote', restore: { deployment: 'd1', images: { image: digest } }, ...change }));

  it("has the default branch's environment, and needs no file of its commit", async () => {
    const s = await scenario(options({ commits: { a1: { 'slipway.yml': SHOP }, b2: gone } }));
    const view = await s.play(promote());
    expect(view.jobs.map((job) => job.plan)).toMatchObject([
      { key: 'deploy production', work: { mode: 'promote', images: { image: digest }, rollout: [production] } },
    ]);
  });

  it.each([
    [promote({ environment: 'prod' }), 'There is no environment "prod". The file of main has: staging, production.'],
    [
      promote({ restore: { deployment: 'd1', images: { web: digest } } }),
      '"production" needs the image of the job "image", and the deployment that is promoted has only web. Deploy the commit with /deploy production.',
    ],
  ])('is refused with the reason', async (event, reason) => {
    const s = await scenario(options());
    expect((await s.play(event)).run.outcome).toEqual({ kind: 'failure', reason });
  });

  it("is checked by a job of the commit's own file", async () => {
    const smoke = '  smoke: { image: node, run: smoke, if: false }\n';
    const file = (jobs: string) =>
      SHOP.replace('environments:', `${jobs}environments:`).replace(
        '    timeout: 20m\n',
        '    timeout: 20m\n    steps: [50%, { job: smoke }, 100%]\n',
      );
    const a1 = { 'slipway.yml': file(smoke) };
    const s = await scenario(options({ commits: { a1, b2: a1 }, refuseRollout: 'Not today.' }));
    const view = await s.play(promote());
    expect(outcomes(view)).toEqual({
      'deploy production': 'failure: Not today.',
      'smoke (production, step 2)': 'skipped: The rollout ended before this check.',
    });
    expect(view.jobs.map((job) => job.plan)).toMatchObject([
      { key: 'deploy production' },
      { key: 'smoke (production, step 2)', heldBy: 'deploy production', work: { steps: [{ script: 'smoke' }] } },
    ]);
    const without = await scenario(options({ commits: { a1, b2: { 'slipway.yml': JOBS } } }));
    expect((await without.play(promote())).run.outcome).toEqual({
      kind: 'failure',
      reason:
        'The rollout to "production" is checked by the job "smoke", which the pipeline file of this commit doesn\'t have.',
    });
  });
});

describe('a pull request', () => {
  const fork = pullRequest('b2', { fork: true, ref: 'refs/pull/3/head' });

  it.each([
    [pullRequest('b2'), ['test', 'image', 'deployment plan']],
    [fork, ['test', 'image']],
    [push('b2', 'feature'), ['test', 'image']],
    [tag('b2'), ['test', 'image']],
  ])('says what a deployment would change, if it is of our own people', async (given, keys) => {
    const s = await scenario(options());
    const view = await s.play(trigger(given));
    expect(view.jobs.map((job) => job.plan.key)).toEqual(keys);
  });

  it.each<[string, string, string | null]>([
    ['has it', JOBS + PREVIEW, null],
    ['has none', JOBS, 'main has no "preview" in its pipeline file yet: previews begin once this is merged.'],
    ['is broken', 'jobs: 7', 'The pipeline file of main has mistakes, so its "preview" can\'t be used.'],
  ])('has a preview where the default branch %s', async (_, main, skip) => {
    const s = await scenario(
      options({ commits: { a1: { 'slipway.yml': main }, b2: { 'slipway.yml': JOBS + PREVIEW } } }),
    );
    const view = await s.play(trigger(pullRequest('b2')));
    const preview = view.jobs.find((job) => job.plan.key === 'preview');
    expect(preview?.plan.skip).toBe(skip);
    expect(s.builder.requests.map((it) => it.tags)).toEqual([skip === null ? ['b2'] : []]);
    expect(preview?.plan.work).toMatchObject({
      environment: 'preview/pr-3',
      ...(skip === null && { manifests: ['deploy'], url: 'https://pr-3.example.com', keepMinutes: 4320 }),
    });
    expect(outcomes(view)['preview']).toMatch(skip === null ? /./ : `skipped: ${skip}`);
  });

  it('has what the default branch says of its preview, and none from a fork', async () => {
    const own = PREVIEW.replace('manifests: deploy', 'manifests: secrets');
    const s = await scenario(
      options({ commits: { a1: { 'slipway.yml': JOBS + PREVIEW }, b2: { 'slipway.yml': JOBS + own } } }),
    );
    const view = await s.play(trigger(pullRequest('b2')));
    expect(view.jobs.at(-1)?.plan.work).toMatchObject({ kind: 'preview', manifests: ['deploy'] });
    const other = await scenario(
      options({ commits: { a1: { 'slipway.yml': JOBS + PREVIEW }, b2: { 'slipway.yml': JOBS + own } } }),
    );
    expect((await other.play(trigger(fork))).jobs.map((job) => job.plan.key)).toEqual(['test', 'image']);
  });
});
