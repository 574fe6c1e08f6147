import type { Reporter } from '#src/engine/ports.ts';

export interface FakeReporter extends Reporter {
  /** Ids of the runs that were reported, in order, repetitions included. */
  readonly reported: readonly string[];
}

/** Remembers what it was told, and tells nobody. */
export function createFakeReporter(onReport: (runId: string) => void = () => undefined): FakeReporter {
  const reported: string[] = [];
  return {
    reported,
    report(runId) {
      reported.push(runId);
      onReport(runId);
    },
    async flush() {},
  };
}
