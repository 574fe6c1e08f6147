import { FakeCanaries, type FakeCanariesOptions, fakeProbes } from '#src/adapters/fake/canaries.ts';
import type { Parts } from '#src/engine/parts.ts';
import { rollBySteps } from '#src/engine/steps.ts';
import type { RolloutResult } from '#src/engine/rollout.ts';
import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import type { ApprovalRule, JobGate } from '#src/model/deploy-rules.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Job, Run } from '#src/model/run.ts';
import { VirtualTime } from './virtual-time.ts';

export const target = (name = 'api', container = 'app'): RolloutTarget => {
  return { kind: 'deployment', cluster: null, namespace: 'shop', name, container, image: name };
};
export const weight = (percent: number) => ({ kind: 'weight', percent }) as const;
export const probe = (change: object = {}) => ({
  kind: 'probe' as const,
  url: 'https://shop/health',
  status: 200,
  contains: null,
  every: { intervalSeconds: 5, count: 3, failures: 0 },
  ...change,
});

export interface StepsGiven {
  readonly strategy: Strategy;
  readonly cluster?: Partial<Omit<FakeCanariesOptions, 'sleep'>>;
  readonly targets?: readonly RolloutTarget[];
  /** What is rolled out. */
  readonly image?: string;
  readonly probes?: Parameters<typeof fakeProbes>[0];
  readonly approvals?: ApprovalRule | null;
  /** Who decides what, when: milliseconds from the begin. */
  readonly decisions?: readonly {
    readonly atMs: number;
    readonly login: string;
    readonly decision: 'approve' | 'reject';
    readonly gate: string;
  }[];
  /** Check jobs by key, and how each ends, so long after it was queued. */
  readonly jobs?: Readonly<Record<string, Outcome>>;
  /** How the check jobs ended in an earlier attempt of the deployment. */
  readonly earlier?: Outcome;
  readonly cancelAtMs?: number;
  readonly refuse?: string;
  readonly stableMs?: number;
  /** A sleep lasts at least so long, in milliseconds: for who waits for days. */
  readonly leastSleepMs?: number;
  /** What happens beside, at milliseconds from the begin. */
  readonly meanwhile?: (cluster: FakeCanaries, sleep: (ms: number) => Promise<void>) => Promise<void>;
}

