import { expect, it } from '@jest/globals';
import { playStory } from '#dev/demo/story.ts';
import { startWorld } from '#dev/demo/world.ts';

it(
  'plays the story: a pull request is built in Docker and a tag reaches Kubernetes',
  async () => {
    await using world = await startWorld({ kubeconfig: null });
    const told: string[] = [];
    try {
      await playStory(world, (line) => told.push(line));
    } catch (error) {
      throw new Error(`${String(error)}\n${told.join('\n')}\n${world.serverLog()}`, { cause: error });
    }
    expect(told.join('\n')).toMatch(/after [\d.]+ s production is set to/);

    const run = [...world.github.world.repo('acme/shop').runs.values()].at(-1);
    const page = await fetch(run?.detailsUrl ?? '');
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('acme/shop');
    expect((await fetch((run?.detailsUrl ?? '').replace(/s=[^&]+/, 's=forged'))).status).toBe(404);
    expect((await fetch(`${world.slipway}/readyz`)).status).toBe(200);
    expect(world.serverLog()).not.toMatch(/"level":(50|60)/);
  },
  15 * 60_000,
);
