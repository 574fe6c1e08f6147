import { FakeCluster, type FakeClusterOptions, type FakeStep, fakeTrouble } from '#src/adapters/fake/cluster.ts';
import { type RolloutItem, rollOut } from '#src/engine/rollout.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { VirtualTime } from './virtual-time.ts';

export const old = 'r/api@sha256:old';
export const good = 'r/api@sha256:good';

export function target(name: string, change: Partial<RolloutTarget> = {}): RolloutTarget {
  const [namespace = '', workload = ''] = name.split('/');
  return { kind: 'deployment', cluster: null, namespace, name: workload, container: 'app', image: 'image', ...change };
}

const complete: FakeStep[] = [
  { afterMs: 100, updated: 0 },
  { afterMs: 500, updated: 1, replicas: 3 },
  { afterMs: 500 },
];
export const behaviours: Record<string, readonly FakeStep[]> = {
  [old]: [{ afterMs: 100 }],
  [good]: complete,
  crash: [
    {
      afterMs: 100,
      updated: 1,
      replicas: 3,
      troubles: [fakeTrouble({ kind: 'crash', reason: 'Error', restarts: 1, exitCode: 1 })],
    },
    {
      afterMs: 20_000,
      updated: 1,
      replicas: 3,
      troubles: [fakeTrouble({ kind: 'crash', reason: 'CrashLoopBackOff', restarts: 3, exitCode: 1 })],
    },
  ],
  missing: [
    {
      afterMs: 100,
      updated: 1,
      replicas: 3,
      troubles: [fakeTrouble({ kind: 'image', reason: 'ErrImagePull', message: 'not found' })],
    },
  ],
  passing: [
    { afterMs: 100, updated: 1, replicas: 3, troubles: [fakeTrouble({ kind: 'image', reason: 'ErrImagePull' })] },
    { afterMs: 50_000 },
  ],
  silent: [],
};

/** Rolls on a scripted cluster in time of its own. */
export async function roll(
  items: readonly RolloutItem[],
  options: Partial<FakeClusterOptions> & {
    readonly cancelAtMs?: number;
    readonly leaveAtMs?: number;
    readonly meanwhile?: (cluster: FakeCluster) => void;
    /** From and to, in milliseconds. */
    readonly outage?: readonly [number, number];
    readonly why?: PlatformError;
    readonly begun?: readonly RolloutChange[];
    readonly stableMs?: number;
    readonly atOnce?: boolean;
    /** Told the images of each patch. */
    readonly counts?: (images: Readonly<Record<string, string>>) => void;
    /** What the wall clock shows, at a time of the steady one. */
    readonly wall?: (steady: number) => number;
  } = {},
) {
  const time = new VirtualTime();
  const cluster = new FakeCluster({
    workloads: [
      { name: 'shop/api', image: old },
      { name: 'shop/web', image: old },
    ],
    behave: (image) => behaviours[image] ?? [],
    log: 'starting\nfatal: boom',
    sleep: (ms) => time.sleep(ms),
    ...options,
  });
  const { counts } = options;
  const set = cluster.setImages.bind(cluster);
  if (counts) {
    cluster.setImages = (at, images, signal) => {
      counts(images);
      return set(at, images, signal);
    };
  }
  const cancel = new AbortController();
  if (options.cancelAtMs !== undefined) {
    void time.sleep(options.cancelAtMs).then(() => cancel.abort(new Error('Cancelled by ann.')));
  }
  const leave = new AbortController();
  if (options.leaveAtMs !== undefined) {
    void time.sleep(options.leaveAtMs).then(() => leave.abort(new Error('The server stops.')));
  }
  if (options.meanwhile) void time.sleep(300).then(() => options.meanwhile?.(cluster));
  const progress: string[] = [];
  let lastLines = '';
  let patchedWhenPlanned: number | null = null;
  const stored: (readonly RolloutChange[])[] = [];
  if (options.outage) {
    const {
      outage: [from, to],
      why = gone,
    } = options;
    if (from === 0) cluster.outage(why);
    else void time.sleep(from).then(() => cluster.outage(why));
    void time.sleep(to).then(() => cluster.outage(null));
  }
  const rolling = rollOut({
    items,
    begun: options.begun ?? null,
    cluster,
    clock: { now: () => options.wall?.(time.now()) ?? time.now() },
    timeoutMs: 600_000,
    ...(options.stableMs === undefined ? {} : { stableMs: options.stableMs }),
    ...(options.atOnce === undefined ? {} : { atOnce: options.atOnce }),
    onProgress: (message) => progress.push(message),
    onChange: async (changes) => {
      stored.push(changes);
      patchedWhenPlanned ??= cluster.patches.length;
    },
    onLines: (lines) => {
      lastLines = lines;
    },
    signal: cancel.signal,
    leave: leave.signal,
    time: { steady: () => time.now(), sleep: (ms, signal) => time.sleep(ms, signal) },
  });
  const result = await rolling.catch((error: unknown) => {
    throw new Error(`${String(error)} ${cluster.patches.join(' ')}`);
  });
  return { ...result, lastLines, patchedWhenPlanned, progress, stored, patches: cluster.patches, tookMs: time.now() };
}

const gone = new PlatformError('The API server of cluster default can’t be reached (ECONNREFUSED).');
export const api = (image: string, more: Partial<RolloutItem> = {}) => ({ target: target('shop/api'), image, ...more });
export const web = (image: string) => ({ target: target('shop/web'), image });
