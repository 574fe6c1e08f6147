import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { deployment, service } from '#dev/kubernetes/index.ts';
import type { Workload } from '#dev/kubernetes/objects.ts';
import { openProbes } from '#src/adapters/http/probes.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { RolloutResult } from '#src/engine/rollout.ts';
import { rollBySteps } from '#src/engine/steps.ts';
import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Job } from '#src/model/run.ts';
import { type Fixture, settled, startFixture, target } from './fixture.ts';

/** Rollouts by steps on the stand-in, through the real adapters, fifty times as fast as life. */
const scale = 0.02;
const weight = (percent: number) => ({ kind: 'weight', percent }) as const;
const every = { intervalSeconds: 2, count: 3, failures: 0 };
let fixture: Fixture;
let server: Server | null = null;
afterEach(async () => {
  await fixture.close();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  server = null;
});

interface World {
  /** The fewest pods that served while it went on. */
  fewest: number;
  /** Shares of the new version seen among those that the Service leads to. */
  readonly shares: Set<string>;
  progress: StepsProgress | null;
  changes: readonly RolloutChange[];
  readonly gates: (JobGate | null)[];
  readonly decisions: { readonly gate: string; readonly login: string; readonly decision: 'approve' | 'reject' }[];
  readonly jobs: Job[];
  report: string;
  lines: string;
}

async function start(replicas = 4): Promise<World> {
  fixture = await startFixture({ scale });
  fixture.kubernetes.remove('deployments', 'shop', 'api');
  fixture.kubernetes.apply(deployment('shop', 'api', 'r/demo:v1', { replicas }));
  fixture.kubernetes.apply(service('shop', 'api'));
  await settled(fixture.cluster, target);
  return {
    fewest: replicas,
    shares: new Set(),
    progress: null,
    changes: [],
    gates: [],
    decisions: [],
    jobs: [],
    report: '',
    lines: '',
  };
}

/** `leave`: the process goes away when it is aborted, and leaves everything as it is. */
async function roll(
  world: World,
  strategy: Strategy,
  image = 'r/demo:v2',
  leave: AbortSignal = new AbortController().signal,
): Promise<RolloutResult> {
  const over = new AbortController();
  const watching = watch(world, over.signal);
  const job = { id: 'job', attempt: 1, plan: { key: 'deploy production' } } as unknown as Job;
  const parts = {
    cluster: fixture.cluster,
    canaries: fixture.canaries(),
    probes: openProbes({ servers: new Map() }),
    policy: { refuseProbe: () => null, refuseMetrics: () => null },
    store: {
      runs: {
        view: async () => ({ jobs: world.jobs }),
        async queue(id: string) {
          const at = world.jobs.findIndex((it) => it.id === id);
          const found = world.jobs[at];
          if (!found) return;
          const done = { state: 'completed', outcome: { kind: 'success' }, finishedAt: Date.now() } as const;
          world.jobs[at] = { ...found, ...done };
        },
      },
      approvals: { of: async () => world.decisions.map((it) => ({ ...it, jobId: 'job', attempt: 1, at: 0 })) },
      signals: { send() {}, listen: () => () => {} },
    },
  } as unknown as Parts;
  try {
    return await rollBySteps({
      items: [{ target, image }],
      begun: world.changes.some((it) => it.phase !== 'planned') ? world.changes : null,
      cluster: fixture.cluster,
      clock: { now: () => Date.now() },
      timeoutMs: 120_000,
      onProgress: () => {},
      onChange: async (changes) => {
        world.changes = changes;
      },
      onLines: (lines) => {
        world.lines = lines;
      },
      signal: new AbortController().signal,
      leave,
      time: {
        steady: () => performance.now() / scale,
        sleep: async (ms, signal) => {
          await sleep(ms * scale, undefined, { signal });
        },
      },
      parts,
      run: { id: 'run', repository: { id: 1, owner: 'acme', name: 'shop' } } as never,
      job,
      work: { environment: 'production' } as never,
      strategy,
      progress: world.progress,
      save: async (progress) => {
        world.progress = JSON.parse(JSON.stringify(progress)) as StepsProgress;
      },
      gate: async (gate) => {
        world.gates.push(gate);
      },
      report: (markdown) => {
        world.report = markdown;
      },
    });
  } finally {
    over.abort();
    await watching;
  }
}

