import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeCluster } from '#src/adapters/fake/cluster.ts';
import { openFakeExecutor } from '#src/adapters/fake/executor.ts';
import { createFakeForge } from '#src/adapters/fake/forge.ts';
import { FakeImageBuilder } from '#src/adapters/fake/image-builder.ts';
import { nothingDeploys } from '#src/adapters/fake/nothing.ts';
import { createFakeReporter } from '#src/adapters/fake/reporter.ts';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { createEngine, type Engine } from '#src/engine/engine.ts';
import { openPolicy } from '#src/engine/policy.ts';
import type { Store } from '#src/engine/store.ts';
import { environmentGroup } from '#src/model/concurrency.ts';
import { noRules } from '#src/model/deploy-rules.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { plannedOf, repository } from '#test/model/samples.ts';
import { databases, type Place } from './databases.ts';

const digest = `r/api@sha256:${'a'.repeat(64)}`;

function deployPlan(): PlannedJob {
  const target = { kind: 'deployment', cluster: null, namespace: 'shop', name: 'api', container: 'app' } as const;
  return plannedOf('deploy production', {
    concurrency: { group: environmentGroup('production'), cancelInProgress: false, queue: 'max' },
    priority: 2,
    work: {
      kind: 'deploy',
      environment: 'production',
      url: null,
      rollout: [{ ...target, image: 'image' }],
      rules: noRules,
    },
  });
}

/** A cluster that counts how many rollouts are under way at once: each takes a few milliseconds. */
function countingCluster() {
  let under = 0;
  const seen = { most: 0, patches: 0 };
  const cluster = new FakeCluster({
    workloads: [{ name: 'shop/api', image: 'old', containers: ['app'] }],
    behave: () => [{ afterMs: 5 }],
    sleep: async (ms) => {
      under += 1;
      seen.patches += 1;
      seen.most = Math.max(seen.most, under);
      await new Promise((resolve) => setTimeout(resolve, ms));
      under -= 1;
    },
  });
  return { cluster, seen };
}

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A server on the database, as `scenario` makes it, with the cluster that all share. */
function server(store: Store, worker: string, cluster: FakeCluster): Engine {
  const home = mkdtempSync(join(tmpdir(), 'slipway-alone-'));
  cleanups.push(() => rmSync(home, { recursive: true, force: true }));
  const engine = createEngine({
    source: {
      resolve: async () => null,
      message: async () => '',
      list: async () => [],
      read: async () => new Map(),
      tree: async () => ({ path: '/nowhere', [Symbol.asyncDispose]: async () => {} }),
    },
    executor: openFakeExecutor(),
    builder: new FakeImageBuilder(),
    cluster,
    ...nothingDeploys,
    reporter: createFakeReporter(),
    forge: createFakeForge({ roles: { ada: 'write' } }),
    logs: openLogs({ home }),
    store,
    policy: openPolicy(),
    secrets: fakeSecrets(),
    clock: { now: Date.now },
    log: { info() {}, warn() {}, error() {} },
    limits: { jobs: 4, worker, secrets: [], cancelSuperseded: true, repeatsItself: false },
    shortage: async () => null,
    runUrl: (run) => run.id,
  });
  cleanups.push(() => engine.stop());
  return engine;
}

/** Deploy runs that are planned, each of a commit of its own whose image alternates so that each patches. */
async function plannedDeployments(store: Store, count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const sha = String(i).padStart(40, '0');
    const trigger = { kind: 'push', sha, branch: 'main', ref: 'refs/heads/main', actor: 'ada', title: '' } as const;
    const { run } = await store.runs.create({ repository, trigger, pullRequest: null, at: i });
    const image = digest.replace('a'.repeat(64), String(i).padStart(64, '0'));
    await store.images.record({ repositoryId: repository.id, sha, job: 'image', image, tags: [], at: i });
    const jobs = [deployPlan()];
    const plan = { jobs, diagnostics: [], concurrency: null, pipelineFile: 'slipway.yml', at: i };
    await store.runs.trust(run.id, { trusted: true, reason: '', approval: 'none', approvedBy: null, remarks: [] });
    await store.runs.plan(run.id, plan);
    ids.push(run.id);
  }
  return ids;
}

