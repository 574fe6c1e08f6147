import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Cluster } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { assess, type Verdict } from '#src/model/rollout.ts';

export interface ClusterFixture {
  readonly cluster: Cluster;
  readonly close: () => Promise<void>;
}

/** Images of which the cluster under test knows how they behave. */
export const images = { old: 'r/demo:v1', good: 'r/demo:v2', crash: 'r/demo:crash', missing: 'r/demo:missing' };

/**
 * What every Cluster does. `make` gives one with the healthy Deployment shop/api: two replicas, one container `api`
 * that runs `images.old`.
 */
export function clusterContract(name: string, make: () => Promise<ClusterFixture>): void {
  describe(`${name} is a Cluster`, () => {
    let fixture: ClusterFixture;
    let stop: AbortController;
    beforeEach(async () => {
      fixture = await make();
      stop = new AbortController();
    });
    afterEach(async () => {
      stop.abort();
      await fixture.close();
    });

    const target: RolloutTarget = {
      kind: 'deployment',
      cluster: null,
      namespace: 'shop',
      name: 'api',
      container: 'api',
      image: 'image',
    };
    const until = async (image: string, wanted: Verdict['kind']): Promise<Verdict> => {
      const { generation } = await fixture.cluster.setImages(target, { api: image }, stop.signal);
      const context = { generation, image, startedAt: 0, timeoutMs: 1e12, now: 1, troubleSince: -1e12 };
      for await (const state of fixture.cluster.observe(target, stop.signal)) {
        const verdict = assess(state, context);
        if (verdict.kind === wanted) return verdict;
      }
      throw new Error('The observation ended by itself.');
    };

    it('shows the workload as it is', async () => {
      expect(await fixture.cluster.inspect(target, stop.signal)).toMatchObject({
        kind: 'deployment',
        namespace: 'shop',
        name: 'api',
        wanted: 2,
        updated: 2,
        available: 2,
        replicas: 2,
        paused: false,
        image: images.old,
      });
    });

    it.each<[string, Partial<RolloutTarget>, RegExp]>([
      ['container', { container: 'app' }, /no container app.*it has api/],
      ['workload', { name: 'web' }, /no deployment shop\/web/],
      ['namespace', { namespace: 'shopp' }, /no deployment shopp\/api/],
    ])('refuses a %s that doesn’t exist, in the user’s terms', async (_what, change, text) => {
      const wrong = { ...target, ...change };
      const inspected = fixture.cluster.inspect(wrong, stop.signal);
      await expect(inspected).rejects.toThrow(text);
      await expect(inspected).rejects.toBeInstanceOf(UserError);
      const set = fixture.cluster.setImages(wrong, { [wrong.container]: images.good }, stop.signal);
      await expect(set).rejects.toThrow(text);
    });

    it('answers a patch with the new generation and rolls until complete', async () => {
      const { generation } = await fixture.cluster.inspect(target, stop.signal);
      expect(await until(images.good, 'complete')).toMatchObject({ kind: 'complete' });
      const after = await fixture.cluster.inspect(target, stop.signal);
      expect(after).toMatchObject({ image: images.good, generation: generation + 1, updated: 2, available: 2 });
    });

    it('shows that an image can’t be pulled, and goes back', async () => {
      expect(await until(images.missing, 'failed')).toHaveProperty('reason', expect.stringMatching(/can't be pulled/));
      expect(await until(images.old, 'complete')).toMatchObject({ kind: 'complete' });
    });

    it('shows that a container crashes, with its last lines', async () => {
      expect(await until(images.crash, 'failed')).toHaveProperty('reason', expect.stringMatching(/exits with code 1/));
      expect(await fixture.cluster.lastLines(target, 1, stop.signal)).toMatch(/^fatal: boom\n?$/);
    });

    it('has no last lines when nothing failed', async () => {
      expect(await fixture.cluster.lastLines(target, 5, stop.signal)).toBe('');
    });

    it('changes nothing by the image that runs already', async () => {
      expect(await until(images.old, 'complete')).toMatchObject({ kind: 'complete' });
    });

    it('ends an observation when aborted', async () => {
      const seen: number[] = [];
      for await (const state of fixture.cluster.observe(target, stop.signal)) {
        seen.push(state.available);
        stop.abort();
      }
      expect(seen).toEqual([2]);
    });
  });
}
