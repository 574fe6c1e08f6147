import type { Log } from './parts.ts';

/** Whether the executor answers. As long as it doesn't, no job is begun and none is given up. */
export interface Gate {
  readonly open: boolean;
  /** Resolves once it is open, or the signal is aborted. */
  opened(signal: AbortSignal): Promise<void>;
  /** Something failed: asks whether it still answers. Closed until it does. */
  doubt(): void;
  close(): Promise<void>;
}

const firstPauseMs = 250;
const longestPauseMs = 10_000;

/** Closed at first. `onOpen` is called each time that it opens; if that fails, it stays closed and is tried again. */
export function createGate(options: {
  readonly ping: () => Promise<void>;
  readonly onOpen: () => Promise<void>;
  readonly log: Log;
}): Gate {
  const ended = new AbortController();
  let open = false;
  let waiting: (() => void)[] = [];
  let asking: Promise<void> | null = null;

  async function ask(): Promise<void> {
    for (let pause = firstPauseMs; !ended.signal.aborted; pause = Math.min(longestPauseMs, pause * 2)) {
      try {
        await options.ping();
        await options.onOpen();
        open = true;
        for (const resolve of waiting.splice(0)) resolve();
        break;
      } catch (error) {
        open = false;
        options.log.error({ err: error }, 'no job can run now; trying again');
        await sleep(pause, ended.signal);
      }
    }
    asking = null;
  }

  return {
    get open() {
      return open;
    },
    async opened(signal) {
      if (open || signal.aborted || ended.signal.aborted) return;
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
        ended.signal.addEventListener('abort', () => resolve(), { once: true });
      });
    },
    doubt() {
      open = false;
      asking ??= ask();
    },
    async close() {
      ended.abort();
      await asking;
      waiting = [];
    },
  };
}

/** Waits, at most until the signal is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
