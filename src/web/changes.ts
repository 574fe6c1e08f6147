/** Tells the pages that are open that something changed in a run. */
export interface Changes {
  notify(runId: string): void;
  /** Answers the function that ends the subscription. */
  subscribe(runId: string, listener: () => void): () => void;
}

export function createChanges(): Changes {
  const listeners = new Map<string, Set<() => void>>();
  return {
    notify(runId) {
      for (const listener of listeners.get(runId) ?? []) listener();
    },
    subscribe(runId, listener) {
      const known = listeners.get(runId) ?? new Set();
      listeners.set(runId, known.add(listener));
      return () => {
        known.delete(listener);
        if (known.size === 0) listeners.delete(runId);
      };
    },
  };
}
