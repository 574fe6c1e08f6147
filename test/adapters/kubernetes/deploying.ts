import { openLogs } from '#src/adapters/logs/logs.ts';
import { nothingDeploys } from '#src/adapters/fake/nothing.ts';
import { createFakeReporter } from '#src/adapters/fake/reporter.ts';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { Parts } from '#src/engine/parts.ts';
import { openPolicy } from '#src/engine/policy.ts';
import type { Policy } from '#src/engine/ports.ts';
import { runDeploy } from '#src/engine/run-deploy.ts';
import type { DeployTrigger } from '#src/model/event.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job } from '#src/model/run.ts';
import { plannedOf, repository } from '#test/model/samples.ts';
import { type Fixture, startFixture, target } from './fixture.ts';

export interface Deploying extends Fixture {
  readonly parts: Parts;
  /** Deploys an image (`r/demo:TAG`) to `production`: a run, a claimed job, and all that is to be told of it. */
  deploy(tag: string, change?: Partial<DeployWork>, more?: Partial<DeployTrigger>): Promise<Deployed>;
}

export type Deployed = Awaited<ReturnType<typeof deployOn>>;

/** The engine's way of deploying on the real adapter, the real store and the stand-in. */
export async function startDeploying(
  home: string,
  options: { readonly policy?: Partial<Policy>; readonly fixture?: Parameters<typeof startFixture>[0] } = {},
): Promise<Deploying> {
  const fixture = await startFixture(options.fixture);
  const clock = { now: Date.now };
  const store = await openStore({ path: ':memory:', clock });
  const parts = {
    cluster: fixture.cluster,
    ...nothingDeploys,
    canaries: fixture.canaries(),
    reporter: createFakeReporter(),
    logs: openLogs({ home }),
    store,
    policy: openPolicy(options.policy),
    secrets: fakeSecrets(),
    clock,
    log: { info() {}, warn() {}, error() {} },
    limits: { jobs: 1, worker: 'test', secrets: ['hunter2-hunter2'], cancelSuperseded: true, repeatsItself: false },
  } as unknown as Parts;
  let count = 0;
  return {
    ...fixture,
    parts,
    async deploy(tag, change = {}, more = {}) {
      count += 1;
      return await deployOn(parts, count, tag, change, more);
    },
    async close() {
      await store.close();
      await fixture.close();
    },
  };
}

async function deployOn(
  parts: Parts,
  count: number,
  tag: string,
  change: Partial<DeployWork>,
  more: Partial<DeployTrigger>,
) {
  const { store } = parts;
  const sha = String(count).padStart(40, 'c');
  const trigger: DeployTrigger = {
    kind: 'deploy',
    environment: 'production',
    sha,
    ref: 'refs/heads/main',
    branch: 'main',
    actor: 'ada',
    title: `Change ${count}`,
    number: 7,
    request: String(count),
    ...more,
  };
  const work: DeployWork = { kind: 'deploy', environment: 'production', url: null, rollout: [target], ...change };
  const at = Date.now();
  const { run } = await store.runs.create({ repository, trigger, pullRequest: 7, at });
  const image = { repositoryId: repository.id, sha, job: 'image', image: `r/demo:${tag}`, tags: [], at };
  if (change.images === undefined) await store.images.record(image);
  const planned = plannedOf('deploy production', { work, timeoutMinutes: 0.03 });
  await store.runs.plan(run.id, {
    jobs: [planned],
    diagnostics: [],
    concurrency: null,
    pipelineFile: 'slipway.yml',
    at,
  });
  const [waiting] = (await store.runs.view(run.id))?.jobs ?? [];
  await store.runs.queue(waiting?.id ?? '', at);
  const claimedAt = performance.now();
  const job = (await store.runs.claim('test', ['deploy'], Date.now())) as Job;
  let patchedAt = 0;
  const watched: Parts = {
    ...parts,
    cluster: {
      ...parts.cluster,
      async setImages(...args) {
        const answer = await parts.cluster.setImages(...args);
        patchedAt ||= performance.now();
        return answer;
      },
    },
  };
  const never = new AbortController().signal;
  const { outcome, report = '' } = await runDeploy(watched, run, job, work, never, never);
  const owned = { jobId: job.id, attempt: job.attempt, worker: 'test' };
  await store.runs.complete(owned, { outcome, report, at: Date.now() });
  const record = await store.deployments.ofJob(job.id);
  if (!record) throw new Error('There is no record of the deployment.');
  const log = (await parts.logs.read({ jobId: job.id, attempt: job.attempt }, 0)).toString();
  return { run, outcome, report, record, log, sha, claimToPatchMs: patchedAt - claimedAt };
}
