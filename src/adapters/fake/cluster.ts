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
  /** What was patched (refused ones aren't in it), in order: `shop/api=image`. */
  readonly patches: string[] = [];
  readonly #options: FakeClusterOptions;
  readonly #observers = new Set<() => void>();
  #outage: Error | null = null;
  readonly #workloads = new Map<string, Workload>();

  constructor(options: FakeClusterOptions) {
    this.#options = options;
    for (const { name, containers = ['app'], ...rest } of options.workloads) {
      const [namespace = '', workload = ''] = name.split('/');
      const state: WorkloadState = { ...healthy, namespace, name: workload, ...rest };
      this.#workloads.set(name, { state, containers, watchers: new Set(), set: 0 });
    }
  }

  async inspect(target: RolloutTarget, signal: AbortSignal): Promise<WorkloadState> {
    this.#reach(signal);
    return this.#find(target).state;
  }

  async setImage(
    target: RolloutTarget,
    image: string,
    signal: AbortSignal,
  ): Promise<{ readonly generation: number; readonly image: string }> {
    this.#reach(signal);
    const workload = this.#find(target);
    const refused = this.#options.refuse?.(image);
    if (refused) throw refused;
    this.patches.push(`${target.namespace}/${target.name}=${image}`);
    const unchanged = workload.state.image === image;
    if (unchanged) return { generation: workload.state.generation, image };
    const generation = workload.state.generation + 1;
    workload.set += 1;
    show(workload, { ...workload.state, generation, image });
    void this.#play(workload, workload.set, this.#options.behave(image));
    return { generation, image };
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
          yield state;
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

  /** Shows a state as if something else had changed the workload. */
  change(name: string, change: Partial<WorkloadState>): void {
    const workload = this.#workloads.get(name);
    if (!workload) throw new Error(`No workload ${name}`);
    show(workload, { ...workload.state, ...change });
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
  conditions: [],
  troubles: [],
  hidden: '',
};

function show(workload: Workload, state: WorkloadState): void {
  workload.state = state;
  for (const watcher of workload.watchers) watcher(state);
}
