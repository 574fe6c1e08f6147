import type { RolloutStep, StepsFailure, StepsWorkload } from '#src/model/delivery.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { isComplete, type WorkloadState } from '#src/model/rollout.ts';
import type { Result } from '#src/model/steps.ts';
import { duration } from '#src/model/steps-report.ts';
import { check } from './checks.ts';
import { approvalRuleOf, approvalsOf } from './deploy/approvals.ts';
import { follow } from './rollout-follow.ts';
import { messageOf, nameOf } from './rollout-words.ts';
import type { Stepping } from './steps-book.ts';
import { type Ear, openEar } from './steps-turn.ts';

/** So long an approval is waited for; milliseconds. */
const approvalMs = 7 * 24 * 60 * 60_000;
/** How often what others decide is looked at, beside being told. */
const lookMs = 2000;

/**
 * Waits where the rollout is to wait: for time to pass, for an approval, for a check. Meanwhile the pods beside are watched:
 * when they fail, so does this. Throws only the reason of `leave`, and what `gate` throws.
 */
export async function hold(stepping: Stepping, step: RolloutStep): Promise<Result> {
  const { leave } = stepping;
  const stop = new AbortController();
  const signal = AbortSignal.any([stepping.signal, leave, stop.signal]);
  const number = stepping.book.now().step + 1;
  try {
    const failing = guard(stepping, signal);
    return await Promise.race([holding(stepping, step, number, signal), failing]);
  } catch (error) {
    leave.throwIfAborted();
    if (stepping.signal.aborted) return fail('cancelled', messageOf(stepping.signal.reason));
    throw error;
  } finally {
    stop.abort();
    if (step.kind === 'approval' && !leave.aborted) await stepping.gate(null);
  }
}

async function holding(stepping: Stepping, step: RolloutStep, number: number, signal: AbortSignal): Promise<Result> {
  switch (step.kind) {
    case 'pause':
      return await pause(stepping, step.seconds, signal);
    case 'approval':
      return await approving(stepping, number, signal);
    case 'weight':
      return { kind: 'done' };
    default:
      return await check(stepping, step, number, signal);
  }
}

/** From when the step began, also if that was in another process. */
async function pause({ clock, time, book }: Stepping, seconds: number, signal: AbortSignal): Promise<Result> {
  const ms = seconds * 1000;
  const left = Math.min(ms, Math.max(0, book.now().since + ms - clock.now()));
  book.tell(`pause of ${duration(seconds)}`);
  await time.sleep(left, signal).catch(() => undefined);
  signal.throwIfAborted();
  return { kind: 'done' };
}

async function approving(stepping: Stepping, number: number, signal: AbortSignal): Promise<Result> {
  const ear = openEar(stepping);
  try {
    return await approval(stepping, number, signal, ear);
  } finally {
    ear.close();
  }
}

async function approval(stepping: Stepping, number: number, signal: AbortSignal, ear: Ear): Promise<Result> {
  const { parts, job, work, clock, book } = stepping;
  const gate = `step ${number}`;
  const rule = approvalRuleOf(work, gate);
  const until = book.now().since + approvalMs;
  let shown = '';
  for (;;) {
    // A database that can't be read for a moment approves and rejects nothing.
    const now = await approvalsOf(parts, job, gate, rule).catch((error: unknown) => {
      if (error instanceof PlatformError) return null;
      throw error;
    });
    signal.throwIfAborted();
    if (now?.rejectedBy) {
      return fail('cancelled', `@${now.rejectedBy} rejected step ${number}.`);
    }
    if (now?.enough === true) {
      const note = `approved by ${now.given.map((it) => `@${it}`).join(', ')}`;
      // Shown before the gate opens: nobody shall read that it still waits.
      book.tell(note);
      return { kind: 'done', note };
    }
    const given = now?.given ?? [];
    if (JSON.stringify(given) !== shown) {
      const missing = rule.count - given.length;
      // With the gate, not after it: what is shown then is what it waits for.
      book.tell(`waits for ${missing} ${missing === 1 ? 'approval' : 'approvals'}`);
      await stepping.gate({ kind: 'approval', gate, needed: rule.count, given });
      shown = JSON.stringify(given);
    }
    if (clock.now() >= until) {
      return fail('timed_out', `Nobody approved step ${number} for 7 days.`);
    }
    await ear.wait(lookMs, signal);
    signal.throwIfAborted();
  }
}

/** Settles only when pods beside a workload fail by the rules of a plain rollout; what can't be seen is no failure. */
async function guard(stepping: Stepping, signal: AbortSignal): Promise<Result> {
  const watched = stepping.book.now().workloads.map((it, index) => ({ it, index }));
  const failures = watched
    .filter(({ it }) => it.replicas > 0)
    .map(({ it, index }) => watchBeside(stepping, it, index, signal));
  const failure = await Promise.race([...failures, new Promise<never>(() => {})]);
  return { kind: 'failed', failure };
}

async function watchBeside(
  stepping: Stepping,
  { target, beside }: StepsWorkload,
  index: number,
  signal: AbortSignal,
): Promise<StepsFailure> {
  const { parts, cluster, time, timeoutMs, book } = stepping;
  const watched = { ...target, name: beside };
  let wasThere = false;
  while (!signal.aborted) {
    try {
      const state = await parts.canaries.state(target, beside, signal);
      if (state === null && wasThere) {
        return { kind: 'failure', reason: `${nameOf(watched)} was removed by somebody else during the rollout.` };
      }
      if (state === null) break;
      wasThere = true;
      const ended = await follow({
        cluster,
        target: watched,
        set: { generation: state.generation, images: state.images },
        deadline: { startedAt: time.steady(), timeoutMs },
        stableMs: 0,
        time,
        onProgress: () => {},
        onState: (it) => book.seen(index, 'beside', it),
        signal,
      });
      if (ended.kind === 'failed') return { kind: 'failure', reason: ended.reason };
      if (ended.kind === 'complete') await untilUnwell(stepping, { target: watched, state, index }, signal);
    } catch (error) {
      if (signal.aborted) break;
      if (!(error instanceof PlatformError)) return { kind: 'failure', reason: messageOf(error) };
      await time.sleep(15_000, signal).catch(() => undefined);
    }
  }
  return await new Promise<never>(() => {});
}

async function untilUnwell(
  { cluster, book }: Stepping,
  watched: { readonly target: StepsWorkload['target']; readonly state: WorkloadState; readonly index: number },
  signal: AbortSignal,
): Promise<void> {
  for await (const state of cluster.observe(watched.target, signal)) {
    book.seen(watched.index, 'beside', state);
    if (state.generation !== watched.state.generation || !isComplete(state, state.generation)) return;
  }
}

function fail(kind: StepsFailure['kind'], reason: string): Result {
  return { kind: 'failed', failure: { kind, reason } };
}
