import { describe, expect, it } from '@jest/globals';
import { planFor, planText } from '#src/engine/deploy/plan.ts';
import { whereIs, whereText } from '#src/engine/deploy/where.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { outcomes, pullRequest, push, repository, type ScenarioOptions, scenario, trigger } from './world.ts';

const a1 = 'a1'.repeat(20);
const b2 = 'b2'.repeat(20);

const file = (version: string) => ({
  'slipway.yml': `
jobs:
  image: { build: { image: registry.example/acme/shop, args: { VERSION: "${version}" } } }
environments:
  staging:
    on: { branch: main }
    stable: 0s
    rollout: [{ deployment: staging/api, container: api, image: image }]
  production:
    after: staging
    protect: [review]
    approvals: 2
    windows: [{ days: mon-sun, hours: "00:00-24:00", zone: UTC }]
    steps: [10%, pause: 5m, approval, 100%]
    rollout:
      - { deployment: shop/api, container: api, image: image }
      - { deployment: shop/worker, container: worker, image: image }
`,
});

const evil = 'Fix <b> | the `tax` for @bob [x](https://evil.example)';

async function world(change: Partial<ScenarioOptions> = {}) {
  return scenario({
    commits: { [a1]: file('1'), [b2]: file('2') },
    refs: { 'refs/heads/main': a1 },
    forge: {
      roles: { ada: 'write', eve: 'read' },
      authors: { [b2]: ['carol'] },
      checks: { [b2]: [{ name: 'review', by: 'reviewer', state: 'pending' }] },
      compare: () => ({ ahead: 1, behind: 0, commits: [{ sha: b2, title: evil, author: 'carol' }] }),
    },
    cluster: {
      workloads: [
        { name: 'staging/api', image: 'old', containers: ['api'] },
        { name: 'shop/api', image: 'registry.example/acme/shop:0.9', containers: ['api'] },
        { name: 'shop/worker', image: 'registry.example/acme/shop:0.9', containers: ['worker'], available: 0 },
      ],
      behave: () => [{ afterMs: 0 }],
      sleep: async () => {},
    },
    ...change,
  });
}

const signal = new AbortController().signal;

describe('a plan', () => {
  it('says what would change, what must hold before, and what lies between', async () => {
    const s = await world();
    await s.play(trigger(push(a1)));
    await s.store.locks.take({
      repositoryId: repository.id,
      environment: 'Production',
      owner: 'linus',
      reason: 'x',
      pullRequest: null,
      at: 1,
    });
    const asked = { repository, sha: b2, branch: 'feature', by: 'eve' };
    const [production] = await planFor(s.parts, { ...asked, environment: 'PRODUCTION' }, signal);
    expect(production).toMatchObject({ environment: 'production', problem: null, current: null, before: 0 });
    expect(production?.images).toEqual([
      {
        workload: 'shop/api',
        container: 'api',
        cluster: null,
        job: 'image',
        now: 'registry.example/acme/shop:0.9',
        why: null,
        next: null,
      },
      expect.objectContaining({ workload: 'shop/worker' }),
    ]);
    expect(production?.conditions.map(({ what, met }) => [what, met])).toEqual([
      ['permission', false],
      ['lock', false],
      ['checks', null],
      ['window', true],
      ['order', false],
      ['approvals', null],
    ]);
    const text = planText(production ? [production] : []);
    expect(text).toContain("can't be deployed now. Nothing was deployed there yet.");
    expect(text).toContain('| `shop/api` | `api` | `shop:0.9` | will be built by `image` |');
    expect(text).toContain('❌ production is locked by @\u200Blinus');
    expect(text).toContain(
      "❌ It must be healthy in staging first. The images of b2b2b2b aren't known, and staging runs a1a1a1a.",
    );
    expect(text).toContain('⏳ Not succeeded yet: `review` (reviewer).');
    expect(text).toContain('2 approvals by people with write permission, but not @\u200Bcarol or @\u200Beve');
    expect(text).toContain('Step by step: 10 %, a pause of 5 min, an approval, 100 %.');

    const [staging] = await planFor(s.parts, { ...asked, environment: 'staging', by: 'ada' }, signal);
    expect(staging).toMatchObject({ current: { sha: a1 }, conditions: [{ what: 'permission', met: true }] });
    const told = planText(staging ? [staging] : []);
    expect(told).toContain('can be deployed.');
    expect(told).toMatch(
      /There is \[`a1a1a1a`\]\(https:\/\/github\.example\/acme\/shop\/commit\/a1\S+\) now, deployed by ada\./,
    );
    expect(told).toContain('1 new commit:');
    expect(told).toContain(
      'Fix &lt;b\\> \\| the \\`tax\\` for @\u200Bbob \\[x\\]\\(https:\u200B//evil.example\\) (carol)',
    );

    const again = await planFor(s.parts, { ...asked, sha: a1, environment: 'staging', by: null }, signal);
    expect(planText(again)).toContain('would change nothing: its images run already.');
  });

  it('of an environment that is none says which there are', async () => {
    const s = await world();
    const asked = { repository, sha: b2, branch: 'feature', by: 'ada', environment: 'prodution' };
    expect(planText(await planFor(s.parts, asked, signal))).toBe(
      'There is no environment "prodution". Did you mean "production"?',
    );
    const none = await world({ commits: { [a1]: { 'slipway.yml': 'jobs: { a: { image: x, run: y } }' } } });
    expect(planText(await planFor(none.parts, { ...asked, environment: null }, signal))).toBe(
      'The default branch names no environment, so this would be deployed nowhere.',
    );
  });

  it('is made although GitHub and the cluster say nothing', async () => {
    const s = await world();
    await s.play(trigger(push(a1)));
    s.cluster.outage(new PlatformError('The cluster is down.'));
    const down = () => Promise.reject(new PlatformError('GitHub is down.'));
    const forge = { ...s.parts.forge, role: down, isMember: down, checks: down, compare: down, authors: down };
    const plans = await planFor(
      { ...s.parts, forge },
      { repository, sha: b2, branch: '', by: 'ada', environment: null },
      signal,
    );
    const text = planText(plans);
    expect(text).toContain("⏳ GitHub doesn't say now whether @\u200Bada may deploy here.");
    expect(text).toContain("⏳ GitHub doesn't say now how these checks stand: `review`.");
    expect(text).toContain("GitHub doesn't say now which commits lie between.");
    expect(text).toContain('| `shop/api` | `api` | unknown |');
  });

  it('stands in a check of a pull request, which it never fails', async () => {
    const s = await world();
    const view = await s.play(trigger(pullRequest(b2)));
    expect(outcomes(view)).toMatchObject({
      'deployment plan': 'neutral: What a deployment would change in staging, production.',
    });
    const report = view.jobs.find((job) => job.plan.key === 'deployment plan')?.report;
    expect(report).toContain('### staging');
    expect(report).toContain('### production');
    expect(view.run.outcome).toEqual({ kind: 'success' });
  });
});

