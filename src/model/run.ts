import type { Annotation } from './annotation.ts';
import type { JobGate } from './deploy-rules.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Trigger } from './event.ts';
import type { Outcome } from './outcome.ts';
import type { Concurrency, PlannedJob } from './plan.ts';
import type { Repository } from './repository.ts';
import type { Trust } from './trust.ts';

/** One execution of a pipeline for one event. Times are milliseconds since the epoch. */
export interface Run {
  /** Unguessable only by signature; sortable by time. */
  readonly id: string;
  readonly repository: Repository;
  readonly trigger: Trigger;
  /** `pending`: not planned yet. */
  readonly state: 'pending' | 'running' | 'completed';
  readonly outcome: Outcome | null;
  /** Mistakes and remarks about the pipeline file. */
  readonly diagnostics: readonly Diagnostic[];
  /** The file the pipeline came from, or null as long as it isn't known. */
  readonly pipelineFile: string | null;
  /** Open pull request of this head, if one is known. */
  readonly pullRequest: number | null;
  readonly concurrency: Concurrency | null;
  /** Null: not decided yet. */
  readonly trust: Trust | null;
  /** Null: nobody asked for its end. */
  readonly cancel: Cancellation | null;
  /** What it waits for now (its concurrency group, GitHub), a sentence, or null. */
  readonly note: string | null;
  /** Grows with every change of the run's or its jobs' states. */
  readonly version: number;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

/**
 * waiting: for its needs. queued: ready to be claimed. running: claimed by a worker.
 * A job that is re-run gets a new attempt and starts over.
 */
export interface Job {
  readonly id: string;
  readonly runId: string;
  readonly plan: PlannedJob;
  readonly state: 'waiting' | 'queued' | 'running' | 'completed';
  readonly outcome: Outcome | null;
  /** From 1. */
  readonly attempt: number;
  readonly steps: readonly Step[];
  readonly annotations: readonly Annotation[];
  readonly tests: TestSummary | null;
  /** Set for a deploy job: what the rollout says now, a sentence. */
  readonly progress: string | null;
  /** What it waits for while it is waiting or queued (its concurrency group, the pause before a retry), a sentence, or null. */
  readonly note: string | null;
  /** Of a deployment: what it waits for, also while it runs (an approval between steps); null: nothing. */
  readonly gate: JobGate | null;
  /** What it has to say beside its log, in Markdown: the plan of a deployment, its steps and pods. '' if nothing. */
  readonly report: string;
  /** Null: nobody asked for the end of this job alone. */
  readonly cancel: Cancellation | null;
  /** The server that runs it, or null. */
  readonly worker: string | null;
  /** Attempts before this one, oldest first; the last 20. */
  readonly earlier: readonly Attempt[];
  readonly queuedAt: number | null;
  /** It isn't claimed before this time; null: at once. */
  readonly notBefore: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

/** That the end of a run or a job was asked for. A deployment under way ends only if a person asks. */
export interface Cancellation {
  /** A sentence that says who and why: `Cancelled by @ada.` */
  readonly reason: string;
  readonly by: 'person' | 'slipway';
}

/** An attempt that was followed by another. */
export interface Attempt {
  readonly attempt: number;
  /** Null if it was given up without an outcome: its server was gone. */
  readonly outcome: Outcome | null;
  /** Who had it run again: `retry` of the pipeline file, Slipway because the `platform` had failed, a `person`. */
  readonly by: 'retry' | 'platform' | 'person';
  /** Why it ran again, as people read it: `retry 1 of 2`, `the Docker engine restarted`, `@ada re-ran it`. */
  readonly why: string;
  /** Login of the person. Missing in what an older version stored, and where nobody asked for it by name. */
  readonly login?: string;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
}

export interface Step {
  readonly index: number;
  readonly name: string;
  readonly state: 'pending' | 'running' | 'completed';
  readonly exitCode: number | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  /** Byte offsets of the step's part in the job's log. */
  readonly logStart: number | null;
  readonly logEnd: number | null;
}

/** A step that hasn't begun. */
export function pendingStep(name: string, index: number): Step {
  return {
    index,
    name,
    state: 'pending',
    exitCode: null,
    startedAt: null,
    finishedAt: null,
    logStart: null,
    logEnd: null,
  };
}

export interface TestSummary {
  readonly total: number;
  readonly failed: number;
  readonly skipped: number;
  /** Names of failed tests, at most 100. */
  readonly failures: readonly string[];
}

/** The whole of a run: what a reporter or a page is given. */
export interface RunView {
  readonly run: Run;
  /** In the order of the plan. */
  readonly jobs: readonly Job[];
}

/**
 * Answers whether the job's condition holds, given the jobs it needs and all that stand before it (its needs,
 * what those need, and so on), each with its outcome.
 */
export type Condition = (
  job: Job,
  needs: readonly Job[],
  ancestors: readonly Job[],
) => { readonly holds: boolean; readonly reason: string };

/** What is to be stored so that a run goes on. */
export interface Advance {
  /** Jobs that may be claimed now. */
  readonly queue: readonly Job[];
  /** Jobs that end without running, with the outcome to store. */
  readonly end: readonly { readonly job: Job; readonly outcome: Outcome }[];
  /** The run's outcome once every job is completed, otherwise null. */
  readonly outcome: Outcome | null;
}

/**
 * What follows from the states of a run's jobs: which waiting jobs may start, which end as skipped,
 * and whether the run is over. Pure; asked again after every change. Jobs that it ends count as
 * ended for the jobs behind them, so one call settles everything that can be settled.
 */
export function advance(jobs: readonly Job[], condition: Condition): Advance {
  const outcomes = new Map<string, Outcome>();
  for (const job of jobs) {
    if (job.state === 'completed' && job.outcome) outcomes.set(job.plan.key, job.outcome);
  }
  const byKey = new Map(jobs.map((job) => [job.plan.key, job]));
  const queue: Job[] = [];
  const end: { job: Job; outcome: Outcome }[] = [];
  let settled = true;
  while (settled) {
    settled = false;
    for (const job of jobs) {
      if (job.state !== 'waiting' || outcomes.has(job.plan.key) || queue.includes(job)) continue;
      const outcome = job.plan.skip === null ? null : ({ kind: 'skipped', reason: job.plan.skip } as const);
      if (outcome) {
        outcomes.set(job.plan.key, outcome);
        end.push({ job, outcome });
        settled = true;
        continue;
      }
      // A check between the steps of a rollout: the rollout queues it when it comes to it.
      if (job.plan.heldBy !== undefined) {
        if (!outcomes.has(job.plan.heldBy) && byKey.has(job.plan.heldBy)) continue;
        const ended: Outcome = { kind: 'skipped', reason: 'The rollout ended before this check.' };
        outcomes.set(job.plan.key, ended);
        end.push({ job, outcome: ended });
        settled = true;
        continue;
      }
      // What isn't in the run was left out of it because it succeeded before.
      if (!job.plan.needs.every((key) => outcomes.has(key) || !byKey.has(key))) continue;
      const ended = (keys: Iterable<string>): readonly Job[] =>
        [...keys].flatMap((key) => {
          const need = byKey.get(key);
          return need ? [{ ...need, state: 'completed' as const, outcome: outcomes.get(key) ?? null }] : [];
        });
      const answer = condition(job, ended(job.plan.needs), ended(ancestorsOf(job, byKey)));
      if (answer.holds) {
        queue.push(job);
      } else {
        const skipped: Outcome = { kind: 'skipped', reason: answer.reason };
        outcomes.set(job.plan.key, skipped);
        end.push({ job, outcome: skipped });
      }
      settled = true;
    }
  }
  const over = jobs.length > 0 && jobs.every((job) => outcomes.has(job.plan.key));
  return { queue, end, outcome: over ? conclude(jobs, outcomes) : null };
}

/** Keys of the jobs before this one, however far. */
function ancestorsOf(job: Job, byKey: ReadonlyMap<string, Job>): ReadonlySet<string> {
  const keys = new Set(job.plan.needs);
  for (const key of keys) {
    for (const before of byKey.get(key)?.plan.needs ?? []) keys.add(before);
  }
  return keys;
}

/** The worst that happened to a job that counts; skipped jobs don't make a run fail. */
function conclude(jobs: readonly Job[], outcomes: ReadonlyMap<string, Outcome>): Outcome {
  const order = ['broken', 'failure', 'timed_out', 'cancelled'] as const;
  for (const kind of order) {
    const names = jobs
      .filter((job) => outcomes.get(job.plan.key)?.kind === kind && !job.plan.continueOnError)
      .map((job) => job.plan.key);
    if (names.length > 0) return { kind, reason: names.join(', ') };
  }
  const ran = [...outcomes.values()].some((o) => o.kind !== 'skipped');
  return ran ? { kind: 'success' } : { kind: 'skipped', reason: 'No job runs for this event.' };
}

/** True if a job that needs this one may take it as passed. */
export function passed(job: Job): boolean {
  if (job.outcome === null) return false;
  if (job.outcome.kind === 'success' || job.outcome.kind === 'neutral') return true;
  return job.plan.continueOnError && job.outcome.kind !== 'skipped' && job.outcome.kind !== 'cancelled';
}
