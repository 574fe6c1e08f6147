import { afterEach, describe, expect, it } from '@jest/globals';
import type { FaultHook } from '#dev/github/front.ts';
import { createReporter, type GitHubReporter } from '#src/adapters/github/reporter.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { deployedOf } from '#src/engine/deploy/deployed.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import type { Store } from '#src/engine/store.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job } from '#src/model/run.ts';
import { makeTown, type Town } from '#test/dev/github/town.ts';
import { plannedOf } from '#test/model/samples.ts';
import { silent } from './support.ts';
import { approval, digest, preview, work } from './deploy-samples.ts';

/** Deployments told to a GitHub that keeps its rules: with a store, and runs that go as the engine makes them go. */

const shop = 'acme/shop';
const success: Outcome = { kind: 'success' };
const production = plannedOf('deploy production', { work: { ...work, rules: { ...noRules(), after: [] } } });
const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

it('a deployment waits, runs, succeeds and is replaced: on its check run, as a deployment, and in one comment', async () => {
  const { town, begin, tell, check, deployments, comment } = await world();
  const first = await begin(production);
  await tell();
  // It waits for other jobs, maybe for ever: nothing is deployed yet.
  expect(deployments()).toEqual([]);
  expect(comment()).toBeNull();

  await first.wait();
  await tell();
  const asked = check(first.job.id);
  expect(asked).toMatchObject({ status: 'completed', conclusion: 'action_required' });
  expect(asked?.actions.map(({ label }) => String(label))).toEqual(['Approve', 'Reject']);
  expect(deployments()).toEqual([['production', 'pending']]);
  expect(comment()).toMatch(/\| \[production\].*Waits.*\| `[0-9a-f]{7}` \|.*\| bob \|/);

  await first.go();
  await tell();
  expect(check(first.job.id)).toMatchObject({ id: asked?.id, status: 'in_progress', conclusion: null });
  expect(deployments()).toEqual([['production', 'pending, in_progress']]);

  await first.end(success);
  await tell();
  expect(check(first.job.id)).toMatchObject({ id: asked?.id, conclusion: 'success' });
  expect(comment()).toMatch(/\[production\]\(https:\/\/shop\.example\) \| ✅ Deployed \|.*`0123456789ab`/);

  const second = await begin(production);
  await second.go();
  await second.end(success);
  await tell();
  expect(deployments()).toEqual([
    ['production', 'pending, in_progress, success, inactive'],
    ['production', 'success'],
  ]);
  expect(check(first.job.id)).toMatchObject({
    conclusion: 'success',
    title: 'Was deployed to production. Another deployment has taken its place',
  });
  expect(comment()?.match(/production/g)).toHaveLength(1);
  expect(town.github.comments(shop, 1)).toHaveLength(1);

  const before = town.github.world.exchanges.length;
  await first.touch();
  await second.touch();
  await tell();
  const sent = town.github.world.exchanges.slice(before).filter(({ method }) => method !== 'GET');
  expect(sent).toEqual([]);
});

it('a preview is transient, and inactive once it is removed', async () => {
  const { town, begin, tell, deployments, comment, store } = await world();
  const it = await begin(plannedOf('preview', { work: preview }));
  await it.go();
  await it.end(success);
  await tell();
  expect([...town.github.world.repo(shop).deployments.values()]).toMatchObject([
    { transient: true, production: false, environment: 'preview/pr-7' },
  ]);
  await store.deployments.retire(it.job.id, 'The pull request was closed', Date.now());
  await tell();
  expect(deployments()).toEqual([['preview/pr-7', 'success, inactive']]);
  expect(comment()).toContain('Not there any more');
});

it('several environments and several runs are told of in one comment, whoever is told first', async () => {
  const { town, begin, tell, comment } = await world();
  const names = ['a', 'b', 'c', 'd', 'e'];
  for (const name of names) {
    const it = await begin(plannedOf(`deploy ${name}`, { work: { ...work, environment: name } }));
    await it.go();
    await it.end(success);
  }
  await tell();
  expect(town.github.comments(shop, 1)).toHaveLength(1);
  expect(comment()?.match(/^\| \[.\]/gm)).toEqual(names.map((name) => `| [${name}]`));
});

