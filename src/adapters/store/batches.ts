/**
 * Gathers what is asked for in one turn of the event loop, and what comes while a batch is being written, and hands it
 * to `write` together: one batch at a time, in order. `write` calls `take` once it may write (its connection is its
 * own), answers one result for each, or throws: then all of the batch fail.
 */
export function inBatches<T, R>(
  limit: number,
  write: (take: () => readonly T[]) => Promise<readonly R[]>,
): (item: T) => Promise<R> {
  interface Waiting {
    readonly item: T;
    resolve(result: R): void;
    reject(error: unknown): void;
  }
  const waiting: Waiting[] = [];
  let writing = false;

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      let batch: Waiting[] = [];
      const take = () => {
        batch = waiting.splice(0, limit);
        return batch.map((one) => one.item);
      };
      try {
        const results = await write(take);
        batch.forEach((one, i) => one.resolve(results[i] as R));
      } catch (error) {
        if (batch.length === 0) take();
        for (const one of batch) one.reject(error);
      }
    }
    writing = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (writing) return;
      writing = true;
      setImmediate(() => void flush());
    });
}
