import { describe, expect, it } from '@jest/globals';
import { FakeCluster, type FakeStep, fakeTrouble } from '#src/adapters/fake/cluster.ts';
import { LostJob } from '#src/engine/errors.ts';
import type { Parts } from '#src/engine/parts.ts';
import { runDeploy } from '#src/engine/run-deploy.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Job, Run } from '#src/model/run.ts';
import { VirtualTime } from './virtual-time.ts';

const target = (name: string): RolloutTarget => {
  return { kind: 'deployment', cluster: null, namespace: 'shop', name, container: 'app', image: name };
};
const proxy: RolloutTarget = { ...target('api'), container: 'proxy', image: 'proxy' };
const run = {
  id: 'run',
  repository: { id: 1, owner: 'acme', name: 'shop' },
  trigger: { kind: 'tag', sha: 'a1', ref: 'refs/tags/v1', actor: 'ada' },
  trust: null,
} as unknown as Run;
const job = {
  id: 'job',
  runId: 'run',
  attempt: 1,
  earlier: [],
  steps: [],
  progress: null,
  plan: { key: 'deploy production', timeoutMinutes: 10 },
} as unknown as Job;
const plainWork: DeployWork = {
  kind: 'deploy',
  environment: 'production',
  url: null,
  rollout: [target('api'), target('web')],
};

const stuck = { updated: 1, replicas: 3 };
const behaviours: Record<string, readonly FakeStep[]> = {
  missing: [{ afterMs: 100, ...stuck, troubles: [fakeTrouble({ kind: 'image', reason: 'ErrImagePull' })] }],
  silent: [],
};

interface Given {
  readonly images: Readonly<Record<string, string>>;
  /** A person cancels after so many milliseconds. */
  readonly cancelAtMs?: number;
  /** Beside the plain rollout of api and web. */
  readonly work?: Partial<DeployWork>;
}

