import { describe, expect, it } from '@jest/globals';
import { FakeCluster } from '#src/adapters/fake/cluster.ts';
import { createFakePreviews } from '#src/adapters/fake/previews.ts';
import type { Parts } from '#src/engine/parts.ts';
import { runPreview } from '#src/engine/run-preview.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { type Outcome, PlatformError } from '#src/model/outcome.ts';
import type { PreviewWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { VirtualTime } from './virtual-time.ts';

const run = {
  id: 'run',
  repository: { id: 1, owner: 'acme', name: 'shop' },
  trigger: {
    kind: 'pull_request',
    sha: 'b2',
    ref: 'refs/heads/x',
    branch: 'x',
    number: 7,
    fork: false,
    actor: 'ada',
    title: 'T',
  },
  trust: null,
} as unknown as Run;
const job = {
  id: 'job',
  runId: 'run',
  attempt: 1,
  earlier: [],
  steps: [],
  progress: null,
  report: '',
  plan: { key: 'preview', timeoutMinutes: 10 },
} as unknown as Job;
const work: PreviewWork = {
  kind: 'preview',
  environment: 'preview/pr-7',
  number: 7,
  url: null,
  manifests: ['k8s'],
  images: { shop: 'image' },
  keepMinutes: 60,
};
const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec: { template: { spec: { containers: [{ name: api, image: shop }] } } }
`;
const rule = { cluster: null, prefix: 'shop-pr', max: 3, quota: {}, limits: {}, kinds: ['Deployment'] };

/** What lives on when a process dies: the cluster, the database, GitHub, and time. */
function openWorld(given: { readonly closesAtMs?: number; readonly outageMs?: number } = {}) {
  const time = new VirtualTime();
  const cluster = new FakeCluster({
    workloads: [{ name: 'shop-pr-7/api', containers: ['api'] }],
    behave: () => [],
    sleep: (ms) => time.sleep(ms),
  });
  const previews = createFakePreviews({
    onApply: ({ namespace, name }, image) => cluster.change(`${namespace}/${name}`, { image }),
    before: () => {
      if (time.now() < (given.outageMs ?? 0)) throw new PlatformError('The cluster is away.');
    },
  });
  const saved = new Map<string, DeploymentRecord>();
  const live = () => [...saved.values()].filter((it) => it.details.preview && !it.details.preview.removedAt);
  const audit: object[] = [];

  /** A process that dies at its n-th call of anything, before it has its effect or after; Infinity: never. */
  async function process(n = Infinity, when: 'before' | 'after' = 'after'): Promise<Outcome | 'died' | Error> {
    let calls = 0;
    let dead = false;
    const died = Promise.withResolvers<'died'>();
    const never = (): Promise<never> => {
      dead = true;
      died.resolve('died');
      return new Promise<never>(() => {});
    };
    const mortal = <A extends readonly unknown[], T>(call: (...args: A) => Promise<T>) => {
      return async (...args: A): Promise<T> => {
        calls += 1;
        const at = calls;
        if (dead || (at === n && when === 'before')) return await never();
        const result = await call(...args).catch((error: unknown) => {
          if (dead) return never();
          throw error;
        });
        return dead || at === n ? await never() : result;
      };
    };
    const parts = {
      source: {
        list: mortal(async () => ['k8s/api.yaml']),
        read: mortal(async () => new Map([['k8s/api.yaml', manifest]])),
      },
      cluster: {
        inspect: mortal(cluster.inspect.bind(cluster)),
        observe: cluster.observe.bind(cluster),
      },
      previews: { apply: mortal(previews.apply.bind(previews)), remove: mortal(previews.remove.bind(previews)) },
      forge: {
        pullRequest: mortal(async () => ({ state: time.now() >= (given.closesAtMs ?? Infinity) ? 'closed' : 'open' })),
      },
      store: {
        runs: { progress: mortal(async () => true), view: async () => null, deploying: async () => [] },
        deployments: {
          save: mortal(async (it: DeploymentRecord) => void saved.set(it.id, JSON.parse(JSON.stringify(it)))),
          ofJob: mortal(async () => saved.get('job') ?? null),
          list: mortal(async () => [...saved.values()]),
          previews: mortal(async () => live()),
          supersede: mortal(async () => []),
          retire: mortal(async (id: string, _why: string, at: number) => {
            const it = saved.get(id);
            if (!it?.details.preview) return;
            saved.set(id, { ...it, details: { ...it.details, preview: { ...it.details.preview, removedAt: at } } });
          }),
        },
        audit: { append: mortal(async (it: object) => void audit.push(it)), list: mortal(async () => audit) },
        images: { find: mortal(async () => ({ image: 'shop@sha256:1' })) },
      },
      logs: { open: async () => ({ offset: 0, write() {}, cut: async () => {}, close: async () => {} }) },
      policy: { previews: () => rule },
      reporter: { report() {} },
      clock: { now: () => 1e12 + time.now() },
      log: { info() {}, warn() {}, error() {} },
      limits: { worker: 'one', secrets: [] },
    } as unknown as Parts;
    const passing = { steady: () => time.now(), sleep: (ms: number, signal: AbortSignal) => time.sleep(ms, signal) };
    const never1 = new AbortController().signal;
    const done = runPreview(parts, run, job, work, never1, never1, passing).then(
      ({ outcome }) => outcome,
      (error: unknown) => error as Error,
    );
    return await Promise.race([done, died.promise]);
  }
  return { time, previews, process, audit, live, record: () => saved.get('job') };
}

describe('a preview', () => {
  it('comes, though the process dies at any moment', async () => {
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const world = openWorld();
        if ((await world.process(n, when)) !== 'died') break;
        deaths += 1;
        expect({ n, when, outcome: await world.process() }).toEqual({ n, when, outcome: { kind: 'success' } });
        expect([...world.previews.standing]).toEqual([['shop-pr-7', ['Deployment api=shop@sha256:1']]]);
        expect(world.record()).toMatchObject({ state: 'success', details: { preview: { namespace: 'shop-pr-7' } } });
        expect(world.audit).toHaveLength(1);
      }
    }
    expect(deaths).toBeGreaterThan(20);
  });

  it('comes once the cluster is back', async () => {
    const world = openWorld({ outageMs: 60_000 });
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.time.now()).toBeGreaterThanOrEqual(60_000);
  });

  it('is the platform’s failure if the cluster stays away, and says so', async () => {
    const world = openWorld({ outageMs: 3_600_000 });
    expect(await world.process()).toMatchObject({
      kind: 'broken',
      reason: expect.stringContaining('The cluster is away.'),
    });
    expect(world.time.now()).toBeLessThan(700_000);
  });

  it('is no more if its pull request was closed meanwhile, whoever heard of that', async () => {
    const world = openWorld({ outageMs: 30_000, closesAtMs: 20_000 });
    expect(await world.process()).toEqual({ kind: 'success' });
    for (let turn = 0; turn < 100 && world.live().length > 0; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    expect(world.live()).toEqual([]);
    expect(world.previews.standing.size).toBe(0);
  });
});
