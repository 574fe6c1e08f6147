import { constants } from 'node:os';
import type { JobRequest } from '#src/engine/ports.ts';
import { type Outcome, PlatformError, success } from '#src/model/outcome.ts';
import type { JobLimits } from './container.ts';
import type { JobOutput } from './output.ts';

/** How a container ended that didn't tell the end of its job. */
export interface LastState {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  /** It was removed by somebody else. */
  readonly gone: boolean;
}

/**
 * The outcome of a job that wasn't stopped. `last` is null if the job told its end, which is the rule.
 * Throws PlatformError if the container was taken away.
 */
export function judge(
  request: Pick<JobRequest, 'steps' | 'shell'>,
  state: JobOutput['state'],
  last: LastState | null,
  limits: JobLimits,
): Outcome {
  if (last?.gone || last?.exitCode === -1) {
    throw new PlatformError(
      "The job's container was removed or Docker was restarted while the job ran. Re-run the job.",
    );
  }
  if (state.inputsFailed) {
    return {
      kind: 'failure',
      reason: "The artifacts of the jobs that it needs couldn't be unpacked; the log says why.",
    };
  }
  const code = state.done?.code ?? last?.exitCode ?? 0;
  const outOfMemory = (state.done?.oomKills ?? 0) > 0 || last?.oomKilled === true;
  if (code === 0 && state.done) return packed(state);
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
  return { kind: 'failure', reason: `${where} ${exited(code)}${early}.` };
}

function packed(state: JobOutput['state']): Outcome {
  if (!state.unpacked.has('artifacts')) return success;
  return { kind: 'failure', reason: "The artifacts couldn't be packed; the end of the log says why." };
}

/** `failed with exit code 1`, and the signal's name where a shell tells it as 128 + number. */
function exited(code: number): string {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return code > 128 && signal ? `was ended by ${signal} (exit code ${code})` : `failed with exit code ${code}`;
}
