import type { Cluster } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { Trouble } from '#src/model/rollout-trouble.ts';

/**
 * A scripted cluster. Workloads are given at the start, healthy unless said otherwise; what happens when an image is
 * set follows from `behave`. Time is the given `sleep`, so a test may run it as quickly as it likes.
 */
export class FakeCluster implements Cluster {
  /** What was patched (refused ones aren't in it), in order: `shop/api=image`, `shop/api:proxy=image` for other containers than the first. */
  readonly patches: string[] = [];
  readonly #options: FakeClusterOptions;
  readonly #observers = new Set<() => void>();
  #outage: Error | null = null;
  readonly #workloads = new Map<string, Workload>();

  constructor(options: FakeClusterOptions) {
    this.#options = options;
    for (const { name, containers = ['app'], ...rest } of options.workloads) {
      const [namespace = '', workload = ''] = name.split('/');
      const images = rest.images ?? Object.fromEntries(containers.map((it) => [it, rest.image ?? '']));
      const state: WorkloadState = { ...healthy, namespace, name: workload, ...rest, images };
      this.#workloads.set(name, { state, containers, watchers: new Set(), set: 0 });
    }
  }

  async inspect(target: RolloutTarget, signal: AbortSignal): Promise<WorkloadState> {
    this.#reach(signal);
    return seenBy(this.#find(target).state, target);
  }

  async setImages(
    target: RolloutTarget,
    images: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ readonly generation: number; readonly images: Readonly<Record<string, string>> }> {
    this.#reach(signal);
    for (const container of Object.keys(images)) this.#find({ ...target, container });
    const workload = this.#find(target);
    for (const image of Object.values(images)) {
      const refused = this.#options.refuse?.(image);
      if (refused) throw refused;
    }
    const first = workload.containers[0] ?? '';
    for (const [container, image] of Object.entries(images)) {
      const where = container === first ? '' : `:${container}`;
      this.patches.push(`${target.namespace}/${target.name}${where}=${image}`);
    }
    const { state } = workload;
    const next = { ...state.images, ...images };
    if (Object.entries(images).every(([container, image]) => state.images[container] === image)) {
      return { generation: state.generation, images: next };
    }
    const generation = state.generation + 1;
    workload.set += 1;
    show(workload, { ...state, generation, images: next });
    // The worst of them decides: what has no script at all, else the longest.
    const scripts = Object.values(next).map((image) => this.#options.behave(image));
    const script = scripts.toSorted((a, b) => badness(b) - badness(a))[0] ?? [];
    void this.#play(workload, workload.set, script);
    return { generation, images: next };
  }

  async *observe(target: RolloutTarget, signal: AbortSignal): AsyncGenerator<WorkloadState> {
    this.#reach(signal);
    const workload = this.#find(target);
    const queue: WorkloadState[] = [workload.state];
    let wake = Promise.withResolvers<void>();
    const watcher = (state: WorkloadState) => {
      queue.push(state);
      wake.resolve();
    };
    const abort = () => wake.resolve();
    this.#observers.add(abort);
    workload.watchers.add(watcher);
    signal.addEventListener('abort', abort);
    try {
      while (!signal.aborted) {
        if (this.#outage) throw this.#outage;
        const state = queue.shift();
        if (state) {
          yield seenBy(state, target);
          continue;
        }
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
    } finally {
      workload.watchers.delete(watcher);
      this.#observers.delete(abort);
      signal.removeEventListener('abort', abort);
    }
  }

  async lastLines(target: RolloutTarget, lines: number, signal: AbortSignal): Promise<string> {
    this.#reach(signal);
    const { state } = this.#find(target);
    if (!state.troubles.some((it) => it.kind === 'crash')) return '';
    return (this.#options.log ?? '').split('\n').slice(-lines).join('\n');
  }

  async events(target: RolloutTarget, signal: AbortSignal): Promise<readonly string[]> {
    this.#reach(signal);
    const { troubles } = this.#find(target).state;
    return troubles.map((it) => `${it.reason}: ${it.message || 'it was so'} (3 times)`);
  }

  /** Shows a state as if something else had changed the workload. */
  change(name: string, change: Partial<WorkloadState>): void {
    const workload = this.#workloads.get(name);
    if (!workload) throw new Error(`No workload ${name}`);
    const { image } = change;
    const all = image === undefined ? {} : Object.fromEntries(workload.containers.map((it) => [it, image]));
    show(workload, { ...workload.state, images: { ...workload.state.images, ...all }, ...change });
  }

  /** From now on nothing is answered but this error; null: all is well again. What runs in the cluster goes on. */
  outage(error: Error | null): void {
    this.#outage = error;
    for (const wake of this.#observers) wake();
  }

  #reach(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (this.#outage) throw this.#outage;
  }

  async #play(workload: Workload, set: number, script: readonly FakeStep[]): Promise<void> {
    for (const { afterMs, ...change } of script) {
      await this.#options.sleep(afterMs);
      if (workload.set !== set) return;
      const { generation, wanted } = workload.state;
      const full = { observedGeneration: generation, updated: wanted, available: wanted, replicas: wanted };
      show(workload, { ...workload.state, ...full, troubles: [], conditions: [], ...change });
    }
  }

  #find(target: RolloutTarget): Workload {
    const name = `${target.namespace}/${target.name}`;
    const workload = this.#workloads.get(name);
    if (!workload) throw new UserError(`There is no ${target.kind} ${name}.`);
    if (!workload.containers.includes(target.container)) {
      throw new UserError(`${name} has no container ${target.container}; it has ${workload.containers.join(', ')}.`);
    }
    return workload;
  }
}

export interface FakeClusterOptions {
  /** `name` is `namespace/name`. */
  readonly workloads: readonly ({ readonly name: string; readonly containers?: readonly string[] } & Partial<
    Omit<WorkloadState, 'name'>
  >)[];
  /** What happens after an image is set; the last step stays. Nothing given in a step means complete. */
  readonly behave: (image: string) => readonly FakeStep[];
  /** Error with which the patch is refused. */
  readonly refuse?: (image: string) => Error | null;
  readonly log?: string;
  readonly sleep: (ms: number) => Promise<void>;
}

export type FakeStep = { readonly afterMs: number } & Partial<WorkloadState>;

/** A trouble with the fields that matter. */
export function fakeTrouble(trouble: Partial<Trouble> & Pick<Trouble, 'kind' | 'reason'>): Trouble {
  return { message: '', pod: 'api-1-a', container: 'app', restarts: 0, exitCode: null, ...trouble };
}

interface Workload {
  state: WorkloadState;
  readonly containers: readonly string[];
  readonly watchers: Set<(state: WorkloadState) => void>;
  /** How often an image was set: the script of an earlier one stops. */
  set: number;
}

const healthy: WorkloadState = {
  kind: 'deployment',
  namespace: '',
  name: '',
  generation: 1,
  observedGeneration: 1,
  wanted: 2,
  updated: 2,
  available: 2,
  replicas: 2,
  paused: false,
  strategy: 'RollingUpdate',
  partition: 0,
  settled: true,
  image: '',
  images: {},
  restarts: 0,
  held: '',
  conditions: [],
  troubles: [],
  hidden: '',
};

/** As the workload is seen by who asks for one of its containers. */
function seenBy(state: WorkloadState, { container }: RolloutTarget): WorkloadState {
  return { ...state, image: state.images[container] ?? '' };
}

/** Higher: worse. What never moves is worst, then what ends in trouble, then what takes longest. */
function badness(script: readonly FakeStep[]): number {
  const last = script.at(-1);
  if (!last) return 1e12;
  return (last.troubles?.length ? 1e9 : 0) + script.reduce((sum, { afterMs }) => sum + afterMs, 0);
}

function show(workload: Workload, state: WorkloadState): void {
  workload.state = state;
  for (const watcher of workload.watchers) watcher(state);
}
