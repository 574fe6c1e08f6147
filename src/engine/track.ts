import type { Annotation } from '#src/model/annotation.ts';
import { maskText } from '#src/model/mask.ts';
import type { Outcome } from '#src/model/outcome.ts';
import { type Job, pendingStep, type Step, type TestSummary } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import type { ArchiveRef, JobListener, StepChange } from './ports.ts';
import { repeat } from './repeat.ts';

/** What a job ended with, to be stored. */
export interface Completion {
  readonly outcome: Outcome;
  readonly annotations?: readonly Annotation[];
  readonly tests?: TestSummary | null;
  readonly artifacts?: ArchiveRef | null;
  /** As Job.report. */
  readonly report?: string;
}

export interface Track {
  readonly listener: JobListener;
  /** Forgets what an earlier process left of this attempt: the job begins again. Before anything is written. */
  anew(): Promise<void>;
  /** False if the job is another server's by now: then nothing may be written. True if the database doesn't say. */
  holds(): Promise<boolean>;
  /** A line of Slipway's own in the job's log; what others wrote may be part of it, so it is masked. */
  say(line: string): void;
  /** From now on these values, in place of the operator's alone, are hidden in what `say` is given. */
  hide(secrets: readonly string[]): void;
  /** What is hidden. */
  readonly hidden: readonly string[];
  /** Aborted when the log can't be written: the job had better stop; `close` then throws why. */
  readonly failed: AbortSignal;
  /** Writes what is left; no listener call may follow. Throws PlatformError if the log isn't whole. */
  close(): Promise<void>;
}

/**
 * Writes a job's output into its log and its steps' states into the store while it runs. Steps are stored one
 * after the other, the newest state at most once behind the one being written. What an earlier process wrote of this
 * attempt stays until `anew` or the listener's `rewind`; the times of steps that it stored are kept.
 * `lost` is told when the job turns out to be another server's.
 */
export async function trackJob(
  parts: Parts,
  job: Job,
  stepNames: readonly string[],
  also: (bytes: Buffer) => void,
  lost: () => void = () => {},
): Promise<Track> {
  const writer = await parts.logs.open({ jobId: job.id, attempt: job.attempt });
  let hidden = parts.limits.secrets;
  let steps: readonly Step[] = stepNames.map((name, index) => ({
    ...pendingStep(name, index),
    ...job.steps[index],
    name,
  }));
  const owned = { jobId: job.id, attempt: job.attempt, worker: parts.limits.worker };
  const storing = repeat(async () => {
    try {
      if (!(await parts.store.runs.progress(owned, { steps }))) lost();
    } catch (error) {
      parts.log.warn({ err: error, job: job.id }, "a job's steps could not be stored");
    }
    parts.reporter.report(job.runId);
  });

  function write(bytes: Buffer): void {
    writer.write(bytes);
    also(bytes);
  }

  async function holds(): Promise<boolean> {
    const held = await parts.store.runs.progress(owned, {}).catch(() => true);
    if (!held) lost();
    return held;
  }

  function cut(offset: number): Promise<void> {
    return writer.cut(offset, holds);
  }

  storing.ask();
  return {
    failed: writer.failed,
    listener: {
      begin: () => writer.offset,
      rewind: cut,
      log: write,
      step(change) {
        steps = steps.map((step) => (step.index === change.index ? applyStep(step, change, writer.offset) : step));
        storing.ask();
      },
    },
    holds,
    async anew() {
      await cut(0);
      steps = stepNames.map(pendingStep);
      storing.ask();
    },
    say: (line) => write(Buffer.from(`${maskText(line, hidden)}\n`)),
    hide(secrets) {
      hidden = secrets;
    },
    get hidden() {
      return hidden;
    },
    async close() {
      await storing.settled();
      await writer.close();
    },
  };
}

/** A change that is told again after a restart doesn't move the time at which it happened. */
function applyStep(step: Step, change: StepChange, offset: number): Step {
  if (change.kind === 'started') {
    const state = step.state === 'completed' ? step.state : 'running';
    return { ...step, state, startedAt: step.startedAt ?? change.at, logStart: offset };
  }
  const finishedAt = step.finishedAt ?? change.at;
  return { ...step, state: 'completed', finishedAt, exitCode: change.exitCode, logEnd: offset };
}
