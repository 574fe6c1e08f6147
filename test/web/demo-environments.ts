import { FakeCluster } from '#src/adapters/fake/cluster.ts';
import { whereIs } from '#src/engine/deploy/where.ts';
import type { Source } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { environmentGroup } from '#src/model/concurrency.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Environments } from '#src/web/environments.ts';
import { owned, planned, repositoryNamed } from '#test/contracts/store-fixtures.ts';

/** Environments that look like real ones. Times count back from now. */
export const acme = repositoryNamed('acme/shop', 4_294_967_301);

const file = `jobs:
  image: { build: { image: ghcr.io/acme/shop } }
environments:
  staging:
    on: { branch: main }
    url: https://staging.shop.example
    rollout: [{ deployment: shop-staging/api, container: api, image: image }]
  production:
    on: { tag: 'v*' }
    rollout:
      - { deployment: shop/api, container: api, image: image }
      - { deployment: shop/worker, container: worker, image: image }
`;

/** What the pages are given in a server, over this store and a small cluster; what is asked for is kept in `asked`. */
export function demoEnvironments(store: () => Store): Environments & { readonly asked: unknown[] } {
  const asked: unknown[] = [];
  const source = {
    resolve: async () => 'f'.repeat(40),
    list: async () => ['slipway.yml'],
    read: async () => new Map([['slipway.yml', file]]),
  } as unknown as Source;
  const full = { wanted: 3, updated: 3, available: 3, replicas: 3 };
  const cluster = new FakeCluster({
    workloads: [
      { name: 'shop-staging/api', containers: ['api'], image: image(9), ...full },
      { name: 'shop/api', containers: ['api'], image: image(6), ...full },
      { name: 'shop/worker', containers: ['worker'], image: image(6), ...full, available: 2 },
      { name: 'pr-42/api', containers: ['api'], image: image(8), ...full },
    ],
    behave: () => [],
    sleep: async () => {},
  });
  const log = { info() {}, warn() {}, error() {} };
  const noted = (what: string) => async (_repository: unknown, ask: object) => {
    asked.push({ what, ...ask });
    return { kind: 'accepted', message: `${what}: done.`, runId: null } as const;
  };
  return {
    asked,
    where: (repository, how) => {
      const parts = { store: store(), source, cluster, clock: { now: Date.now }, log };
      return whereIs(parts, repository, AbortSignal.timeout(10_000), how);
    },
    deploy: noted('deploy'),
    rollback: noted('rollback'),
    promote: noted('promote'),
    lock: noted('lock'),
    unlock: noted('unlock'),
    cancel: noted('cancel'),
  };
}

function image(version: number): string {
  return `ghcr.io/acme/shop@sha256:${`${version}a7c3e5b1d9f`.repeat(6).slice(0, 64)}`;
}

const minute = 60_000;
const hour = 60 * minute;

/** History, a rollout under way with its queue, a lock and a preview. Answers the ids of what waits. */
export async function seedEnvironments(store: Store): Promise<{ readonly running: string; readonly queued: string }> {
  const now = Date.now();
  const titles = ['Speed up checkout', 'Fix the tax of gift cards', 'Größen in Zoll anzeigen', 'Update dependencies'];
  for (let version = 1; version <= 9; version += 1) {
    const title = titles[version % 4] ?? '';
    await past(store, { version, environment: 'staging', title, at: now - (10 - version) * 7 * hour });
    if (version > 6) continue;
    const tag = `v1.${version}.0`;
    await past(store, { version, environment: 'production', title, tag, at: now - (10 - version) * 6 * hour });
  }
  await past(store, { version: 8, environment: 'preview/pr-42', title: 'Round <b>discounts</b>', at: now - hour });
  await store.locks.take({
    repositoryId: acme.id,
    environment: 'production',
    owner: 'linus',
    reason: 'Black Friday: nothing <changes> until Monday',
    pullRequest: null,
    at: now - 3 * hour,
  });
  const running = await waiting(store, 'staging', 'Show the stock of each shop', now - 2 * minute);
  const queued = await waiting(store, 'staging', 'Translate the receipts', now - minute);
  await store.runs.queue(running, now - 2 * minute);
  await store.runs.claim('worker', ['deploy'], now - 2 * minute);
  await store.runs.progress(owned(running), { progress: 'shop-staging/api: 1 of 3 updated, 3 available' });
  await store.runs.noteJob(queued, 'Waits for its turn.', { kind: 'queue', position: 1 });
  const approval = await waiting(store, 'production', 'Release 1.7', now - 5 * minute, false);
  const gate = { kind: 'approval', gate: 'start', needed: 2, given: ['ada'] } as const;
  await store.runs.noteJob(approval, 'Waits for 2 approvals (1 so far, by @ada).', gate);
  return { running, queued };
}

