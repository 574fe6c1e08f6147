import { afterEach } from '@jest/globals';
import { createReporter, type GitHubReporter, type ReporterOptions } from '#src/adapters/github/reporter.ts';
import { type Deployed, notDeployed } from '#src/adapters/github/report/deployed.ts';
import type { RunView } from '#src/model/run.ts';
import { memoryRuns, memoryTold, openTestGitHub, silent } from './support.ts';

export const success = { kind: 'success' } as const;
export const failure = { kind: 'failure', reason: '`npm test` exited with 1' } as const;

/** A store that holds one run which the test changes: each change is a new version. */
export class Held {
  excerpt = 'the log';
  deployed: Deployed = notDeployed;
  readonly runs = memoryRuns(() => [this.view]);
  #view: RunView;

  constructor(view: RunView) {
    this.#view = view;
  }

  get view(): RunView {
    return this.#view;
  }

  set view(next: RunView) {
    this.#view = { ...next, run: { ...next.run, version: this.#view.run.version + 1 } };
  }
}

export function holding(first: RunView): Held {
  return new Held(first);
}

/** Makes reporters that are closed after each test; `open` takes others that shall be. */
export function reporters() {
  const open: GitHubReporter[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((made) => made.close()));
  });
  return { reporter, open };

  async function reporter(held: Held, told = memoryTold(), refreshMs = 60_000, change: Partial<ReporterOptions> = {}) {
    const made = createReporter({
      github: await openTestGitHub(),
      runs: held.runs,
      told,
      detailsUrl: (run, it) => `https://ci.example/runs/${run.id}/${it?.id ?? ''}`,
      excerpt: async () => held.excerpt,
      deployed: async () => held.deployed,
      logger: silent,
      refreshMs,
      retryMs: 1,
      settleMs: 5,
      ...change,
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
