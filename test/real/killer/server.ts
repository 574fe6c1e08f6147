import { pino } from 'pino';
import type { Executor } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { startServer } from '#src/main.ts';
import { readSettings } from '#src/settings.ts';

/**
 * The server as a process that dies at a chosen moment: KILL_AT=`after runs.complete 2` is the second time that the
 * store's `runs.complete` has returned. `before` is before it is called.
 */
const [when = '', method = '', count = '1'] = (process.env['KILL_AT'] ?? '').split(' ');
let left = Number(count);

function reach(moment: string, name: string): void {
  if (moment !== when || name !== method) return;
  left -= 1;
  if (left === 0) process.kill(process.pid, 'SIGKILL');
}

/** Calls of the part's methods pass by `reach`. */
function watched<T extends object>(part: T, name: string): T {
  return new Proxy(part, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      if (typeof value !== 'function' || typeof key !== 'string') return value;
      return async (...args: unknown[]) => {
        reach('before', `${name}.${key}`);
        const result: unknown = await (value as (...args: unknown[]) => unknown).apply(target, args);
        reach('after', `${name}.${key}`);
        return result;
      };
    },
  });
}

function watchedStore(store: Store): Store {
  const parts = Object.entries(store).map(([name, part]) => {
    const plain = typeof part !== 'object' || name === 'signals';
    return [name, plain ? part : watched(part as object, name)];
  });
  return Object.fromEntries(parts) as Store;
}

function watchedExecutor(executor: Executor): Executor {
  return {
    ...executor,
    run(request, tree, listener, ends) {
      reach('before', 'executor.run');
      const told: typeof listener = {
        ...listener,
        begin() {
          reach('before', 'job.begin');
          const begun = listener.begin();
          setImmediate(() => reach('after', 'job.begin'));
          return begun;
        },
        log(bytes) {
          listener.log(bytes);
          reach('after', 'job.log');
        },
      };
      return executor.run(request, tree, told, ends).then((result) => {
        reach('after', 'executor.run');
        return result;
      });
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
