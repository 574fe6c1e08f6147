/** Runs works of the same name one after the other. */
export type Lock = <T>(name: string, work: () => Promise<T>) => Promise<T>;

export function lockByName(): Lock {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const mine = (last.get(name) ?? Promise.resolve()).then(work);
    // Who comes next waits for the end, however it was.
    const settled = mine.catch(() => {});
    last.set(name, settled);
    try {
      return await mine;
    } finally {
      if (last.get(name) === settled) last.delete(name);
    }
  };
}
