import { pino } from 'pino';
import type { Executor, JobListener } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { startServer } from '#src/main.ts';
import type { Job, Step } from '#src/model/run.ts';
import { readSettings } from '#src/settings.ts';

/**
 * The server as a process that dies at a chosen moment: KILL_AT=`after runs.complete 2` is the second time that the
 * store's `runs.complete` has returned. `before` is before it is called. Some points have a second name that says more:
 * `runs.complete/image`, see `detail`. It counts from the first delivery on; from the start on with a fourth word, `start`.
 * KILL_AT=`list` prints a line `point NAME` the first time that each is passed, and doesn't kill.
 */
const [when = '', method = '', count = '1', from = ''] = (process.env['KILL_AT'] ?? '').split(' ');
let left = Number(count);
let armed = from === 'start';
const seen = new Set<string>();
/** What kind of work each job is, by id: the store's methods are only told the id. */
const kinds = new Map<string, string>();

function reach(moment: 'before' | 'after', name: string, more: string | null = null): void {
  if (name === 'deliveries.add') armed = true;
  const names = more === null ? [name] : [name, `${name}/${more}`];
  if (when === 'list') {
    for (const each of names) if (!seen.has(each)) process.stdout.write(`point ${each}\n`);
    for (const each of names) seen.add(each);
  }
  if (!armed || moment !== when || !names.includes(method)) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

/** What a call is about, as it is used in a point's second name. */
function detail(name: string, args: readonly unknown[]): string | null {
  const [first, second] = args;
  if (name === 'told.set') return toldDetail(String(first), String(second));
  if (name === 'deployments.save') return deploymentDetail(first as DeploymentRecord);
  const kind = kinds.get((first as { readonly jobId?: string } | null)?.jobId ?? '');
  if (kind === undefined) return null;
  const { steps = [], progress } = (second ?? {}) as { readonly steps?: readonly Step[]; readonly progress?: string };
  if (progress !== undefined) return `${kind}.progress`;
  const step = steps.findLast((each) => each.state !== 'pending');
  return name === 'runs.progress' && step ? `${kind}.${step.name.split(' ')[0]}.${step.state}` : kind;
}

/** `check.creating`, `check.open`, `check.completed`; `deployment.creating`, `deployment.created`, `deployment.success`. */
function toldDetail(key: string, value: string): string {
  const about = key.split('/')[0] ?? '';
  const told = JSON.parse(value) as {
    readonly creating?: boolean;
    readonly completed?: boolean;
    readonly status?: string;
  };
  if (told.creating) return `${about}.creating`;
  if (told.completed !== undefined) return `${about}.${told.completed ? 'completed' : 'open'}`;
  const { state = 'created' } = JSON.parse(told.status || '{}') as { readonly state?: string };
  return `${about}.${state}`;
}

/** `opened`, then the phase of the first workload (`planned`, `forward`, `forward.set`, `back` ...), then the end's state. */
function deploymentDetail({ state, changes: [change] }: DeploymentRecord): string {
  if (state !== 'in_progress') return state;
  if (change === undefined) return 'opened';
  const { phase = 'planned', set, backSet, failed } = change;
  if (phase === 'forward' && failed) return 'failed';
  return phase === 'forward' && set ? 'forward.set' : phase === 'back' && backSet ? 'back.set' : phase;
}

/** Calls of the part's methods pass by `reach`. */
function watched<T extends object>(part: T, name: string): T {
  return new Proxy(part, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      const point = `${name}.${key}`;
      return async (...args: unknown[]) => {
        const more = detail(point, args);
        reach('before', point, more);
        const result: unknown = await (value as (...args: unknown[]) => unknown).apply(target, args);
        if (point === 'runs.claim' || point === 'runs.inherit') remember([result].flat() as (Job | null)[]);
        reach('after', point, more);
        return result;
      };
    },
  });
}

function remember(jobs: readonly (Job | null)[]): void {
  for (const job of jobs) if (job !== null) kinds.set(job.id, job.plan.work.kind);
}

function watchedStore(store: Store): Store {
  const parts = Object.entries(store).map(([name, part]) => {
    const plain = typeof part !== 'object' || name === 'signals';
    return [name, plain ? part : watched(part as object, name)];
  });
  return Object.fromEntries(parts) as Store;
}

function watchedListener(listener: JobListener): JobListener {
  return {
    ...listener,
    begin() {
      reach('before', 'job.begin');
      const begun = listener.begin();
      setImmediate(() => reach('after', 'job.begin'));
      return begun;
    },
    async rewind(begun) {
      reach('before', 'job.rewind');
      await listener.rewind(begun);
      reach('after', 'job.rewind');
    },
    log(bytes) {
      reach('before', 'job.log');
      listener.log(bytes);
      reach('after', 'job.log');
    },
  };
}

function watchedExecutor(executor: Executor): Executor {
  return {
    ...executor,
    async run(request, tree, listener, ends) {
      reach('before', 'executor.run');
      const result = await executor.run(request, tree, watchedListener(listener), ends);
      reach('after', 'executor.run');
      return result;
    },
    async attach(request, listener, ends) {
      reach('before', 'executor.attach');
      const result = await executor.attach(request, watchedListener(listener), ends);
      reach('after', 'executor.attach');
      return result;
    },
  };
}

/** Each SIGUSR2 moves this process's wall clock: an hour forward, then two back, then where it was. */
const realNow = Date.now.bind(Date);
const offsets = [3_600_000, -3_600_000, 0];
let offset = 0;
Date.now = () => realNow() + offset;
process.on('SIGUSR2', () => {
  offset = offsets.shift() ?? 0;
});

const settings = readSettings();
const logger = pino({ level: settings.LOG_LEVEL });
const server = await startServer(settings, logger, { store: watchedStore, executor: watchedExecutor });
process.once('SIGTERM', () => {
  void server.close().then(() => process.exit(0));
});
