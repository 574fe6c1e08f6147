import type { Logger } from './place.ts';

/** Work that goes on after a job is settled. */
export interface Background {
  /** Does it off the path; failures are logged, and mended by the next sweep. */
  run(what: string, work: () => Promise<unknown>): void;
  /** Does it in a while, or when `settled` is called, whichever comes first. One a name: another takes its place. */
  later(name: string, ms: number, what: string, work: () => Promise<unknown>): void;
  /** Takes back what was to be done later. */
  forget(name: string): void;
  /** Waits until nothing is left to do. */
  settled(): Promise<void>;
}

export function createBackground(logger: Logger): Background {
  const tasks = new Set<Promise<void>>();
  const waiting = new Map<string, { readonly timer: NodeJS.Timeout; readonly begin: () => void }>();

  function run(what: string, work: () => Promise<unknown>): void {
    const task: Promise<void> = work()
      .then(() => {})
      .catch((error: unknown) => logger.warn({ err: error }, `${what} failed; the next sweep tries again`))
      .finally(() => tasks.delete(task));
    tasks.add(task);
  }
  function forget(name: string): void {
    clearTimeout(waiting.get(name)?.timer);
    waiting.delete(name);
  }

  return {
    run,
    forget,
    later(name, ms, what, work) {
      forget(name);
      const begin = () => {
        forget(name);
        run(what, work);
      };
      waiting.set(name, { begin, timer: setTimeout(begin, ms).unref() });
    },
    async settled() {
      while (tasks.size + waiting.size > 0) {
        for (const { begin } of waiting.values()) begin();
        await Promise.all(tasks);
      }
    },
  };
}