function deployJob(environment: string): PlannedJob {
  return {
    ...planned(`deploy ${environment}`, 'deploy'),
    work: { kind: 'deploy', environment, url: null, rollout: [] },
  };
}

async function waiting(store: Store, environment: string, title: string, at: number, inLine = true): Promise<string> {
  const sha = `${at % 1000}`.padStart(40, 'c0ffee12');
  const ref = 'refs/heads/main';
  const asked = { environment, branch: 'main', number: null, request: title, actor: 'ada' };
  const trigger = { kind: 'deploy', sha, ref, title, ...asked } as const;
  const { run } = await store.runs.create({ repository: acme, trigger, pullRequest: null, at });
  const jobs = [deployJob(environment)];
  await store.runs.plan(run.id, { jobs, diagnostics: [], concurrency: null, pipelineFile: 'slipway.yml', at });
  const jobId = (await store.runs.view(run.id))?.jobs[0]?.id ?? '';
  if (inLine) await store.groups.enter(acme.id, environmentGroup(environment), `job:${jobId}`, run.id);
  return jobId;
}

interface Past {
  readonly version: number;
  readonly environment: string;
  readonly title: string;
  readonly tag?: string;
  readonly at: number;
}

/** A deployment that is over, with its run. The fifth failed. */
async function past(store: Store, { version, environment, title, tag, at }: Past): Promise<void> {
  const sha = `${version}`.repeat(40);
  const actor = version % 2 === 0 ? 'ada' : 'linus';
  const trigger = {
    kind: 'deploy',
    sha,
    ref: 'refs/heads/main',
    environment,
    branch: 'main',
    number: null,
    request: `${environment} ${version}`,
    actor,
    title,
  } as const;
  const { run } = await store.runs.create({ repository: acme, trigger, pullRequest: null, at });
  const jobs = [deployJob(environment)];
  await store.runs.plan(run.id, { jobs, diagnostics: [], concurrency: null, pipelineFile: 'slipway.yml', at });
  const jobId = (await store.runs.view(run.id))?.jobs[0]?.id ?? '';
  const failed = version === 5;
  const outcome = failed
    ? ({ kind: 'failure', reason: 'shop/api: the container api crashes again and again (exit code 1).' } as const)
    : ({ kind: 'success' } as const);
  await store.runs.drop(jobId, outcome, at + minute);
  await store.runs.finish(run.id, outcome, [], at + minute);
  const workloads: Readonly<Record<string, readonly string[]>> = {
    staging: ['shop-staging/api'],
    production: ['shop/api', 'shop/worker'],
  };
  const record: DeploymentRecord = {
    id: `${environment} ${version}`,
    repositoryId: acme.id,
    repository: 'acme/shop',
    environment,
    sha,
    runId: run.id,
    jobId,
    actor,
    state: failed ? 'failure' : 'success',
    description: outcome.kind === 'failure' ? outcome.reason : 'Healthy.',
    changes: (workloads[environment] ?? ['pr-42/api']).map((workload) => ({
      workload,
      kind: 'deployment',
      cluster: null,
      container: workload.endsWith('worker') ? 'worker' : 'api',
      before: version === 1 ? null : image(version - 1),
      after: image(version),
    })),
    createdAt: at,
    updatedAt: at + minute,
    patchedAt: at,
    details: {
      title,
      ...(tag === undefined ? {} : { tag }),
      healthyAt: at + minute,
      images: { image: image(version) },
      url: environment === 'staging' ? 'https://staging.shop.example' : null,
      ...(environment.startsWith('preview/')
        ? { preview: { cluster: null, namespace: 'pr-42', number: 42, expiresAt: at + 100 * hour } }
        : {}),
      ...(version === 3 ? { rolledBack: true } : {}),
      ...(version === 4 ? { mode: 'rollback' } : {}),
    },
  };
  await store.deployments.save(record);
  if (!failed) await store.deployments.supersede(record, false);
}
