import { PlatformError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import {
  assess,
  duration,
  graceMs,
  isComplete,
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
  readonly set: { readonly generation: number; readonly images: Readonly<Record<string, string>> };
  readonly deadline: Deadline;
  /** So long it must stay complete, on end, before it counts; that may be over as late after the deadline. */
  readonly stableMs: number;
  readonly time: RolloutTime;
  readonly onProgress: (message: string) => void;
  readonly onState: (state: WorkloadState) => void;
  readonly signal: AbortSignal;
}

/**
 * Watches one workload until its rollout is complete (and has been so for as long as it must) or has failed. A silent
 * cluster doesn't matter: the deadline and the grace of a trouble have a timer of their own. A cluster that can't be reached
 * is tried until the deadline and is no verdict: then Unreached is thrown. Throws UserError as the cluster does.
 */
export async function follow(request: FollowRequest): Promise<Followed> {
  const { signal, target, deadline, stableMs } = request;
  const memory: Memory = { trouble: null, troubleSince: null, told: '', failures: 0, complete: null };
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
      const until = { ...request, deadline: memory.complete === null ? deadline : later(deadline, stableMs) };
      // Nobody knows whether it stays complete while nobody sees it.
      memory.complete = null;
      const trouble = (message: string): void => tell(`${target.namespace}/${target.name}: ${message}`);
      try {
        await pause(error, memory.failures, until, trouble);
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
  /** Since when it has been complete without a restart, and how many restarts there were by then; null: it isn't. */
  complete: { readonly since: number; readonly restarts: number } | null;
}

async function observe(request: FollowRequest, memory: Memory, tell: (message: string) => void): Promise<Followed> {
  const { cluster, target, set, deadline, signal, time } = request;
  const stop = new AbortController();
  const states = cluster.observe(target, AbortSignal.any([signal, stop.signal]))[Symbol.asyncIterator]();
  let next = nextOf(states);
  let state: WorkloadState | null = null;
  const image = set.images[target.container] ?? '';
  // Whoever comes late, or back from an outage, looks before anything is said.
  const look = time.steady() + Math.min(10_000, graceMs(deadline.timeoutMs));
  const lookUntil = Math.max(look, deadline.startedAt + deadline.timeoutMs);
  try {
    for (;;) {
      if (signal.aborted) return { kind: 'cancelled', reason: reasonOf(signal) };
      const now = time.steady();
      if (state) {
        const context = { ...set, ...deadline, image, now, troubleSince: memory.troubleSince };
        const verdict = assess(state, context);
        if (verdict.kind === 'failed' && verdict.cause !== 'superseded') return await confirmed(request, verdict);
        if (verdict.kind === 'failed') return verdict;
        if (verdict.kind === 'progressing') memory.complete = null;
        else {
          const held = await stays(request, memory, state, verdict);
          if (held) return held;
        }
        tell(verdict.kind === 'complete' ? waiting(verdict.message, request.stableMs) : verdict.message);
      } else if (now >= lookUntil) {
        throw new PlatformError('It told nothing about the workload. Check that its API server can be reached.');
      }
      const turn = new AbortController();
      const due: number = state === null ? lookUntil - now : untilDue(request, now, memory);
      const event: Next | 'due' = await Promise.race([next, timer(request, due, turn.signal)]);
      turn.abort();
      if (event === 'due') continue;
      if ('error' in event) {
        if (signal.aborted) continue;
        throw event.error;
      }
      next = nextOf(states);
      state = event.state;
      request.onState(state);
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

/** The verdict on a workload that is complete, or null as long as it has to stay so. */
async function stays(
  request: FollowRequest,
  memory: Memory,
  state: WorkloadState,
  verdict: Extract<Verdict, { readonly kind: 'complete' }>,
): Promise<Followed | null> {
  const { cluster, target, set, deadline, stableMs, time, signal } = request;
  if (stableMs <= 0 || state.wanted === 0) return verdict;
  const now = time.steady();
  const before = memory.complete;
  if (before === null || state.restarts > before.restarts) memory.complete = { since: now, restarts: state.restarts };
  const since = memory.complete?.since ?? now;
  if (now - since >= stableMs) {
    // What was seen may be old: a watch may have been silent all the while.
    const fresh = await cluster.inspect(target, signal);
    if (isDone(fresh, set)) return verdict;
    memory.complete = null;
  }
  if (now < endOf(later(deadline, stableMs))) return null;
  const reason = `${target.namespace}/${target.name}: all pods became available, but never stayed so for ${duration(stableMs)}.`;
  return { kind: 'failed', cause: 'deadline', reason: `${reason} Their last log lines and events say why.` };
}

function waiting(message: string, stableMs: number): string {
  return `${message}; it counts after ${duration(stableMs)} on end`;
}

/** What is seen may be old if the cluster can't be reached just now: before it counts as a failure, the cluster is asked. */
async function confirmed(
  request: FollowRequest,
  verdict: Exclude<Verdict, { readonly kind: 'progressing' }>,
): Promise<Followed> {
  const { cluster, target, set, signal } = request;
  const state = await cluster.inspect(target, signal);
  if (!isDone(state, set)) return verdict;
  return {
    kind: 'complete',
    message: `${target.namespace}/${target.name}: ${state.wanted} of ${state.wanted} updated and available`,
  };
}

function isDone(state: WorkloadState, set: FollowRequest['set']): boolean {
  const ours = Object.entries(set.images).every(([container, image]) => state.images[container] === image);
  return ours && isComplete(state, set.generation);
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
function untilDue({ deadline, stableMs }: FollowRequest, now: number, memory: Memory): number {
  if (memory.complete !== null) {
    return Math.max(1, Math.min(memory.complete.since + stableMs, endOf(later(deadline, stableMs))) - now);
  }
  const { troubleSince } = memory;
  const left = endOf(deadline) - now;
  const grace = troubleSince === null ? left : troubleSince + graceMs(deadline.timeoutMs) - now;
  return Math.max(0, Math.min(left, grace));
}

function endOf(deadline: Deadline): number {
  return deadline.startedAt + deadline.timeoutMs;
}

function later(deadline: Deadline, ms: number): Deadline {
  return { ...deadline, timeoutMs: deadline.timeoutMs + ms };
}

async function timer(request: FollowRequest, ms: number, stopped: AbortSignal): Promise<'due'> {
  await request.time.sleep(ms, AbortSignal.any([request.signal, stopped])).catch(() => undefined);
  return 'due';
}

function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}
