import { afterEach } from '@jest/globals';
import { createReporter, type GitHubReporter } from '#src/adapters/github/reporter.ts';
import type { RunView } from '#src/model/run.ts';
import { memoryTold, openTestGitHub, silent } from './support.ts';

export const success = { kind: 'success' } as const;
export const failure = { kind: 'failure', reason: '`npm test` exited with 1' } as const;

/** A store that holds one run which the test changes. */
export function holding(first: RunView) {
  const held = { view: first, excerpt: 'the log' };
  return held;
}

/** Makes reporters that are closed after each test; `open` takes others that shall be. */
export function reporters() {
  const open: GitHubReporter[] = [];
  afterEach(() => {
    for (const made of open.splice(0)) made.close();
  });
  return { reporter, open };

  async function reporter(held: { view: RunView; excerpt: string }, told = memoryTold(), refreshMs = 60_000) {
    const made = createReporter({
      github: await openTestGitHub(),
      runs: { view: async (id) => (id === held.view.run.id ? held.view : null) },
      told,
      detailsUrl: (run, it) => `https://ci.example/runs/${run.id}/${it?.id ?? ''}`,
      excerpt: async () => held.excerpt,
      logger: silent,
      refreshMs,
      retryMs: 1,
    });
    open.push(made);
    return made;
  }
}

export async function tell(it: GitHubReporter): Promise<void> {
  it.report('run1');
  await it.flush(20_000);
}

/** Name, status and conclusion of what GitHub shows, sorted. */
export const states = (checks: readonly { id: number; name: string; status: string; conclusion?: string }[]) =>
  checks
    .toSorted((a, b) => a.name.localeCompare(b.name) || a.id - b.id)
    .map((it) => [it.name, it.status, it.conclusion ?? null]);