it('says what the operator does not allow, before anybody asks for it', async () => {
  const refuseRollout = () => 'acme/shop may not roll out there: the operator does not allow it.';
  const s = await world({ policy: { refuseRollout } });
  await s.play(trigger(push(a1)));
  const asked = { repository, environment: 'staging', sha: a1, branch: 'main', by: null };
  const plans = await planFor(s.parts, asked, signal);
  expect(planText(plans)).toContain('❌ acme/shop may not roll out there');
  expect(planText(plans)).toContain("can't be deployed now");
});

describe('what is where', () => {
  it('is told of the file, of the cluster and of what waits, whatever is away', async () => {
    const s = await world();
    await s.play(trigger(push(a1)));
    const tell = async () => {
      const statuses = await whereIs(s.parts, repository, signal);
      return { statuses, text: whereText(repository, statuses) };
    };
    const first = await tell();
    expect(first.statuses.map(({ environment, health }) => [environment, health.kind])).toEqual([
      ['staging', 'healthy'],
      ['production', 'unknown'],
    ]);
    expect(first.text).toMatch(
      /\| \*\*staging\*\* \| `shop@\w{12}` \| – \| \[`a1a1a1a`\]\(\S+\) \| ada \| 20\S+ \d\d:\d\d \| healthy \| – \| – \|/,
    );
    expect(first.text).toContain('| **production** | – | – | nothing yet | – | – | – | – | – |');

    s.cluster.change('staging/api', { image: 'registry.example/acme/shop:mine' });
    expect((await tell()).text).toContain(
      "- **staging** is unhealthy: staging/api runs registry.example/acme/shop:mine in api, which isn't what was deployed.",
    );
    s.cluster.outage(new PlatformError('The cluster is down.'));
    expect((await tell()).text).toContain("- **staging** is unknown: staging/api: the cluster couldn't be asked.");
    s.cluster.outage(null);

    const broken = { ...s.parts, source: { ...s.parts.source, resolve: () => Promise.reject(new PlatformError('x')) } };
    const recorded = await whereIs(broken, repository, signal);
    expect(recorded.map(({ environment, spec }) => [environment, spec])).toEqual([['staging', null]]);
    const quick = await whereIs(s.parts, repository, signal, { live: false });
    expect(quick.map(({ environment, health }) => [environment, health])).toEqual([
      ['staging', { kind: 'unknown', message: '' }],
    ]);
    expect(whereText(repository, [])).toContain('acme/shop has no environments');
    const lock = { environment: '', owner: 'ada', reason: 'Moving house' } as NonNullable<
      (typeof quick)[number]['lock']
    >;
    const locked = whereText(
      repository,
      [...first.statuses].map((status) => ({ ...status, lock })),
    );
    expect(locked.match(/Moving house/g)).toHaveLength(1);
    expect(locked).toContain('- **The whole repository** is locked by ada: Moving house');
  });
});
