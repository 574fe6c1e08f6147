import { describe, expect, it } from '@jest/globals';
import { createFakeGitOps } from '#src/adapters/fake/gitops.ts';
import type { CommentEvent } from '#src/model/event.ts';
import { outcomes, push, repository, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

const pipeline = (more = '') => `
jobs:
  image: { build: { image: registry.example/acme/shop } }
environments:
  production:
    on: { tag: "v*" }
    gitops: { repository: acme/deploy, file: shop/api.yaml, field: "spec.image", image: image${more} }
`;
const text = 'spec:\n  image: old # by Slipway\n';

async function world(more = '', change: Partial<ScenarioOptions> = {}) {
  const gitops = createFakeGitOps({
    repository: 'acme/deploy',
    files: { 'shop/api.yaml': text },
    // Somebody merges at once.
    after: (call) => (call === 'propose' ? gitops.merge(1) : undefined),
  });
  const files = { 'slipway.yml': pipeline(more) };
  const s = await scenario({
    // Built from other files, it is another image.
    commits: { a1: files, b2: { 'slipway.yml': pipeline(more).replace('build: {', 'build: { target: web,') } },
    refs: { 'refs/heads/main': 'a1' },
    parts: { gitops },
    ...change,
  });
  return { ...s, gitops };
}

function comment(body: string): CommentEvent {
  return {
    kind: 'comment',
    repository,
    number: 3,
    onPullRequest: false,
    commentId: 77,
    body,
    actor: 'ada',
    at: Date.now(),
  };
}

describe('an environment that another repository describes', () => {
  it('is deployed to by a commit there, and rolled back by another', async () => {
    const s = await world();
    const first = await s.play(trigger(tag('a1', 'v1')));
    expect(outcomes(first)).toEqual({ image: 'success', 'deploy production': 'success' });
    const [built] = await s.store.deployments.list(repository.id, 'production', 1);
    const image = built?.details.images?.['image'] ?? '';
    expect(image).toMatch(/^registry\.example\/acme\/shop@sha256:/);
    expect(s.gitops.files.get('shop/api.yaml')).toBe(text.replace('old', image));
    expect(built).toMatchObject({ state: 'success', details: { gitops: { commit: 'c1' } } });
    expect(s.cluster.patches).toEqual([]);

    await s.play(trigger(tag('b2', 'v2')));
    expect(s.gitops.files.get('shop/api.yaml')).not.toContain(image);
    await s.play(comment('/rollback production'));
    expect(s.gitops.files.get('shop/api.yaml')).toBe(text.replace('old', image));
    expect(s.gitops.commits).toHaveLength(3);
  });

  it('is deployed to by a pull request there, once that is merged', async () => {
    const s = await world(', pull-request: true');
    const view = await s.play(trigger(tag('a1', 'v1')));
    expect(outcomes(view)).toMatchObject({ 'deploy production': 'success' });
    expect(s.gitops.pulls).toMatchObject([{ state: 'merged', from: 'slipway/production-a1' }]);
    expect(s.gitops.files.get('shop/api.yaml')).toContain('registry.example/acme/shop@sha256:');
  });

  it('is never its own cause', async () => {
    const gitops = createFakeGitOps({ repository: 'acme/shop', files: { 'shop/api.yaml': text } });
    const file = pipeline().replace('acme/deploy', 'acme/shop').replace('tag: "v*"', 'branch: main');
    const s = await scenario({
      commits: { a1: { 'slipway.yml': file } },
      refs: { 'refs/heads/main': 'a1' },
      parts: { gitops },
    });
    const view = await s.play(trigger(push('a1')));
    expect(outcomes(view)['deploy production']).toMatch(/^failure: A commit to main of acme\/shop would deploy again/);
    expect(gitops.commits).toEqual([]);
  });

  it('is left alone if the operator does not allow it', async () => {
    const s = await world('', { policy: { refuseGitOps: () => 'The operator allows no such thing.' } });
    const view = await s.play(trigger(tag('a1', 'v1')));
    expect(outcomes(view)['deploy production']).toBe('failure: The operator allows no such thing.');
    expect(s.gitops.commits).toEqual([]);
  });
});