/** What lives on when a process dies: the cluster, the database, and time. */
function openWorld({ images, cancelAtMs, work: more }: Given) {
  const work = { ...plainWork, ...more };
  const time = new VirtualTime();
  const cluster = new FakeCluster({
    workloads: [
      { name: 'shop/api', image: 'old', containers: ['app', 'proxy'] },
      { name: 'shop/web', image: 'old' },
    ],
    behave: (image) => behaviours[image] ?? [{ afterMs: 100, updated: 1, replicas: 3 }, { afterMs: 500 }],
    sleep: (ms) => time.sleep(ms),
  });
  const saved = new Map<string, DeploymentRecord>();
  const audit: { readonly subject: string }[] = [];
  const owner = { name: 'first' };
  const cancel = new AbortController();
  if (cancelAtMs !== undefined) void time.sleep(cancelAtMs).then(() => cancel.abort(new Error('Cancelled by @ada.')));

  /** A process that dies at its n-th call of anything, before it has its effect or after; Infinity: never. */
  async function process(
    name: string,
    n: number,
    when: 'before' | 'after',
    attempt = 1,
  ): Promise<Outcome | 'died' | Error> {
    owner.name = name;
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
        if (dead || (calls === n && when === 'before')) return await never();
        const at = calls;
        const result = await call(...args).catch((error: unknown) => {
          if (dead) return never();
          throw error;
        });
        return dead || at === n ? await never() : result;
      };
    };
    const parts = {
      cluster: {
        inspect: mortal(cluster.inspect.bind(cluster)),
        setImages: mortal(cluster.setImages.bind(cluster)),
        events: mortal(cluster.events.bind(cluster)),
        lastLines: mortal(cluster.lastLines.bind(cluster)),
        observe: (...args: Parameters<FakeCluster['observe']>) => {
          const states = cluster.observe(...args);
          return {
            [Symbol.asyncIterator]: () => ({
              next: mortal(() => states.next()),
              return: () => states.return(undefined),
            }),
          };
        },
      },
      store: {
        runs: {
          progress: mortal(async ({ worker }: { worker: string }) => worker === owner.name),
          view: async () => null,
        },
        deployments: {
          save: mortal(async (it: DeploymentRecord) => void saved.set(it.id, JSON.parse(JSON.stringify(it)))),
          ofJob: mortal(async () => saved.get('job') ?? null),
          list: mortal(async () => []),
          supersede: mortal(async () => []),
        },
        audit: {
          append: mortal(async (it: { subject: string }) => void audit.push(it)),
          list: mortal(async () => audit),
        },
        images: { find: mortal(async (_id: number, _sha: string, image: string) => ({ image: images[image] })) },
      },
      logs: { open: async () => ({ offset: 0, write() {}, cut: async () => {}, close: async () => {} }) },
      policy: { refuseRollout: () => null },
      reporter: { report() {} },
      clock: { now: () => 1e12 + time.now() },
      log: { info() {}, warn() {}, error() {} },
      limits: { worker: name, secrets: [] },
    } as unknown as Parts;
    const passing = {
      steady: () => time.now(),
      sleep: mortal((ms: number, signal: AbortSignal) => time.sleep(ms, signal)),
    };
    const stop = new AbortController().signal;
    const done = runDeploy(parts, run, { ...job, attempt }, work, cancel.signal, stop, passing).then(
      ({ outcome }) => outcome,
      (error: unknown) => error as Error,
    );
    return await Promise.race([done, died.promise]);
  }

  return {
    time,
    cluster,
    process,
    owner,
    async end() {
      const images = await Promise.all(work.rollout.map((it) => cluster.inspect(it, new AbortController().signal)));
      return { images: images.map((it) => it.image), state: saved.get('job')?.state, records: saved.size };
    },
    /** All at once has no order. */
    inOrder: (patches: readonly string[]) => (work.atOnce === true ? patches.toSorted() : patches),
    audits: () => audit.length,
    forward: () => cluster.patches.filter((it) => !it.endsWith('=old')),
    back: () => cluster.patches.filter((it) => it.endsWith('=old')),
    record: () => saved.get('job'),
  };
}

const cases: [string, Given, string[]][] = [
  ['succeeds', { images: { api: 'new', web: 'new' } }, ['new', 'new']],
  ['goes back because of the first', { images: { api: 'missing', web: 'new' } }, ['old', 'old']],
  ['goes back because of the second', { images: { api: 'new', web: 'missing' } }, ['old', 'old']],
  ['is out of time', { images: { api: 'new', web: 'silent' } }, ['old', 'old']],
  ['must stay complete', { images: { api: 'new', web: 'new' }, work: { stableSeconds: 5 } }, ['new', 'new']],
  ['goes on at once', { images: { api: 'new', web: 'new' }, work: { atOnce: true, stableSeconds: 5 } }, ['new', 'new']],
  ['goes back at once', { images: { api: 'new', web: 'missing' }, work: { atOnce: true } }, ['old', 'old']],
  ['goes back at once, out of time', { images: { api: 'silent', web: 'new' }, work: { atOnce: true } }, ['old', 'old']],
  [
    'sets two containers of one workload',
    { images: { api: 'new', proxy: 'new' }, work: { rollout: [target('api'), proxy] } },
    ['new', 'new'],
  ],
  [
    'brings two containers of one workload back',
    { images: { api: 'new', proxy: 'missing' }, work: { rollout: [target('api'), proxy] } },
    ['old', 'old'],
  ],
];

