/** Runs that wait, each once: those just reported go before those that were left over. */
export interface Turns {
  readonly size: number;
  has(id: string): boolean;
  /** One that is reported stays so, also if it is added again as left over. */
  add(id: string, fresh: boolean): void;
  /** Takes it out. */
  delete(id: string): void;
  /** Takes out who is next. */
  next(): { readonly id: string; readonly fresh: boolean } | null;
  clear(): void;
}

export function createTurns(): Turns {
  const fresh = new Set<string>();
  const left = new Set<string>();
  return {
    get size() {
      return fresh.size + left.size;
    },
    has: (id) => fresh.has(id) || left.has(id),
    add(id, reported) {
      if (fresh.has(id)) return;
      if (reported) left.delete(id);
      (reported ? fresh : left).add(id);
    },
    delete(id) {
      fresh.delete(id);
      left.delete(id);
    },
    next() {
      const from = fresh.size > 0 ? fresh : left;
      for (const id of from) {
        from.delete(id);
        return { id, fresh: from === fresh };
      }
      return null;
    },
    clear() {
      fresh.clear();
      left.clear();
    },
  };
}