/** What lives on when a process dies: the cluster, the database, and time. */
export function openStepsWorld(given: StepsGiven) {
  const time = new VirtualTime();
  const cluster = new FakeCanaries({
    workloads: [{ name: 'shop/api', replicas: 10, image: 'old' }],
    behave: (image) => (image === 'missing' || image === 'silent' ? image : 'good'),
    ...given.cluster,
    sleep: (ms) => time.sleep(ms),
  });
  const targets = given.targets ?? [target()];
  const work = {
    kind: 'deploy',
    environment: 'production',
    rollout: targets,
    rules: { allow: null, after: [], approvals: given.approvals ?? null, protect: [], windows: [] },
  } as unknown as DeployWork;
  const run = { id: 'run', repository: { id: 1, owner: 'acme', name: 'shop' } } as unknown as Run;
  const job = { id: 'job', attempt: 1, earlier: [], plan: { key: 'deploy production' } } as unknown as Job;
  const probes = fakeProbes(given.probes ?? {});
  const stored: { progress: StepsProgress | null; changes: readonly RolloutChange[] } = { progress: null, changes: [] };
  const jobs = new Map<string, Job>(
    Object.keys(given.jobs ?? {}).map((key) => [
      key,
      {
        id: key,
        attempt: 1,
        state: given.earlier ? 'completed' : 'waiting',
        outcome: given.earlier ?? null,
        finishedAt: given.earlier ? 1 : null,
        plan: { key, heldBy: job.plan.key },
      } as unknown as Job,
    ]),
  );
  const seen = {
    gates: [] as (JobGate | null)[],
    reports: [] as string[],
    told: [] as string[],
    queued: [] as string[],
    lines: [] as string[],
  };
  const cancel = new AbortController();
  const now = (): number => 1e12 + time.now();
  if (given.cancelAtMs !== undefined) {
    void time.sleep(given.cancelAtMs).then(() => cancel.abort(new Error('Cancelled by @ada.')));
  }
  if (given.meanwhile) void given.meanwhile(cluster, (ms) => time.sleep(ms));

  const queue = async (id: string): Promise<void> => {
    const found = jobs.get(id);
    if (found?.state !== 'waiting') return;
    seen.queued.push(id);
    jobs.set(id, { ...found, state: 'running' });
    void time.sleep(3000).then(() => {
      const outcome = given.jobs?.[id] ?? { kind: 'success' as const };
      const running = jobs.get(id);
      if (running?.state === 'running') jobs.set(id, { ...running, state: 'completed', outcome, finishedAt: now() });
    });
  };
  const store = {
    runs: {
      view: async () => ({ run, jobs: [...jobs.values()] }),
      queue,
      async restart(_run: string, ids: readonly string[]) {
        for (const id of ids) {
          const found = jobs.get(id);
          if (found) jobs.set(id, { ...found, state: 'waiting', outcome: null, attempt: found.attempt + 1 });
        }
      },
      async cancelJob(id: string, cancellation: { readonly reason: string }) {
        const found = jobs.get(id);
        if (!found || found.state === 'completed') return false;
        jobs.set(id, {
          ...found,
          state: 'completed',
          outcome: { kind: 'cancelled', ...cancellation },
          finishedAt: now(),
        });
        return true;
      },
    },
    approvals: {
      async of() {
        const due = (given.decisions ?? []).filter((it) => it.atMs <= time.now());
        return due.map(({ login, decision, gate, atMs }) => ({
          jobId: 'job',
          attempt: 1,
          gate,
          login,
          decision,
          at: atMs,
        }));
      },
    },
    signals: { send() {}, listen: () => () => {} },
  };

  /** A process that dies at its n-th call of anything, before it has its effect or after; Infinity: never. */
  async function process(n = Infinity, when: 'before' | 'after' = 'after'): Promise<RolloutResult | 'died' | Error> {
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
    const all = <T extends object>(object: T): T =>
      new Proxy(object, {
        get(it, key) {
          const value: unknown = Reflect.get(it, key);
          if (typeof value !== 'function') return value;
          const bound = (value as (...args: unknown[]) => unknown).bind(it);
          if (key === 'send' || key === 'listen') return bound;
          if (key !== 'observe') return mortal(bound as (...args: unknown[]) => Promise<unknown>);
          return (...args: unknown[]) => {
            const states = bound(...args) as AsyncGenerator;
            return {
              [Symbol.asyncIterator]: () => ({
                next: mortal(() => states.next()),
                return: () => states.return(undefined),
              }),
            };
          };
        },
      });
    const parts = {
      cluster: all(cluster),
      canaries: all(cluster),
      probes: all(probes),
      policy: { refuseProbe: () => given.refuse ?? null, refuseMetrics: () => given.refuse ?? null },
      store: { runs: all(store.runs), approvals: all(store.approvals), signals: store.signals },
    } as unknown as Parts;
    const begun = stored.changes.some((it) => it.phase !== 'planned') ? stored.changes : null;
    const done = rollBySteps({
      items: targets.map((it) => ({ target: it, image: given.image ?? 'new' })),
      begun,
      cluster: parts.cluster,
      clock: { now },
      timeoutMs: 600_000,
      ...(given.stableMs === undefined ? {} : { stableMs: given.stableMs }),
      onProgress: (message) => void seen.told.push(message),
      onChange: mortal(async (changes) => {
        stored.changes = JSON.parse(JSON.stringify(changes)) as readonly RolloutChange[];
      }),
      onLines: (lines) => void seen.lines.push(lines),
      signal: cancel.signal,
      leave: new AbortController().signal,
      time: {
        steady: () => time.now(),
        sleep: mortal((ms: number, signal: AbortSignal) => time.sleep(Math.max(ms, given.leastSleepMs ?? 0), signal)),
      },
      parts,
      run,
      job,
      work,
      strategy: given.strategy,
      progress: stored.progress,
      save: mortal(async (progress) => {
        stored.progress = JSON.parse(JSON.stringify(progress)) as StepsProgress;
      }),
      gate: mortal(async (gate) => void seen.gates.push(gate)),
      report: (markdown) => void seen.reports.push(markdown),
    }).catch((error: unknown) => error as Error);
    return await Promise.race([done, died.promise]);
  }
  return { time, cluster, process, stored, seen, probes, jobs, cancel };
}
