import { PlatformError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import {
  assess,
  graceMs,
  isComplete,
  type RolloutContext,
  standingTrouble,
  type Verdict,
  type WorkloadState,
} from '#src/model/rollout.ts';
import type { Cluster } from './ports.ts';
import { type Deadline, pause, type RolloutTime } from './rollout-time.ts';

export type Followed =
  | Exclude<Verdict, { readonly kind: 'progressing' }>
  | { readonly kind: 'cancelled'; readonly reason: string };

export interface FollowRequest {
  readonly cluster: Cluster;
  readonly target: RolloutTarget;
  /** What the patch answered. */
  readonly set: Pick<RolloutContext, 'generation' | 'image'>;
  readonly deadline: Deadline;
  readonly time: RolloutTime;
  readonly onProgress: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Watches one workload until its rollout is complete or has failed. A silent cluster doesn't matter: the deadline
 * and the grace of a trouble have a timer of their own. A cluster that can't be reached is tried until the deadline and is
 * no verdict: then Unreached is thrown. Throws UserError as the cluster does.
 */
export async function follow(request: FollowRequest): Promise<Followed> {
  const { signal, target } = request;
  const memory: Memory = { trouble: null, troubleSince: null, told: '', failures: 0 };
  const tell = (message: string): void => {
    if (message !== memory.told) request.onProgress(message);
    memory.told = message;
  };
  for (;;) {
    try {
      return await observe(request, memory, tell);
    } catch (error) {
      if (signal.aborted) return { kind: 'cancelled', reason: reasonOf(signal) };
      if (!(error instanceof PlatformError)) throw error;
      const trouble = (message: string): void => tell(`${target.namespace}/${target.name}: ${message}`);
      try {
        await pause(error, memory.failures, request, trouble);
      } catch (over) {
        if (signal.aborted) return { kind: 'cancelled', reason: reasonOf(signal) };
        throw over;
      }
      memory.failures += 1;
    }
  }
}

/** What one observation knows of those before it. */
interface Memory {
  trouble: ReturnType<typeof standingTrouble>;
  troubleSince: number | null;
  told: string;
  failures: number;
}

async function observe(request: FollowRequest, memory: Memory, tell: (message: string) => void): Promise<Followed> {
  const { cluster, target, set, deadline, signal, time } = request;
  const stop = new AbortController();
  const states = cluster.observe(target, AbortSignal.any([signal, stop.signal]))[Symbol.asyncIterator]();
  let next = nextOf(states);
  let state: WorkloadState | null = null;
  // Whoever comes late, or back from an outage, looks before anything is said.
  const look = time.steady() + Math.min(10_000, graceMs(deadline.timeoutMs));
  const lookUntil = Math.max(look, deadline.startedAt + deadline.timeoutMs);
  try {
    for (;;) {
      if (signal.aborted) return { kind: 'cancelled', reason: reasonOf(signal) };
      const now = time.steady();
      if (state) {
        const verdict = assess(state, { ...set, ...deadline, now, troubleSince: memory.troubleSince });
        if (verdict.kind === 'failed' && verdict.cause !== 'superseded') return await confirmed(request, verdict);
        if (verdict.kind !== 'progressing') return verdict;
        tell(verdict.message);
      } else if (now >= lookUntil) {
        throw new PlatformError('It told nothing about the workload. Check that its API server can be reached.');
      }
      const turn = new AbortController();
      const due: number = state === null ? lookUntil - now : untilDue(deadline, now, memory.troubleSince);
      const event: Next | 'due' = await Promise.race([next, timer(request, due, turn.signal)]);
      turn.abort();
      if (event === 'due') continue;
      if ('error' in event) {
        if (signal.aborted) continue;
        throw event.error;
      }
      next = nextOf(states);
      state = event.state;
      memory.failures = 0;
      const standing = standingTrouble(state, set.generation);
      if (standing !== memory.trouble) memory.troubleSince = standing === null ? null : time.steady();
      memory.trouble = standing;
    }
  } finally {
    stop.abort();
    // Not awaited: an observation that hangs must not keep the rollout.
    void states.return?.().catch(() => undefined);
  }
}

/** What is seen may be old if the cluster can't be reached just now: before it counts as a failure, the cluster is asked. */
async function confirmed(
  request: FollowRequest,
  verdict: Exclude<Verdict, { readonly kind: 'progressing' }>,
): Promise<Followed> {
  const { cluster, target, set, signal } = request;
  const state = await cluster.inspect(target, signal);
  if (state.image !== set.image || !isComplete(state, set.generation)) return verdict;
  return {
    kind: 'complete',
    message: `${target.namespace}/${target.name}: ${state.wanted} of ${state.wanted} updated and available`,
  };
}

type Next = { readonly state: WorkloadState } | { readonly error: unknown };

async function nextOf(states: AsyncIterator<WorkloadState>): Promise<Next> {
  try {
    const result = await states.next();
    return result.done
      ? { error: new PlatformError('The cluster stopped telling about the workload.') }
      : { state: result.value };
  } catch (error) {
    return { error };
  }
}

/** Milliseconds until time alone changes the verdict. */
function untilDue(deadline: Deadline, now: number, troubleSince: number | null): number {
  const left = deadline.startedAt + deadline.timeoutMs - now;
  const grace = troubleSince === null ? left : troubleSince + graceMs(deadline.timeoutMs) - now;
  return Math.max(0, Math.min(left, grace));
}

async function timer(request: FollowRequest, ms: number, stopped: AbortSignal): Promise<'due'> {
  await request.time.sleep(ms, AbortSignal.any([request.signal, stopped])).catch(() => undefined);
  return 'due';
}

function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}
