import { describe, expect, it } from '@jest/globals';
import { createTelling } from '#src/engine/deploy/telling.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';

const target: RolloutTarget = {
  kind: 'deployment',
  cluster: null,
  namespace: 'shop',
  name: 'api',
  container: 'app',
  image: 'image',
};
const change: RolloutChange = { workload: 'shop/api', container: 'app', before: 'a:1', after: 'a:2', phase: 'forward' };

describe('what a deployment tells beside its log', () => {
  it('is masked before it becomes Markdown', () => {
    const telling = createTelling(
      [change],
      () => ['pass*word'],
      () => {},
    );
    telling.events(['Failed: pass*word'], target);
    telling.lines('token pass*word', target);
    telling.steps('step with pass*word');
    expect(telling.markdown()).not.toMatch(/pass\\?\*word/);
    expect(telling.markdown().match(/\*\*\*|\\\*\\\*\\\*/g)?.length).toBeGreaterThan(2);
  });

  it('keeps why it failed when another process goes on with going back', () => {
    let told = 0;
    const first = createTelling(
      [change],
      () => [],
      () => {
        told += 1;
      },
    );
    first.lines('fatal: boom', target);
    first.events(['BackOff: restarting (3 times)'], target);
    const second = createTelling(
      [{ ...change, phase: 'back' }],
      () => [],
      () => {},
      first.markdown(),
    );
    expect(second.markdown()).toContain('| goes back |');
    expect(second.markdown()).toContain('- BackOff: restarting');
    expect(second.markdown()).toContain('fatal: boom');
    second.lines('another end', target);
    expect(second.markdown()).not.toContain('fatal: boom');
    expect(told).toBe(2);
  });
});
