import { describe, expect, it } from '@jest/globals';
import { planFor, planText } from '#src/engine/deploy/plan.ts';
import type { Policy } from '#src/engine/ports.ts';
import { deploys, head, main, opened, pipeline, pushed, reactions, replies, say, world } from './commanding.ts';
import type { World } from './held.ts';
import { repository, type ScenarioOptions } from './world.ts';

const probed = pipeline.replace(
  '  staging:\n    stable: 0s',
  '  staging:\n    stable: 0s\n    steps: [50%, { probe: "https://shop.example/health" }, 100%]',
);
const measured = pipeline.replace(
  '  staging:\n    stable: 0s',
  '  staging:\n    stable: 0s\n    steps: [50%, { prometheus: main, query: up, min: 1 }, 100%]',
);
const committed = pipeline.replace(
  'stable: 0s\n    rollout: [{ deployment: staging/api, container: api, image: image }]',
  'gitops: { repository: acme/config, file: a.yaml, field: image, image: image }',
);

function refusing(policy: Partial<Policy>, file = pipeline): Partial<ScenarioOptions> {
  const files = { 'slipway.yml': file };
  return { policy, commits: { [main]: files, [head]: files } };
}

/** Two versions in staging. */
async function twice(policy: Partial<Policy>): Promise<World> {
  const image = 'image: registry.example/acme/shop';
  const commits = Object.fromEntries(
    [main, head].map((sha) => [
      sha,
      { 'slipway.yml': pipeline.replace(image, `${image}, args: { COMMIT: "${sha}" }`) },
    ]),
  );
  const s = await world({ policy, commits });
  await opened(s);
  for (const sha of [main, head]) {
    await pushed(s, sha);
    await deploys(s, `/deploy staging ${sha}`);
  }
  return s;
}

const word = 'not by the operator: they add a line.';

describe('what the operator does not allow is refused to who asks for it, at once', () => {
  it.each<[string, Partial<Policy>, string]>([
    ['workloads', { refuseRollout: (_, { namespace }) => (namespace === 'staging' ? word : null) }, pipeline],
    ['pushes of images that must be built', { refusePush: () => word }, pipeline],
    ['repositories elsewhere', { refuseGitOps: () => word }, committed],
    ['addresses that a step asks', { refuseProbe: () => word }, probed],
    ['Prometheus servers that a step asks', { refuseMetrics: () => word }, measured],
  ])('%s', async (_name, policy, file) => {
    const s = await world(refusing(policy, file));
    await say(s, '/deploy staging');
    expect(replies(s)).toEqual([expect.stringContaining(word)]);
    expect(reactions(s).at(-1)).toBe('confused');
    expect(await s.store.runs.unfinished()).toEqual([]);
  });

  it('an image that is there is pushed no more', async () => {
    const no = { now: false };
    const s = await world({ policy: { refusePush: () => (no.now ? word : null) } });
    await opened(s);
    await deploys(s, '/deploy staging');
    no.now = true;
    const view = await deploys(s, '/deploy production');
    expect(view.run.outcome).toEqual({ kind: 'success' });
  });

  it('a promotion and a rollback too', async () => {
    const refused = new Set<string>();
    const refuseRollout: Policy['refuseRollout'] = (_, { namespace }) => (refused.has(namespace) ? word : null);
    const s = await twice({ refuseRollout });
    refused.add('staging').add('shop');
    for (const body of ['/promote staging production', '/rollback staging']) {
      const before = replies(s).length;
      await say(s, body);
      expect(replies(s).slice(before)).toEqual([expect.stringContaining(word)]);
    }
  });

  it('a rollback asks no probe, so none stops it', async () => {
    const no = { now: false };
    const s = await twice({ refuseProbe: () => (no.now ? word : null) });
    no.now = true;
    const view = await deploys(s, '/rollback staging');
    expect(view.run.outcome).toEqual({ kind: 'success' });
  });

  it('a plan says it of what steps ask, but not of an address that is not filled in', async () => {
    const open = probed.replace('https://shop.example', 'https://${{ event.sha }}.example');
    const asked = { repository, environment: 'staging', sha: main, branch: 'main', by: null };
    const refuseProbe = () => word;
    const [told, untold] = await Promise.all(
      [probed, open].map(async (file) => {
        const s = await world(refusing({ refuseProbe }, file));
        return planText(await planFor(s.parts, asked, new AbortController().signal));
      }),
    );
    expect(told).toContain(`❌ ${word}`);
    expect(untold).not.toContain(word);
  });
});

it('a plan says why it does not know what runs', async () => {
  const s = await world({ cluster: { workloads: [], behave: () => [], sleep: async () => {} } });
  await say(s, '/plan staging main', { number: 9, onPullRequest: false });
  expect(replies(s).at(-1)).toMatch(/\| unknown \|/);
  expect(replies(s).at(-1)).toMatch(/What runs now can't be seen\. staging\/api: .*staging\/api/);
});
