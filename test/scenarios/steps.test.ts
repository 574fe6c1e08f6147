import { describe, expect, it } from '@jest/globals';
import type { CommentEvent } from '#src/model/event.ts';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import { outcomes, repository, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

const pipeline = (steps: string) => `
jobs:
  smoke: { image: node, run: smoke }
  image: { build: { image: registry.example/acme/shop } }
environments:
  production:
    on: { tag: "v*" }
    stable: 0s
    ${steps}
    rollout: [{ deployment: shop/api, container: app, image: image }]
`;
const url = 'https://shop.example/health';
const probe = `{ probe: "${url}", every: 1s, count: 1 }`;

const pull: PullRequest = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: 'a1',
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'eve',
};

function options(steps: string, change: Partial<ScenarioOptions> = {}): ScenarioOptions {
  return {
    commits: { a1: { 'slipway.yml': pipeline(steps) } },
    refs: { 'refs/heads/main': 'a1' },
    forge: { roles: { ada: 'write', bob: 'maintain' }, pullRequests: [pull] },
    policy: { refuseProbe: () => null, refuseMetrics: () => null },
    canaries: {
      workloads: [{ name: 'shop/api', replicas: 4, image: 'old' }],
      services: { 'shop/api': { app: 'api' } },
      sleep: async () => {},
    },
    probes: { get: { [url]: [{ status: 200, body: '' }] } },
    ...change,
  };
}

function comment(body: string, actor: string): CommentEvent {
  return { kind: 'comment', repository, number: 3, commentId: 77, body, actor, at: Date.now() };
}

/** A job that succeeds the first time, on its own, and fails as a check. */
function failsLater() {
  let times = 0;
  return () => {
    times += 1;
    return times === 1 ? 0 : 1;
  };
}

describe('an environment with steps', () => {
  it('goes through shares, probe and a job of the pipeline, and reports each', async () => {
    const s = await scenario(options(`steps: [25%, ${probe}, 50%, { job: smoke }, 100%]`));
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)).toEqual({
      smoke: 'success',
      image: 'success',
      'deploy production': 'success',
      'smoke (production, step 4)': 'success',
    });
    expect(s.canaries?.all).toEqual([expect.stringMatching(/^shop\/api: 4 of 4 registry\.example.*@sha256:/)]);
    expect(s.canaries?.fewest.get('shop/api')).toBe(4);
    const job = view.jobs.find((it) => it.plan.key === 'deploy production');
    expect(job?.report).toContain(
      '| 2 | probe `https://shop.example/health` | done: status 200; 1 of 1 answers were good |',
    );
    const [deployment] = await s.store.deployments.list(repository.id, 'production', 1);
    expect(deployment).toMatchObject({ state: 'success', details: { steps: { phase: 'done' } } });
    expect(deployment?.changes).toMatchObject([{ before: 'old', phase: 'done' }]);
  });

  it.each([
    [
      'a probe',
      `steps: [25%, ${probe}, { job: smoke }, 100%]`,
      { probes: { get: { [url]: [{ status: 500, body: '' }] } } },
    ],
    ['a job', 'steps: [25%, { job: smoke }, 100%]', { script: failsLater() }],
  ])('goes back when %s fails', async (what, steps, change) => {
    const s = await scenario(options(steps, change));
    const view = await s.play(trigger(tag('a1')));
    const ended = outcomes(view);
    expect(ended['deploy production']).toMatch(/^failure: /);
    const check = ended['smoke (production, step 3)'] ?? ended['smoke (production, step 2)'];
    expect(check).toMatch(what === 'a probe' ? /^skipped: The rollout ended/ : /^failure/);
    expect(s.canaries?.all).toEqual(['shop/api: 4 of 4 old']);
  });

  it('waits for an approval between steps, given by a comment', async () => {
    const s = await scenario(options('steps: [50%, approval, 100%]'));
    const result = await s.engine.intake(trigger(tag('a1')));
    const id = /run (\w+)/i.exec(result)?.[1] ?? '';
    const deploying = async () => (await s.store.runs.view(id))?.jobs.find((it) => it.plan.key === 'deploy production');
    let job = await deploying();
    for (let i = 0; i < 300 && job?.gate?.gate !== 'step 2'; i += 1) {
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
      job = await deploying();
    }
    expect(job).toMatchObject({ state: 'running', gate: { kind: 'approval', gate: 'step 2', needed: 1, given: [] } });
    expect(s.canaries?.all).toEqual([
      'shop/api: 2 of 2 old',
      expect.stringMatching(/^shop\/api-slipway-canary: 2 of 2 registry/),
    ]);
    await s.engine.intake(comment('/approve production', 'bob'));
    await s.engine.completed(id);
    expect(await deploying()).toMatchObject({ outcome: { kind: 'success' }, gate: null });
    expect(s.canaries?.all).toHaveLength(1);
  }, 20_000);

  it('refuses before anything changes what the operator doesn’t allow', async () => {
    const s = await scenario(options(`steps: [25%, ${probe}, 100%]`, { policy: { refuseProbe: () => 'Not there.' } }));
    const view = await s.play(trigger(tag('a1')));
    expect(outcomes(view)['deploy production']).toBe('failure: Not there.');
    expect(s.canaries?.moves).toEqual([]);
  });
});
