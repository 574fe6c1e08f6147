import { setTimeout as sleep } from 'node:timers/promises';
import type { RunStore } from '#src/engine/store.ts';
import type { Annotation } from '#src/model/annotation.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Attempt, Job, Run, RunView } from '#src/model/run.ts';
import { jobOf, runOf } from '#test/model/samples.ts';

/** Runs that a script moves through their states, as the engine would; each change is a new version. */
export class ScriptedRuns implements Pick<RunStore, 'view' | 'untold' | 'told'> {
  readonly #views = new Map<string, RunView>();
  readonly #told = new Map<string, number>();
  readonly #changed: (runId: string) => void;

  constructor(changed: (runId: string) => void) {
    this.#changed = changed;
  }

  async view(id: string): Promise<RunView | null> {
    return this.#views.get(id) ?? null;
  }

  async untold(limit: number): Promise<readonly string[]> {
    const ids = [...this.#views.values()].filter(({ run }) => run.version > (this.#told.get(run.id) ?? 0));
    return ids.slice(0, limit).map(({ run }) => run.id);
  }

  async told(id: string, version: number): Promise<void> {
    this.#told.set(id, Math.max(version, this.#told.get(id) ?? 0));
  }

  create(id: string, repository: Repository, sha: string, jobs: readonly Job[]): void {
    const trigger = { kind: 'push' as const, branch: 'main', sha, ref: 'refs/heads/main', actor: 'ada', title: id };
    this.#views.set(id, { run: { ...runOf(trigger), id, repository }, jobs });
    this.#changed(id);
  }

  change(runId: string, jobId: string, change: Partial<Job>): void {
    const view = this.#views.get(runId);
    if (!view) throw new Error(`There is no run ${runId}.`);
    const jobs = view.jobs.map((job) => (job.id === jobId ? { ...job, ...change } : job));
    const over = jobs.every(({ state }) => state === 'completed');
    const run: Run = {
      ...view.run,
      version: view.run.version + 1,
      state: over ? 'completed' : 'running',
      outcome: over ? { kind: 'success' } : null,
    };
    this.#views.set(runId, { run, jobs });
    this.#changed(runId);
  }

  job(runId: string, jobId: string): Job {
    const job = this.#views.get(runId)?.jobs.find(({ id }) => id === jobId);
    if (!job) throw new Error(`There is no job ${jobId}.`);
    return job;
  }
}

/** What GitHub has to show of one job in the end: one check run for each time that a person asked for it. */
export interface Expected {
  readonly repository: string;
  readonly runId: string;
  readonly jobId: string;
  readonly deploys: boolean;
  readonly shown: { readonly attempt: number; readonly outcome: Outcome; readonly messages: readonly string[] }[];
}

export const conclusions = {
  success: 'success',
  failure: 'failure',
  timed_out: 'timed_out',
  cancelled: 'cancelled',
  broken: 'cancelled',
  skipped: 'skipped',
  neutral: 'neutral',
} as const;

export function scriptedJob(runId: string, name: string, deploys: boolean): Job {
  const work = { kind: 'deploy' as const, environment: `staging-${runId}`, url: null, rollout: [] };
  const job = jobOf(name, deploys ? { work } : {});
  return { ...job, id: `${runId}-${name}`, runId };
}

/**
 * Moves a job from its first state to its last: with notes, progress, attempts that are repeated by themselves, and now and
 * then a person who asks for it again once GitHub shows its end (`shown`).
 */
export async function live(
  runs: ScriptedRuns,
  random: () => number,
  expected: Expected,
  shown: (jobId: string) => Promise<void>,
): Promise<void> {
  const { runId, jobId } = expected;
  const change = (next: Partial<Job>): void => runs.change(runId, jobId, next);
  const pause = (): Promise<void> => sleep(2 + random() * 60);
  const earlier: Attempt[] = [];
  let attempt = 1;
  for (let generation = 0; ; generation += 1) {
    const first = attempt;
    if (random() < 0.3) change({ state: 'waiting', note: 'Waits for run 7 in the concurrency group "deploy".' });
    await pause();
    for (;;) {
      change({ state: 'queued', note: null, queuedAt: Date.now() });
      await pause();
      change({ state: 'running', startedAt: Date.now(), note: null });
      for (let line = 0; line < 3; line += 1) {
        await pause();
        change({ progress: `${line + 1} of 3` });
      }
      await pause();
      if (random() > 0.3 || attempt - first > 2) break;
      const by = random() < 0.5 ? 'retry' : 'platform';
      earlier.push({ attempt, by, why: 'the Docker engine restarted', outcome: null, startedAt: 0, finishedAt: 1 });
      attempt += 1;
      const again = { attempt, earlier: [...earlier], startedAt: null, progress: null };
      change({ ...again, state: 'queued', note: 'Runs again in 10 s.' });
      await pause();
    }
    const outcome = outcomes[Math.floor(random() * outcomes.length)] ?? { kind: 'success' };
    const messages = Array.from(
      { length: random() < 0.5 ? 0 : Math.floor(random() * 130) },
      (_, i) => `${attempt}/${i}`,
    );
    const annotations = messages.map(annotation);
    change({ state: 'completed', outcome, annotations, finishedAt: Date.now(), progress: null });
    expected.shown.push({ attempt: first, outcome, messages });
    if (random() > 0.35 || generation > 1) return;
    await shown(jobId);
    earlier.push({ attempt, by: 'person', why: '@ada re-ran it', outcome, startedAt: 0, finishedAt: 1 });
    attempt += 1;
    const again = { attempt, earlier: [...earlier], outcome: null, annotations: [], startedAt: null, finishedAt: null };
    change({ ...again, state: 'waiting' });
  }
}

const outcomes: readonly Outcome[] = [
  { kind: 'success' },
  { kind: 'failure', reason: '`npm test` exited with 1' },
  { kind: 'cancelled', reason: 'Cancelled by @ada.' },
  { kind: 'broken', reason: 'The registry could not be reached.' },
];

function annotation(message: string, index: number): Annotation {
  return { path: 'a.js', startLine: index + 1, endLine: index + 1, level: 'warning', message };
}
