import type { Cluster } from '#src/engine/ports.ts';
import type { Canaries, Probes, ServiceRef } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { Trouble } from '#src/model/rollout-trouble.ts';

/**
 * A cluster in which workloads are copied, scaled and removed. Pods take half a second to become available, unless their
 * image says otherwise. Time is the given `sleep`.
 */
export class FakeCanaries implements Cluster, Canaries {
  /** What was changed, in order; what changed nothing isn't in it. `shop/api=new`, `scale shop/api 9`. */
  readonly moves: string[] = [];
  /** The fewest pods that served at once, of a workload and what stands beside it: by the workload's name. */
  readonly fewest = new Map<string, number>();
  readonly #options: FakeCanariesOptions;
  readonly #workloads = new Map<string, Workload>();
  readonly #selectors = new Map<string, Readonly<Record<string, string>>>();
  readonly #observers = new Set<() => void>();

  constructor(options: FakeCanariesOptions) {
    this.#options = options;
    for (const { name, replicas, image, containers = ['app'] } of options.workloads) {
      const images = Object.fromEntries(containers.map((it) => [it, image]));
      const workload = newWorkload(name, images, replicas, null);
      workload.available = replicas;
      workload.updated = replicas;
      this.#workloads.set(name, workload);
    }
    for (const [name, selector] of Object.entries(options.services ?? {})) this.#selectors.set(name, selector);
    this.#changed();
  }

  // ---- Cluster ----

  async inspect(target: RolloutTarget, signal: AbortSignal): Promise<WorkloadState> {
    signal.throwIfAborted();
    return this.#stateOf(this.#find(keyOf(target)), target.container);
  }

  async setImages(
    target: RolloutTarget,
    images: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ readonly generation: number; readonly images: Readonly<Record<string, string>> }> {
    signal.throwIfAborted();
    const workload = this.#find(keyOf(target));
    for (const [container, image] of Object.entries(images)) this.moves.push(`${keyOf(target)}:${container}=${image}`);
    this.#set(workload, { ...workload.images, ...images }, workload.wanted);
    return { generation: workload.generation, images: workload.images };
  }

  async *observe(target: RolloutTarget, signal: AbortSignal): AsyncGenerator<WorkloadState> {
    const wake = { now: Promise.withResolvers<void>() };
    const onChange = (): void => wake.now.resolve();
    this.#observers.add(onChange);
    signal.addEventListener('abort', onChange);
    let told = '';
    try {
      while (!signal.aborted) {
        const state = this.#stateOf(this.#find(keyOf(target)), target.container);
        if (JSON.stringify(state) !== told) {
          told = JSON.stringify(state);
          yield state;
          continue;
        }
        await wake.now.promise;
        wake.now = Promise.withResolvers<void>();
      }
    } finally {
      this.#observers.delete(onChange);
      signal.removeEventListener('abort', onChange);
    }
  }

  async lastLines(target: RolloutTarget): Promise<string> {
    return this.#workloads.get(keyOf(target))?.troubles.length ? 'fatal: boom' : '';
  }

  async events(): Promise<readonly string[]> {
    return [];
  }

  // ---- Canaries ----

