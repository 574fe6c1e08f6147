import { describe, expect, it } from '@jest/globals';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import type { PeopleRule } from '#src/model/deploy-rules.ts';
import { gates, pipelineWith, release, sha } from './gates.ts';
import { ended, type World } from './held.ts';
import { outcomes, repository } from './world.ts';

/** A commit of somebody who may write, whose own file has a job that takes production's secret. */
const file = pipelineWith('').replace(
  'environments:',
  '  migrate: { image: node, run: steal, environment: production, secrets: { KEY: prod_key } }\nenvironments:',
);

async function world(operator: PeopleRule | null, keys = ''): Promise<World> {
  return await gates(keys, {
    commits: { [sha('a')]: { 'slipway.yml': pipelineWith(keys) }, [sha('b')]: { 'slipway.yml': file } },
    secrets: fakeSecrets({ prod_key: 'prod-7f3a9' }),
    policy: { deployers: () => operator },
  });
}

const maintainers: PeopleRule = { permission: 'maintain', people: [], teams: [] };
const taken = (s: World) => s.executor.requests.flatMap((it) => it.given.map(({ value }) => value));

describe("an environment's secrets", () => {
  it("aren't had by pushing a tag for who may not deploy there", async () => {
    const s = await world(maintainers);
    const view = await ended(s, await release(s, 'b'));
    expect(outcomes(view)['migrate']).toMatch(
      /^failure: The environment's secrets are for who may deploy there\. The operator's file lets only people with maintain/,
    );
    expect(taken(s)).toEqual([]);
  });

  it('are had by who may, and not by another who runs the job again', async () => {
    const s = await world(null, 'allow: { people: [ada] }');
    const run = await release(s, 'b');
    const view = await ended(s, run);
    expect(taken(s)).toEqual(['prod-7f3a9']);
    const job = view.jobs.find(({ plan }) => plan.key === 'migrate');
    const event = { kind: 'rerun', repository, sha: sha('b'), externalId: job?.id ?? '' } as const;
    await s.engine.intake({ ...event, actor: 'bob' });
    expect(outcomes(await ended(s, run))['migrate']).toMatch(/@bob may not deploy to production/);
    await s.engine.intake({ ...event, actor: 'ada' });
    expect(outcomes(await ended(s, run))['migrate']).toBe('success');
    expect(taken(s)).toHaveLength(2);
  });
});
