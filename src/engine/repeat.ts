/** Work that is done again if it was asked for meanwhile. */
export interface Repeated {
  /** Returns at once. After the last call the work is begun once more, at least. */
  readonly ask: () => void;
  /** Resolves when nothing that was asked for is left to do. */
  settled(): Promise<void>;
}

/** Never does the work twice at once, and loses no request. The work must not throw. */
export function repeat(work: () => Promise<void>): Repeated {
  let asked = false;
  let running: Promise<void> | null = null;

  async function loop(): Promise<void> {
    try {
      while (asked) {
        asked = false;
        await work();
      }
    } finally {
      // In the same turn as the last look at `asked`: a request in between would find neither.
      running = null;
    }
  }

  return {
    ask() {
      asked = true;
      running ??= loop();
    },
    async settled() {
      // The loop ends only when nothing more was asked for.
      await running;
    },
  };
}
