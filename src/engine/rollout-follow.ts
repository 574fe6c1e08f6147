import type { RolloutTarget } from '#src/model/pipeline.ts';
import {
  assess,
  graceMs,
  type RolloutContext,
  standingTrouble,
  type Verdict,
  type WorkloadState,
} from '#src/model/rollout.ts';
import type { Clock, Cluster } from './ports.ts';

export type Followed =
  | Exclude<Verdict, { readonly kind: 'progressing' }>
  | { readonly kind: 'cancelled'; readonly reason: string };

/**
 * Watches one workload until its rollout is complete or has failed. A silent cluster doesn't matter: the deadline
 * and the grace of a trouble have a timer of their own. Throws what the cluster throws.
 */
export async function follow(request: {
  readonly cluster: Cluster;
  readonly clock: Clock;
  readonly target: RolloutTarget;
  readonly context: Pick<RolloutContext, 'generation' | 'image' | 'startedAt' | 'timeoutMs'>;
  readonly onProgress: (message: string) => void;
  readonly signal: AbortSignal;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}): Promise<Followed> {
  const { cluster, clock, target, context, signal } = request;
  const stop = new AbortController();
  const states = cluster.observe(target, AbortSignal.any([signal, stop.signal]))[Symbol.asyncIterator]();
  let next = nextOf(states);
  let state: WorkloadState | null = null;
  let trouble: ReturnType<typeof standingTrouble> = null;
  let troubleSince: number | null = null;
  let told = '';
  try {
    for (;;) {
      if (signal.aborted) return { kind: 'cancelled', reason: reasonOf(signal) };
      const now = clock.now();
      const late = now - context.startedAt >= context.timeoutMs;
      if (state) {
        const verdict = assess(state, { ...context, now, troubleSince });
        if (verdict.kind !== 'progressing') return verdict;
        if (verdict.message !== told) request.onProgress(verdict.message);
        told = verdict.message;
      } else if (late) {
        return { kind: 'failed', cause: 'deadline', reason: unseen(target) };
      }
      const turn = new AbortController();
      const event = await Promise.race([next, timer(request, untilDue(context, now, troubleSince), turn.signal)]);
      turn.abort();
      if (event === 'due') continue;
      if ('error' in event) {
        if (signal.aborted) continue;
        throw event.error;
      }
      next = nextOf(states);
      state = event.state;
      const standing = standingTrouble(state, context.generation);
      if (standing !== trouble) troubleSince = standing === null ? null : clock.now();
      trouble = standing;
    }
  } finally {
    stop.abort();
    await states.return?.().catch(() => undefined);
  }
}

type Next = { readonly state: WorkloadState } | { readonly error: unknown };

async function nextOf(states: AsyncIterator<WorkloadState>): Promise<Next> {
  try {
    const result = await states.next();
    return result.done
      ? { error: new Error('The cluster stopped telling about the workload.') }
      : { state: result.value };
  } catch (error) {
    return { error };
  }
}

/** Milliseconds until time alone changes the verdict. */
function untilDue(
  context: Pick<RolloutContext, 'startedAt' | 'timeoutMs'>,
  now: number,
  troubleSince: number | null,
): number {
  const deadline = context.startedAt + context.timeoutMs - now;
  if (troubleSince === null) return deadline;
  const grace = troubleSince + graceMs(context.timeoutMs) - now;
  return Math.max(0, Math.min(deadline, grace));
}

async function timer(
  request: { readonly signal: AbortSignal; readonly sleep: (ms: number, signal: AbortSignal) => Promise<void> },
  ms: number,
  stopped: AbortSignal,
): Promise<'due'> {
  await request.sleep(ms, AbortSignal.any([request.signal, stopped])).catch(() => undefined);
  return 'due';
}

function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}

function unseen(target: RolloutTarget): string {
  return `${target.namespace}/${target.name}: the cluster told nothing about it before the time was over. Check that its API server can be reached.`;
}
