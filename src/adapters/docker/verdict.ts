import { constants } from 'node:os';
import type { JobRequest } from '#src/engine/ports.ts';
import { type Outcome, PlatformError, success } from '#src/model/outcome.ts';
import type { JobLimits } from './container.ts';
import type { JobOutput } from './output.ts';

/** How a container ended that didn't tell the end of its job. */
export interface LastState {
  /** Null if nobody knows. */
  readonly exitCode: number | null;
  readonly oomKilled: boolean;
  /** It was removed by somebody else. */
  readonly gone: boolean;
  /** The engine went away while the container ran. */
  readonly restarted: boolean;
  /** The engine went away and didn't come back. */
  readonly unreachable: boolean;
}

type Told = Pick<JobOutput['state'], 'step' | 'done' | 'hasBegun' | 'inputsFailed' | 'unpacked'>;

/**
 * The outcome of a job that wasn't stopped. `last` is null if the job told its end, which is the rule.
 * Throws PlatformError if somebody else ended the container.
 */
export function judge(
  request: Pick<JobRequest, 'steps' | 'shell' | 'artifacts' | 'reports'> & Partial<Pick<JobRequest, 'docker'>>,
  state: Told,
  last: LastState | null,
  limits: JobLimits,
): Outcome {
  const packing = request.artifacts.length + request.reports.length > 0;
  // A job that told its exit code and had nothing to pack, or failed, has told all that counts.
  const settled = state.inputsFailed || (state.done !== null && (state.done.code !== 0 || !packing));
  if (last !== null && !settled) refuse(last, state.hasBegun);
  if (state.inputsFailed) {
    return {
      kind: 'failure',
      reason: "The artifacts of the jobs that it needs couldn't be unpacked; the log says why.",
    };
  }
  // Packing was broken off: the archive may be torn.
  const torn = last !== null && !settled;
  const code = (torn ? null : state.done?.code) ?? last?.exitCode ?? 0;
  const outOfMemory = (state.done?.oomKills ?? 0) > 0 || (last?.oomKilled === true && code !== 0);
  if (code === 0) return packed(state);
  const where = state.step === null ? 'The job' : `Step "${request.steps[state.step]?.name ?? state.step + 1}"`;
  if (outOfMemory) {
    const limit = `${Math.round((limits.memory / 1024 ** 3) * 100) / 100} GiB`;
    return { kind: 'failure', reason: `${where} ran out of memory (the limit is ${limit}): ${exited(code)}.` };
  }
  if (state.step === null && code === 127) {
    return {
      kind: 'failure',
      reason: `The job couldn't begin: the image lacks a program it needs; the log says which.`,
    };
  }
  const early = state.done ? '' : ", and the job's container with it";
  // What wasn't found is most often the client, which many expect beside the engine.
  const hint =
    code === 127 && request.docker
      ? ' If it was docker that was not found: Slipway brings no client, the image must have the docker command.'
      : '';
  return { kind: 'failure', reason: `${where} ${exited(code)}${early}.${hint}` };
}

/** Signals by which the kernel ends a program for what itself did. */
const OWN_FAULTS = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'SIGSYS'] as const;

/**
 * Throws PlatformError for an end that can't be the job's doing. The kernel protects the container's first process from
 * the job's signals, so one ended it from outside, unless memory ran out or the image's shell crashed.
 */
function refuse(last: LastState, hasBegun: boolean): void {
  if (last.unreachable) {
    throw ended("The Docker engine went away while the job ran, and can't be reached since. See that it is well.");
  }
  if (last.restarted) throw ended('The Docker engine restarted while the job ran, and ended it.');
  if (last.gone || last.exitCode === null) {
    throw ended("The job's container is gone: somebody removed it while the job ran.");
  }
  const { exitCode } = last;
  const fault = OWN_FAULTS.some((signal) => constants.signals[signal] + 128 === exitCode);
  const memory = last.oomKilled && exitCode === 137;
  if (exitCode > 128 && !fault && !memory) {
    throw ended(
      `The Docker engine restarted or somebody stopped the job's container while the job ran (exit code ${exitCode}).`,
    );
  }
  // Nothing of the job's has run: an engine that is shutting down ends containers in odd ways. 126 and 127 are the shell's.
  if (!hasBegun && ![0, 126, 127].includes(exitCode)) {
    throw ended(
      `The job's container ended before the job could begin (exit code ${exitCode}). See that the engine is well, and that the image's /bin/sh is a shell.`,
    );
  }
  // The shell went its way to the end, and couldn't say so.
  if (exitCode === 0) throw ended("The end of the job's log couldn't be written. Is the server's disk full?");
}

const ended = (message: string) => new PlatformError(message, { retry: 'once' });

function packed(state: Told): Outcome {
  if (!state.unpacked.has('artifacts')) return success;
  return { kind: 'failure', reason: "The artifacts couldn't be packed; the end of the log says why." };
}

/** `failed with exit code 1`, and the signal's name where a shell tells it as 128 + number. */
function exited(code: number): string {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return code > 128 && signal ? `was ended by ${signal} (exit code ${code})` : `failed with exit code ${code}`;
}