describe('the comment', () => {
  const posted = /^POST .*\/issues\/1\/comments$/;
  it.each([
    ['the answer to its creation is lost', posted, { kind: 'lost' } as const],
    ['its creation is lost', posted, { kind: 'reset' } as const],
    ['it is made after the connection broke', posted, { kind: 'late', ms: 20 } as const],
    ['the answer to an edit is lost', /^PATCH .*\/issues\/comments\//, { kind: 'lost' } as const],
    ['an edit is lost', /^PATCH .*\/issues\/comments\//, { kind: 'reset' } as const],
  ])('is there once and right in the end if %s', async (_what, pattern, fault) => {
    const { town, begin, tell, comment } = await world();
    // Anybody can write what it is found by.
    town.github.people.comment(shop, 1, 'eve', 'Mine. <!-- slipway deployments -->');
    town.github.faults = once(pattern, fault);
    const it = await begin(production);
    await it.wait();
    await tell();
    await it.go();
    await it.end(success);
    await tell();
    expect(comment()).toContain('✅ Deployed');
    expect(town.github.comments(shop, 1).map(({ user }) => user.login)).toEqual(['eve', 'slipway[bot]']);
    expect(town.github.comments(shop, 1)[0]?.body).toBe('Mine. <!-- slipway deployments -->');
  });

  it('is found by the next process', async () => {
    const { town, begin, tell, comment, next } = await world();
    town.github.faults = (request) => (posted.test(`${request.method} ${request.path}`) ? { kind: 'lost' } : null);
    const it = await begin(production);
    await it.wait();
    await tell(50);
    await next();
    town.github.faults = null;
    await it.go();
    await tell();
    expect(town.github.comments(shop, 1)).toHaveLength(1);
    expect(comment()).toContain('Under way');
  });

  it('is made anew if somebody deleted it', async () => {
    const { town, begin, tell, comment } = await world();
    const it = await begin(production);
    await it.wait();
    await tell();
    town.github.world.repo(shop).comments.clear();
    await it.go();
    await tell();
    expect(comment()).toContain('Under way');
  });

  it('that GitHub refuses holds nothing else up', async () => {
    const { town, begin, tell, check, deployments, store } = await world();
    town.github.faults = ({ path }) => (path.includes('/comments') ? { kind: 'status', status: 403 } : null);
    const it = await begin(production);
    await it.go();
    await it.end(success);
    await tell();
    expect(check(it.job.id)?.conclusion).toBe('success');
    expect(deployments()).toEqual([['production', 'success']]);
    expect(await store.runs.untold(10)).toEqual([]);
  });
});

it('a job that is asked for again while its approval was the last that GitHub knew: the old check run gets its end', async () => {
  const { town, begin, tell, deployments, store } = await world();
  const it = await begin(production);
  await it.wait();
  await tell();
  await store.runs.drop(it.job.id, { kind: 'cancelled', reason: 'Rejected by @bob.' }, Date.now());
  await store.runs.restart(it.job.runId, [it.job.id], '@bob re-ran it', Date.now());
  await it.wait();
  await tell();
  const runs = [...town.github.world.repo(shop).runs.values()].filter(({ externalId }) => externalId === it.job.id);
  expect(runs.map(({ conclusion }) => conclusion)).toEqual(['cancelled', 'action_required']);
  expect(deployments()).toEqual([
    ['production', 'pending, inactive'],
    ['production', 'pending'],
  ]);
});

function noRules() {
  return { allow: null, after: [], approvals: null, protect: [], windows: [] };
}

function once(pattern: RegExp, fault: ReturnType<FaultHook>): FaultHook {
  let left = 1;
  return (request) => {
    if (left === 0 || !pattern.test(`${request.method} ${request.path}`)) return null;
    left -= 1;
    return fault;
  };
}

/** A town with the pull request #1, and a store whose runs are told there. */
async function world() {
  const town: Town = await makeTown();
  ends.push(async () => {
    const violations = [...town.github.violations];
    await town[Symbol.asyncDispose]();
    expect(violations).toEqual([]);
  });
  await town.commit('a.txt', 'a');
  await town.push('main');
  await town.git('checkout', '--quiet', '-b', 'basket');
  const sha = await town.commit('b.txt', 'b');
  await town.push('basket');
  await town.github.people.openPullRequest(shop, { title: 'A basket', head: 'basket' });
  const clock = { now: Date.now };
  const store = await openStore({ path: ':memory:', clock });
  ends.push(() => store.close());
  const client = town.octokit();
  const open = (): GitHubReporter =>
    createReporter({
      github: { appId: town.app.id, client: async () => client },
      runs: store.runs,
      told: store.told,
      detailsUrl: (run, job) => `https://ci.example/runs/${run.id}/${job?.id ?? ''}`,
      excerpt: async () => '',
      deployed: (run, job) => deployedOf(store, run, job),
      logger: silent,
      retryMs: 1,
      settleMs: 50,
    });
  let reporter = open();
  ends.push(() => reporter.close());
  const repository: Repository = {
    id: town.github.world.repo(shop).id,
    owner: 'acme',
    name: 'shop',
    defaultBranch: 'main',
    private: true,
    cloneUrl: `${town.github.url}/acme/shop.git`,
    installationId: town.installation.id,
  };
  let requests = 0;

  return {
    town,
    store,
    tell: async (ms = 20_000): Promise<void> => {
      await reporter.resume();
      await reporter.flush(ms);
    },
    next: async (): Promise<void> => {
      await reporter.close();
      reporter = open();
    },
    /** The newest check run of a job. */
    check: (jobId: string) =>
      [...town.github.world.repo(shop).runs.values()].findLast(({ externalId }) => externalId === jobId),
    deployments: () =>
      town.github
        .deployments(shop)
        .map(({ environment, statuses }) => [environment, statuses.map(({ state }) => state).join(', ')]),
    comment: () => town.github.comments(shop, 1).find(({ app }) => app !== null)?.body ?? null,
    begin,
  };

  async function begin(plan: PlannedJob) {
    const environment = plan.work.kind === 'script' ? '' : 'production';
    const { run } = await store.runs.create({
      repository,
      trigger: {
        kind: 'deploy',
        environment,
        branch: 'basket',
        number: 1,
        request: String((requests += 1)),
        sha,
        ref: 'refs/heads/basket',
        actor: 'bob',
        title: 'Add a basket',
      },
      pullRequest: 1,
      at: Date.now(),
    });
    await store.runs.plan(run.id, {
      jobs: [plan],
      diagnostics: [],
      concurrency: null,
      pipelineFile: 'slipway.yml',
      at: Date.now(),
    });
    const job = (await store.runs.view(run.id))?.jobs[0] as Job;
    return {
      job,
      wait: () => store.runs.noteJob(job.id, 'Waits for one more approval.', approval),
      touch: () => store.runs.touch(run.id),
      async go() {
        await store.runs.noteJob(job.id, null, null);
        await store.runs.queue(job.id, Date.now());
        expect((await store.runs.claim('here', ['deploy', 'preview'], Date.now()))?.id).toBe(job.id);
      },
      end: (outcome: Outcome) => end(store, run.id, job, outcome),
    };
  }
}

async function end(store: Store, runId: string, job: Job, outcome: Outcome): Promise<void> {
  const environment = 'environment' in job.plan.work ? (job.plan.work.environment ?? '') : '';
  const run = await store.runs.get(runId);
  const record: DeploymentRecord = {
    id: job.id,
    repositoryId: run?.repository.id ?? 0,
    repository: shop,
    environment,
    sha: run?.trigger.sha ?? '',
    runId,
    jobId: job.id,
    actor: 'bob',
    state: outcome.kind === 'success' ? 'success' : 'failure',
    description: `Deployed to ${environment}.`,
    changes: [{ workload: 'shop/api', container: 'server', before: null, after: digest }],
    createdAt: Date.now(),
    updatedAt: Date.now(),
    patchedAt: Date.now(),
    details:
      job.plan.work.kind === 'preview'
        ? { preview: { cluster: null, namespace: 'pr-7', number: 7, expiresAt: 0 } }
        : {},
  };
  await store.deployments.save(record);
  if (outcome.kind === 'success') await store.deployments.supersede(record, false);
  const owned = { jobId: job.id, attempt: 1, worker: 'here' };
  expect(await store.runs.complete(owned, { outcome, at: Date.now() })).toBe(true);
}