  async scaleOf(
    target: RolloutTarget,
    signal: AbortSignal,
  ): Promise<{ readonly replicas: number; readonly autoscaled: boolean }> {
    signal.throwIfAborted();
    const autoscaled = this.#options.autoscaled?.includes(keyOf(target)) ?? false;
    return { replicas: this.#find(keyOf(target)).wanted, autoscaled };
  }

  async place(target: RolloutTarget, beside: Parameters<Canaries['place']>[1], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const stable = this.#find(keyOf(target));
    const key = `${target.namespace}/${beside.name}`;
    const there = this.#workloads.get(key);
    if (there && there.beside !== keyOf(target)) throw new UserError(`${key} is there already, and isn't Slipway's.`);
    const workload = there ?? newWorkload(key, {}, 0, keyOf(target));
    this.#workloads.set(key, workload);
    const images = { ...stable.images, ...beside.images };
    if (workload.wanted === beside.replicas && same(workload.images, images)) return;
    this.moves.push(`place ${key} ${beside.replicas} ${Object.values(beside.images).join(',')}`);
    this.#set(workload, images, beside.replicas);
  }

  async scale(target: RolloutTarget, name: string, replicas: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const workload = this.#find(`${target.namespace}/${name}`);
    if (workload.wanted === replicas) return;
    this.moves.push(`scale ${workload.key} ${replicas}`);
    this.#set(workload, workload.images, replicas);
  }

  async state(target: RolloutTarget, name: string, signal: AbortSignal): Promise<WorkloadState | null> {
    signal.throwIfAborted();
    const workload = this.#workloads.get(`${target.namespace}/${name}`);
    return workload ? this.#stateOf(workload, target.container) : null;
  }

  async remove(target: RolloutTarget, name: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const workload = this.#workloads.get(`${target.namespace}/${name}`);
    if (!workload) return;
    if (workload.beside === null) throw new UserError(`${workload.key} isn't Slipway's.`);
    if (workload.going) return;
    this.moves.push(`remove ${workload.key}`);
    workload.going = true;
    workload.wanted = 0;
    workload.available = 0;
    workload.set += 1;
    this.#changed();
    void this.#options.sleep(300).then(() => {
      this.#workloads.delete(workload.key);
      this.#changed();
    });
  }

  async selector(at: ServiceRef, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    signal.throwIfAborted();
    const selector = this.#selectors.get(`${at.namespace}/${at.name}`);
    if (!selector) throw new UserError(`There is no service ${at.namespace}/${at.name}.`);
    return selector;
  }

  async select(
    at: ServiceRef,
    from: Readonly<Record<string, string>>,
    to: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void> {
    const now = await this.selector(at, signal);
    if (same(now, to)) return;
    if (!same(now, from)) throw new UserError(`Somebody else changed the selector of ${at.namespace}/${at.name}.`);
    this.moves.push(`select ${at.namespace}/${at.name} ${JSON.stringify(to)}`);
    this.#selectors.set(`${at.namespace}/${at.name}`, to);
  }

  // ---- For tests ----

  /** What is there, as `shop/api: 9 of 9 old`. */
  get all(): readonly string[] {
    return [...this.#workloads.values()].map(
      ({ key, available, wanted, images }) => `${key}: ${available} of ${wanted} ${Object.values(images).join(',')}`,
    );
  }

  /** Does it as if somebody else had. */
  meddle(name: string, change: { readonly replicas?: number; readonly image?: string }): void {
    const workload = this.#find(name);
    const images = Object.fromEntries(
      Object.entries(workload.images).map(([container, image]) => [container, change.image ?? image]),
    );
    this.#set(workload, images, change.replicas ?? workload.wanted);
  }

  /** Pods of the workload fail from now on. */
  fall(name: string): void {
    const workload = this.#find(name);
    workload.set += 1;
    workload.available = 0;
    workload.troubles = [trouble(workload.key, 'crash', 'CrashLoopBackOff', 5)];
    this.#changed();
  }

  #find(key: string): Workload {
    const workload = this.#workloads.get(key);
    if (!workload) throw new UserError(`There is no deployment ${key}.`);
    return workload;
  }

  #set(workload: Workload, images: Readonly<Record<string, string>>, wanted: number): void {
    const isNew = !same(images, workload.images);
    if (!isNew && wanted === workload.wanted) return;
    workload.generation += 1;
    workload.set += 1;
    const { set } = workload;
    const was = { available: workload.available, replicas: Math.max(workload.wanted, workload.available) };
    workload.images = images;
    workload.wanted = wanted;
    workload.troubles = [];
    if (!isNew) {
      workload.available = Math.min(was.available, wanted);
      workload.updated = Math.min(workload.updated, wanted);
    } else {
      workload.updated = 0;
      // A rolling update keeps what served until the new ones do.
      workload.available = Math.min(was.available, wanted);
    }
    this.#changed();
    void this.#become(workload, set, isNew);
  }

  async #become(workload: Workload, set: number, isNew: boolean): Promise<void> {
    const { sleep, behave = () => 'good' } = this.#options;
    const worst = Object.values(workload.images).map(behave);
    await sleep(100);
    if (workload.set !== set) return;
    if (worst.includes('missing')) {
      if (isNew) workload.updated = Math.min(1, workload.wanted);
      workload.troubles = workload.wanted > 0 ? [trouble(workload.key, 'image', 'ErrImagePull', 0)] : [];
      this.#changed();
      return;
    }
    if (worst.includes('silent')) return;
    await sleep(400);
    const room = this.#options.room?.() ?? Infinity;
    if (workload.set !== set) return;
    const others = [...this.#workloads.values()].reduce((sum, it) => sum + (it === workload ? 0 : it.available), 0);
    const fits = Math.max(workload.available, Math.min(workload.wanted, room - others));
    workload.available = fits;
    workload.updated = fits;
    if (fits < workload.wanted) {
      workload.troubles = [trouble(workload.key, 'create', 'FailedCreate', 0)];
      this.#changed();
      await sleep(1000);
      if (workload.set === set) await this.#become(workload, set, false);
      return;
    }
    workload.troubles = [];
    this.#changed();
  }

  #stateOf(workload: Workload, container: string): WorkloadState {
    const [namespace = '', name = ''] = workload.key.split('/');
    const { wanted, available, updated, generation, images, troubles } = workload;
    return {
      kind: 'deployment',
      namespace,
      name,
      generation,
      observedGeneration: generation,
      wanted,
      updated,
      available,
      replicas: Math.max(wanted, available),
      paused: false,
      strategy: 'RollingUpdate',
      partition: 0,
      settled: true,
      image: images[container] ?? '',
      images,
      restarts: 0,
      held: '',
      conditions: [],
      troubles,
      hidden: '',
    };
  }

  #changed(): void {
    for (const { key, beside } of this.#workloads.values()) {
      if (beside !== null) continue;
      const all = [...this.#workloads.values()].filter((it) => it.key === key || it.beside === key);
      const serving = all.reduce((sum, it) => sum + it.available, 0);
      this.fewest.set(key, Math.min(serving, this.fewest.get(key) ?? Infinity));
    }
    for (const wake of this.#observers) wake();
  }
}