/** Notes what the Service leads to, all the while. */
async function watch(world: World, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const pods = fixture.kubernetes.endpoints('shop', 'api');
    const fresh = pods.filter((it) => it.spec.containers[0]?.image !== 'r/demo:v1').length;
    world.fewest = Math.min(world.fewest, pods.length);
    world.shares.add(`${fresh}/${pods.length}`);
    await sleep(2);
  }
}

const read = (name = 'api'): Workload | null => fixture.kubernetes.get('deployments', 'shop', name);
const state = () => ({
  replicas: read()?.spec.replicas,
  image: read()?.spec.template.spec.containers[0]?.image,
  beside: [read('api-slipway-canary'), read('api-slipway-green')].filter((it) => it !== null).length,
  serving: new Set(fixture.kubernetes.endpoints('shop', 'api').map((it) => it.spec.containers[0]?.image)),
});
const allNew = { replicas: 4, image: 'r/demo:v2', beside: 0, serving: new Set(['r/demo:v2']) };
const allOld = { replicas: 4, image: 'r/demo:v1', beside: 0, serving: new Set(['r/demo:v1']) };

async function probed(statuses: readonly number[]): Promise<{ readonly url: string; readonly asked: () => number }> {
  let asked = 0;
  server = createServer((_request, response) => {
    response.writeHead(statuses[Math.min(asked, statuses.length - 1)] ?? 200).end('{"secret":"geheim"}');
    asked += 1;
  });
  await new Promise<void>((resolve) => {
    server?.listen(0, '127.0.0.1', resolve);
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/health`, asked: () => asked };
}
const probe = (url: string) => ({ kind: 'probe' as const, url, status: 200, contains: null, every });

describe('a rollout by steps on a cluster', () => {
  it('goes through its shares and a probe without ever having fewer pods', async () => {
    const world = await start();
    const { url, asked } = await probed([200]);
    const steps = [weight(25), probe(url), weight(50), weight(100)];
    const { outcome, summary } = await roll(world, { kind: 'canary', steps });
    expect({ outcome, summary }).toEqual({
      outcome: { kind: 'success' },
      summary: expect.stringContaining('shop/api') as unknown,
    });
    expect(state()).toEqual(allNew);
    expect(asked()).toBe(3);
    expect(world.fewest).toBeGreaterThanOrEqual(4);
    expect([...world.shares]).toEqual(expect.arrayContaining(['1/4', '2/4']));
    expect(world.report).toContain('status 200; 3 of 3 answers were good');
    expect(world.report).not.toContain('geheim');
  });

  it('goes back when a probe fails', async () => {
    const world = await start();
    const { url } = await probed([200, 503]);
    const { outcome } = await roll(world, { kind: 'canary', steps: [weight(50), probe(url), weight(100)] });
    expect(outcome).toMatchObject({
      kind: 'failure',
      reason: expect.stringContaining('status 503 in place of 200') as unknown,
    });
    expect(state()).toEqual(allOld);
    expect(world.fewest).toBeGreaterThanOrEqual(4);
  });

  it.each([
    ['crash', 'failure', 'exits with code 1'],
    ['missing', 'failure', "can't be pulled"],
    ['notready', 'failure', 'never becomes ready'],
  ])('goes back when its canary is %s, and says why', async (tag, kind, reason) => {
    const world = await start();
    const { outcome } = await roll(world, { kind: 'canary', steps: [weight(25), weight(100)] }, `r/demo:${tag}`);
    expect(outcome).toMatchObject({ kind, reason: expect.stringContaining(reason) as unknown });
    expect(state()).toEqual(allOld);
    expect(world.lines).toContain(tag === 'crash' ? 'fatal: boom' : '');
    expect(world.fewest).toBeGreaterThanOrEqual(4);
  });

  it('waits for an approval, and then for a job', async () => {
    const world = await start(1);
    const plan = { key: 'smoke (production, step 3)', heldBy: 'deploy production' };
    world.jobs.push({ id: 'smoke', state: 'waiting', outcome: null, plan } as unknown as Job);
    const steps = [weight(50), { kind: 'approval' }, { kind: 'job', job: 'smoke' }, weight(100)] as const;
    const rolling = roll(world, { kind: 'canary', steps });
    while (world.gates.length === 0) await sleep(5);
    expect(world.gates).toEqual([{ kind: 'approval', gate: 'step 2', needed: 1, given: [] }]);
    expect(fixture.kubernetes.endpoints('shop', 'api')).toHaveLength(2);
    world.decisions.push({ gate: 'step 2', login: 'bob', decision: 'approve' });
    expect((await rolling).outcome).toEqual({ kind: 'success' });
    expect(world.jobs[0]?.state).toBe('completed');
    expect(state()).toEqual({ ...allNew, replicas: 1 });
  });

  it('leaves the replicas to an autoscaler', async () => {
    const world = await start();
    fixture.kubernetes.apply({
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: 'api', namespace: 'shop' },
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'api' }, minReplicas: 4, maxReplicas: 9 },
    });
    const { outcome } = await roll(world, { kind: 'canary', steps: [weight(50), weight(100)] });
    expect(outcome).toEqual({ kind: 'success' });
    expect([...world.shares]).toEqual(expect.arrayContaining(['4/8']));
    expect(state()).toEqual(allNew);
  });

  it('is taken up by another process where one went away, in each of its phases', async () => {
    const { url } = await probed([200]);
    const steps = [weight(25), probe(url), weight(50), weight(100)];
    const world = await start();
    const phases = new Set<string>();
    let result: RolloutResult | null = null;
    // Each process lives a little longer than the one before.
    for (let lives = 1; result === null && lives < 60; lives += 1) {
      const leave = new AbortController();
      const timer = setTimeout(() => leave.abort(new Error('The server ends.')), 40 + 15 * lives);
      result = await roll(world, { kind: 'canary', steps }, 'r/demo:v2', leave.signal).catch(() => null);
      clearTimeout(timer);
      phases.add(world.progress?.phase ?? 'none');
    }
    expect(result?.outcome).toEqual({ kind: 'success' });
    expect(phases.size).toBeGreaterThan(2);
    expect(state()).toEqual(allNew);
    expect(world.fewest).toBeGreaterThanOrEqual(4);
  });
});

describe('blue/green on a cluster', () => {
  const at = { namespace: 'shop', name: 'api' };

  it('serves one version at a time, and never fewer pods', async () => {
    const world = await start();
    const { url } = await probed([200]);
    const { outcome } = await roll(world, {
      kind: 'blue-green',
      service: at,
      before: [probe(url)],
      after: [probe(url)],
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(state()).toEqual(allNew);
    expect([...world.shares].every((it) => it.startsWith('0/') || it.split('/')[0] === it.split('/')[1])).toBe(true);
    expect(world.fewest).toBeGreaterThanOrEqual(4);
  });

  it('goes back when a check after the switch fails', async () => {
    const world = await start();
    const { url } = await probed([500]);
    const { outcome } = await roll(world, { kind: 'blue-green', service: at, before: [], after: [probe(url)] });
    expect(outcome.kind).toBe('failure');
    expect(state()).toEqual(allOld);
    expect([...world.shares]).toContain('4/4');
    expect(world.fewest).toBeGreaterThanOrEqual(4);
  });
});