describe('a process that dies at any moment', () => {
  it.each(cases)('changes nothing about a rollout that %s', async (_name, given, images) => {
    const whole = openWorld(given);
    const expected = await whole.process('first', Infinity, 'after');
    const end = await whole.end();
    expect(end.images).toEqual(images);
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const world = openWorld(given);
        if ((await world.process('first', n, when)) !== 'died') break;
        deaths += 1;
        const outcome = await world.process('second', Infinity, when);
        const what = { n, when, outcome, ...(await world.end()), audits: world.audits() };
        expect(what).toEqual({ n, when, outcome: expected, ...end, audits: 1 });
        const { inOrder } = world;
        const moved = { forward: inOrder(world.forward()), back: inOrder(world.back()) };
        const expectedMoves = { forward: inOrder(whole.forward()), back: inOrder(whole.back()) };
        expect({ n, when, ...moved }).toEqual({ n, when, ...expectedMoves });
      }
    }
    expect(deaths).toBeGreaterThan(30);
  });

  it('takes what an earlier attempt stored for its own in no case', async () => {
    const given = cases[0]?.[1] ?? { images: {} };
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const world = openWorld(given);
        expect(await world.process('zero', Infinity, 'after', 1)).toEqual({ kind: 'success' });
        for (const name of ['shop/api', 'shop/web']) world.cluster.change(name, { image: 'by hand' });
        if ((await world.process('first', n, when, 2)) !== 'died') break;
        const outcome = await world.process('second', Infinity, when, 2);
        const { images } = await world.end();
        expect({ n, when, outcome, images }).toEqual({ n, when, outcome: { kind: 'success' }, images: ['new', 'new'] });
        expect(world.record()).toMatchObject({ state: 'success', details: { attempt: 2 } });
      }
    }
  });

  it('two deaths in a row change nothing either', async () => {
    const given = cases[2]?.[1] ?? { images: {} };
    const whole = openWorld(given);
    const expected = await whole.process('first', Infinity, 'after');
    for (let n = 5; n < 60; n += 7) {
      for (let m = 1; m < 30; m += 4) {
        const world = openWorld(given);
        if ((await world.process('first', n, 'after')) !== 'died') break;
        const second = await world.process('second', m, 'after');
        const outcome = second === 'died' ? await world.process('third', Infinity, 'after') : second;
        const patches = world.cluster.patches;
        expect({ n, m, outcome, patches }).toEqual({ n, m, outcome: expected, patches: whole.cluster.patches });
      }
    }
  });

  it('never lets a cancelled rollout go forward again', async () => {
    const given = { images: { api: 'new', web: 'new' }, cancelAtMs: 300 };
    let backwards = 0;
    for (let n = 1; ; n += 1) {
      const world = openWorld(given);
      if ((await world.process('first', n, 'after')) !== 'died') break;
      const goingBack = world.record()?.changes.some((it) => it.failed) ?? false;
      const before = world.forward().length;
      const outcome = await world.process('second', Infinity, 'after');
      expect(world.audits()).toBeLessThan(2);
      if (!goingBack) continue;
      backwards += 1;
      expect(outcome).toMatchObject({ kind: 'cancelled', reason: expect.stringContaining('@ada') as unknown });
      expect(world.forward()).toHaveLength(before);
      expect((await world.end()).images).toEqual(['old', 'old']);
    }
    expect(backwards).toBeGreaterThan(3);
  });
});

describe('a job that another server took over', () => {
  it.each([1, 2, 3, 5, 8, 12, 16, 20, 25, 30])('is left by the first without a patch (call %s)', async (n) => {
    const world = openWorld({ images: { api: 'new', web: 'missing' } });
    const first = world.process('first', Infinity, 'after');
    for (let i = 0; i < n; i += 1) await world.time.sleep(20);
    world.owner.name = 'second';
    const before = [...world.cluster.patches];
    expect(await first).toBeInstanceOf(LostJob);
    // A patch that was on its way when the job changed hands may still come.
    expect(world.cluster.patches.length - before.length).toBeLessThan(2);
    const whole = openWorld({ images: { api: 'new', web: 'missing' } });
    expect(await world.process('second', Infinity, 'after')).toEqual(await whole.process('second', Infinity, 'after'));
    expect(world.cluster.patches).toEqual(whole.cluster.patches);
  });
});
