import { expect, it } from '@jest/globals';
import { ended, idOf, until, viewOf } from './held.ts';
import { outcomes, pullRequest, push, repository, scenario, tag, trigger } from './world.ts';

const pipeline = `
concurrency: { group: everything, cancel-in-progress: true }
jobs:
  image: { build: { image: registry.example/acme/shop } }
environments:
  production:
    on: { tag: "v*" }
    stable: 0s
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;

/** A server whose rollouts take until they are let go. */
async function rollingOut() {
  const { promise: healthy, resolve: letGo } = Promise.withResolvers<void>();
  const files = { 'slipway.yml': pipeline };
  const s = await scenario({
    commits: { a1: files, b2: files },
    refs: { 'refs/heads/main': 'a1' },
    forge: {
      roles: { ada: 'write' },
      pullRequests: [
        {
          number: 3,
          state: 'open',
          title: 'A change',
          sha: 'a1',
          branch: 'feature',
          base: 'main',
          fork: false,
          author: 'ada',
        },
      ],
    },
    cluster: {
      workloads: [{ name: 'shop/api', image: 'old', containers: ['api'] }],
      behave: () => [{ afterMs: 1 }],
      sleep: () => healthy,
    },
  });
  const patched = () => until(async () => s.cluster.patches.length > 0);
  return { s, letGo, patched };
}

it('a deployment under way is ended by no newer run of its concurrency group, which waits for it', async () => {
  const { s, letGo, patched } = await rollingOut();
  const deploying = idOf(await s.engine.intake(trigger(tag('a1'))));
  await patched();
  const newer = idOf(await s.engine.intake(trigger(push('b2'))));
  await until(async () => (await viewOf(s, deploying)).run.cancel !== null);
  expect((await viewOf(s, newer)).jobs.every((job) => job.state === 'waiting')).toBe(true);
  letGo();
  expect(outcomes(await ended(s, deploying))['deploy production']).toBe('success');
  expect((await ended(s, newer)).run.outcome).toEqual({ kind: 'success' });
  expect(s.cluster.patches).toHaveLength(1);
});

it('a deployment that was asked for is ended neither by a newer push nor by closing, but by a person', async () => {
  const { s, patched } = await rollingOut();
  const comment = (commentId: number, body: string) =>
    s.engine.intake({ kind: 'comment', repository, number: 3, commentId, actor: 'ada', body, at: Date.now() });
  const deploying = idOf(await comment(5, '/deploy production'));
  await patched();
  await s.engine.intake({ kind: 'pull_request_closed', repository, number: 3, at: Date.now() });
  const files = pullRequest('b2', { at: Date.now() + 1_000 });
  expect((await viewOf(s, deploying)).run.cancel).toBeNull();
  await s.engine.intake(trigger(files));
  await until(async () => (await viewOf(s, deploying)).run.cancel !== null);
  expect((await viewOf(s, deploying)).jobs.at(-1)?.state).toBe('running');
  await comment(6, '/cancel');
  expect((await viewOf(s, deploying)).run.cancel).toEqual({ reason: 'Cancelled by @ada.', by: 'person' });
});
