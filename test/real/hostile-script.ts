import { setTimeout as sleep } from 'node:timers/promises';
import type { Owned, RunStore } from '#src/engine/store.ts';
import type { Annotation } from '#src/model/annotation.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, RunView } from '#src/model/run.ts';
import { plannedOf } from '#test/model/samples.ts';

/** Stored runs that a script moves through their states, as the engine would. */
export class ScriptedRuns {
  readonly #runs: RunStore;
  readonly #changed: (runId: string) => void;
  readonly #claimed = new Map<string, Job>();

  constructor(runs: RunStore, changed: (runId: string) => void) {
    this.#runs = runs;
    this.#changed = changed;
  }

  /** A run of the pull request #1's commit. */
  async create(repository: Repository, sha: string, branch: string, jobs: readonly PlannedJob[]): Promise<RunView> {
    const trigger = { kind: 'push' as const, branch, sha, ref: `refs/heads/${branch}`, actor: 'ada', title: branch };
    const { run } = await this.#runs.create({ repository, trigger, pullRequest: 1, at: Date.now() });
    const plan = { jobs, diagnostics: [], concurrency: null, pipelineFile: 'slipway.yml', at: Date.now() };
    await this.#runs.plan(run.id, plan);
    const view = await this.#runs.view(run.id);
    if (!view) throw new Error('The run is gone.');
    this.#changed(run.id);
    return view;
  }

  async note(runId: string, jobId: string, note: string, gate: JobGate | null = null): Promise<void> {
    await this.#runs.noteJob(jobId, note, gate);
    this.#changed(runId);
  }

  async queue(runId: string, jobId: string): Promise<void> {
    await this.#runs.queue(jobId, Date.now());
    this.#changed(runId);
  }

  /** Claims jobs until it is this one's turn; the others are claimed for those who ask for them. */
  async begin(runId: string, jobId: string): Promise<Owned> {
    for (;;) {
      const mine = this.#claimed.get(jobId);
      if (mine) {
        this.#claimed.delete(jobId);
        this.#changed(runId);
        return { jobId, attempt: mine.attempt, worker };
      }
      const job = await this.#runs.claim(worker, ['script', 'image', 'deploy'], Date.now());
      if (job) this.#claimed.set(job.id, job);
      else await sleep(5);
    }
  }

  async progress(runId: string, owned: Owned, progress: string): Promise<void> {
    await this.#runs.progress(owned, { progress });
    this.#changed(runId);
  }

  async again(runId: string, owned: Owned, by: 'retry' | 'platform'): Promise<void> {
    const next = { outcome: null, by, why: 'the Docker engine restarted', note: 'Runs again in 10 s.' };
    await this.#runs.again(owned, { ...next, notBefore: null, at: Date.now() });
    this.#changed(runId);
  }

  async complete(runId: string, owned: Owned, outcome: Outcome, annotations: readonly Annotation[]): Promise<void> {
    if (!(await this.#runs.complete(owned, { outcome, annotations, at: Date.now() })))
      throw new Error('The job is not its own.');
    this.#changed(runId);
  }

  async restart(runId: string, jobId: string): Promise<void> {
    await this.#runs.restart(runId, [jobId], '@ada re-ran it', Date.now());
    this.#changed(runId);
  }
}

const worker = 'server';

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

/** Three jobs; the last one deploys to the environment. */
export function scriptedJobs(environment: string): readonly PlannedJob[] {
  const work = { kind: 'deploy' as const, environment, url: null, rollout: [] };
  return [plannedOf('lint'), plannedOf('test'), plannedOf('ship', { work })];
}

/**
 * Moves a job from its first state to its last: with notes, progress, attempts that are repeated by themselves, and now and
 * then a person who asks for it again once GitHub shows its end (`shown`).
 */
export async function live(
  runs: ScriptedRuns,
  random: () => number,
  expected: Expected,
  shown: () => Promise<void>,
): Promise<void> {
  const { runId, jobId } = expected;
  const pause = (): Promise<void> => sleep(2 + random() * 60);
  for (let generation = 0; ; generation += 1) {
    if (random() < 0.3) await runs.note(runId, jobId, 'Waits for run 7 in the concurrency group "deploy".');
    if (expected.deploys && random() < 0.6) {
      for (const given of [[], ['carol']]) {
        await runs.note(runId, jobId, 'Waits for approvals.', { kind: 'approval', gate: 'start', needed: 2, given });
        await pause();
      }
    }
    await pause();
    await runs.queue(runId, jobId);
    await pause();
    let owned = await runs.begin(runId, jobId);
    const first = owned.attempt;
    for (;;) {
      for (let line = 1; line <= 3; line += 1) {
        await pause();
        await runs.progress(runId, owned, `${line} of 3`);
      }
      await pause();
      if (random() > 0.3 || owned.attempt - first > 2) break;
      await runs.again(runId, owned, random() < 0.5 ? 'retry' : 'platform');
      await pause();
      owned = await runs.begin(runId, jobId);
    }
    const outcome = outcomes[Math.floor(random() * outcomes.length)] ?? { kind: 'success' };
    const count = random() < 0.5 ? 0 : Math.floor(random() * 130);
    const messages = Array.from({ length: count }, (_, i) => `${owned.attempt}/${i}`);
    await runs.complete(runId, owned, outcome, messages.map(annotation));
    expected.shown.push({ attempt: first, outcome, messages });
    if (random() > 0.35 || generation > 1) return;
    await shown();
    await runs.restart(runId, jobId);
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