export interface FakeCanariesOptions {
  /** `name` is `namespace/name`. */
  readonly workloads: readonly {
    readonly name: string;
    readonly replicas: number;
    readonly image: string;
    readonly containers?: readonly string[];
  }[];
  /** Names of workloads on which an autoscaler decides. */
  readonly autoscaled?: readonly string[];
  /** Selectors by `namespace/name`. */
  readonly services?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** What pods with an image do. */
  readonly behave?: (image: string) => 'good' | 'missing' | 'silent';
  /** How many pods fit in. */
  readonly room?: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/** Answers by address or query: the next each time, the last for ever. Errors are thrown. */
export function fakeProbes(script: {
  readonly get?: Readonly<Record<string, readonly ({ status: number; body: string } | Error)[]>>;
  readonly query?: Readonly<Record<string, readonly (number | null | Error)[]>>;
}): Probes & { readonly asked: readonly string[] } {
  const asked: string[] = [];
  const take = <T>(key: string, all: Readonly<Record<string, readonly (T | Error)[]>> | undefined): T => {
    const answers = all?.[key] ?? [];
    const answer = answers[Math.min(asked.filter((it) => it === key).length, answers.length - 1)];
    asked.push(key);
    if (answer instanceof Error) throw answer;
    if (answer === undefined) throw new PlatformError(`${key} can't be reached.`);
    return answer;
  };
  return {
    asked,
    get: async (url) => take(url, script.get),
    query: async (_server, query) => take<number | null>(query, script.query),
  };
}

interface Workload {
  readonly key: string;
  /** Name of the workload beside which it stands; null: it is nobody's. */
  readonly beside: string | null;
  images: Readonly<Record<string, string>>;
  wanted: number;
  available: number;
  updated: number;
  generation: number;
  troubles: readonly Trouble[];
  going: boolean;
  /** How often it was set: what an earlier setting brings stops. */
  set: number;
}

function newWorkload(
  key: string,
  images: Readonly<Record<string, string>>,
  wanted: number,
  beside: string | null,
): Workload {
  const none = { available: 0, updated: 0, generation: 1, troubles: [], going: false, set: 0 };
  return { key, beside, images, wanted, ...none };
}

function trouble(pod: string, kind: Trouble['kind'], reason: string, restarts: number): Trouble {
  return { kind, reason, message: '', pod, container: 'app', restarts, exitCode: kind === 'crash' ? 1 : null };
}

function same(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((it) => a[it] === b[it]);
}

function keyOf({ namespace, name }: RolloutTarget): string {
  return `${namespace}/${name}`;
}