describe.each(databases)('two servers on one $name', (database) => {
  beforeAll(() => database.start());
  afterAll(() => database.end());

  async function opened(place: Place): Promise<Store> {
    const store = await openStore({ ...place, clock: { now: Date.now } });
    cleanups.push(() => store.close());
    return store;
  }

  async function made(): Promise<Place> {
    const { place, remove } = await database.make();
    cleanups.push(remove);
    return place;
  }

  it('never deploy to an environment at once, and each deployment gets its turn', async () => {
    const place = await made();
    const first = await opened(place);
    // SQLite is one process's, and its connections wait for each other without letting anything else go on.
    const stores = [first, 'url' in place ? await opened(place) : first] as const;
    const { cluster, seen } = countingCluster();
    const ids = await plannedDeployments(stores[0], 8);
    const engines = stores.map((store, index) => server(store, `server${index}`, cluster));
    await Promise.all(engines.map(async (engine) => await engine.start({ alone: false })));
    await Promise.all(ids.map(async (id) => await engines[0]?.completed(id)));
    const outcomes = await Promise.all(ids.map(async (id) => (await stores[0].runs.get(id))?.outcome));
    expect(outcomes).toEqual(ids.map(() => ({ kind: 'success' })));
    expect(seen).toEqual({ most: 1, patches: 8 });
  });

  it('deploy nothing while the store does not answer', async () => {
    const place = await made();
    const store = await opened(place);
    let away = true;
    const asked = Promise.withResolvers<void>();
    const groups = {
      ...store.groups,
      enter: (...args: Parameters<Store['groups']['enter']>) => {
        if (!away) return store.groups.enter(...args);
        asked.resolve();
        throw new PlatformError('The database is away.');
      },
    };
    const { cluster, seen } = countingCluster();
    const [id = ''] = await plannedDeployments(store, 1);
    const engine = server({ ...store, groups }, 'server', cluster);
    await engine.start({ alone: false });
    await asked.promise;
    expect((await store.runs.view(id))?.jobs[0]?.state).toBe('waiting');
    expect(seen.patches).toBe(0);
    away = false;
    await engine.driveAll();
    await engine.completed(id);
    expect(seen.patches).toBe(1);
  });

  it('keep a deployment in the line that began meanwhile, whoever still thinks that it waits', async () => {
    const store = await opened(await made());
    const [first = '', second = ''] = await plannedDeployments(store, 2);
    const job = (await store.runs.view(first))?.jobs[0]?.id ?? '';
    const next = (await store.runs.view(second))?.jobs[0]?.id ?? '';
    const enter = async (jobId: string, runId: string) => {
      const line = await store.groups.enter(repository.id, environmentGroup('production'), `job:${jobId}`, runId);
      return line.find((entry) => entry.holds)?.runId;
    };
    await enter(job, first);
    await store.groups.leave(`job:${job}`);
    expect(await enter(next, second)).toBe(second);
    await store.groups.leave(`job:${next}`);
    await enter(job, first);
    await store.runs.queue(job, 1);
    expect(await store.groups.leave(`job:${job}`)).toEqual([]);
    expect(await enter(next, second)).toBe(first);
    await store.runs.claim('server', ['deploy'], 2);
    expect(await store.groups.leave(`job:${job}`)).toEqual([]);
    expect(await enter(next, second)).toBe(first);
    await store.runs.complete({ jobId: job, attempt: 1, worker: 'server' }, { outcome: { kind: 'success' }, at: 3 });
    expect(await store.groups.leave(`job:${job}`)).toEqual([second]);
    expect(await enter(next, second)).toBe(second);
  });
});
