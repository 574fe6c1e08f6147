import type { StepsFailure, StepsWorkload } from '#src/model/delivery.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { givenUp, type Move, next, type Pods } from '#src/model/steps.ts';
import { type Followed, follow } from './rollout-follow.ts';
import { deadlineSince, Unreached } from './rollout-time.ts';
import { messageOf, nameOf } from './rollout-words.ts';
import type { Stepping } from './steps-book.ts';
import { type Ended, failed, uncleared, undone, wentBack } from './steps-end.ts';
import { hold } from './steps-hold.ts';
import { look, seenOf, type States } from './steps-look.ts';
import { hasBegun, promote, Storing } from './steps-promote.ts';
import { serviceOf, switchService } from './steps-service.ts';
import { ask, type Turn } from './steps-turn.ts';

/** So often the same move is made before something else must be undoing it. */
const mostRepeats = 5;

/**
 * Does what is to be done in the rollout's phase until it is over. Looks before each move, so that nothing is done twice.
 * Throws only the reason of `leave`, and what storing throws.
 */
export async function runPhase(stepping: Stepping): Promise<Ended> {
  const { clock, time, timeoutMs, leave, strategy, book } = stepping;
  const { phase, since, workloads } = book.now();
  // Whether a rollout of the stable ones that was cancelled goes back, or was done before, is its own to say.
  const isDeaf = phase === 'aborting' || phase === 'cleaning' || phase === 'promoting';
  const signal = isDeaf ? leave : AbortSignal.any([stepping.signal, leave]);
  const turn: Turn = {
    signal,
    deadline: deadlineSince(since, timeoutMs, clock, time),
    placed: new Set(),
    gaveUp: workloads.map(() => 'no'),
    troubles: [],
  };
  const made = new Map<string, number>();
  try {
    // What was patched is seen through, or put back, by its own rules: also where nothing can be seen just now.
    if (phase === 'promoting' && hasBegun(book)) return await promote(stepping, [], turn);
    for (;;) {
      leave.throwIfAborted();
      if (signal.aborted) return failed('cancelled', messageOf(signal.reason));
      const states = await look(stepping, turn);
      const seen = states.map((it, index) => seenOf(stepping, turn, it, index));
      const serves = await serviceOf(stepping, turn);
      const moves = next(book.now(), strategy, seen, serves);
      const [first] = moves;
      if (!first || first.kind === 'end') return { result: { kind: 'done' } };
      if (first.kind === 'advance')
        return phase === 'aborting' ? wentBack(stepping, turn, states, seen) : { result: { kind: 'done' } };
      if (first.kind === 'hold') return { result: await hold(stepping, first.step) };
      if (first.kind === 'promote') return await promote(stepping, states, turn);
      for (const move of moves) {
        const key = JSON.stringify(move);
        made.set(key, (made.get(key) ?? 0) + 1);
        const again = (made.get(key) ?? 0) > mostRepeats && move.kind !== 'wait' && move.kind !== 'remove';
        if (again) return undone(stepping, move);
      }
      const ended = await Promise.all(moves.map((move) => make(stepping, turn, move, states)));
      const worst = ended.find((it) => it !== null);
      if (worst && phase === 'cleaning') return uncleared(stepping, worst.reason);
      if (worst) return { result: { kind: 'failed', failure: worst } };
    }
  } catch (error) {
    leave.throwIfAborted();
    if (error instanceof Storing) throw error.error;
    if (signal.aborted) return failed('cancelled', messageOf(signal.reason));
    if (phase === 'cleaning') return uncleared(stepping, messageOf(error));
    const failure: StepsFailure = {
      kind: error instanceof UserError ? 'failure' : 'broken',
      reason: phase === 'aborting' ? `GOING BACK FAILED: ${messageOf(error)} Look at it now.` : messageOf(error),
    };
    return { result: { kind: 'failed', failure } };
  }
}

/** Makes one move. Null if it was made, else why the rollout fails. */
async function make(
  stepping: Stepping,
  turn: Turn,
  move: Move,
  states: readonly States[],
): Promise<StepsFailure | null> {
  const { parts, book } = stepping;
  const { signal } = turn;
  if (move.kind === 'switch') return await switchService(stepping, turn, move.to);
  if (!('index' in move)) return null;
  const workload = book.now().workloads[move.index];
  if (!workload) return null;
  const { target, beside, images } = workload;
  const name = nameOf(target);
  switch (move.kind) {
    case 'place': {
      const { selector } = book.now();
      const labels = selector ? { labels: selector.to, instead: selector.from } : { labels: null };
      book.tell(`${name}: ${move.replicas} new ${move.replicas === 1 ? 'pod' : 'pods'} beside it`);
      const wish = { name: beside, images, replicas: move.replicas, ...labels };
      await ask(stepping, turn, target, () => parts.canaries.place(target, wish, signal));
      turn.placed.add(move.index);
      return null;
    }
    case 'scale':
      book.tell(`${name}: scaled to ${move.replicas}`);
      await ask(stepping, turn, target, () => parts.canaries.scale(target, target.name, move.replicas, signal));
      return null;
    case 'remove':
      book.tell(`${target.namespace}/${beside}: removed`);
      return await remove(stepping, turn, target, beside);
    case 'wait':
      return await wait(stepping, turn, move, workload, states[move.index]);
  }
}

/** Its pods take their time to end. */
async function remove(
  stepping: Stepping,
  turn: Turn,
  target: RolloutTarget,
  beside: string,
): Promise<StepsFailure | null> {
  const { parts, time } = stepping;
  const { signal, deadline } = turn;
  await ask(stepping, turn, target, () => parts.canaries.remove(target, beside, signal));
  for (;;) {
    const state = await ask(stepping, turn, target, () => parts.canaries.state(target, beside, signal));
    if (state === null) return null;
    if (time.steady() >= deadline.startedAt + deadline.timeoutMs) {
      const reason = `${target.namespace}/${beside} is deleted, but doesn't go: look at its finalizers and pods.`;
      return { kind: 'timed_out', reason };
    }
    await time.sleep(1000, signal).catch(() => undefined);
    signal.throwIfAborted();
  }
}

async function wait(
  stepping: Stepping,
  turn: Turn,
  move: Extract<Move, { readonly kind: 'wait' }>,
  { target, beside }: StepsWorkload,
  states: States | undefined,
): Promise<StepsFailure | null> {
  const { cluster, time, book } = stepping;
  const state = states?.[move.pods];
  if (!state) return null;
  const isBeside = move.pods === 'beside';
  const watched = isBeside ? { ...target, name: beside } : target;
  const ended = await follow({
    cluster,
    target: watched,
    set: { generation: state.generation, images: state.images },
    deadline: turn.deadline,
    stableMs: isBeside ? Math.min(stepping.stableMs ?? 0, stepping.timeoutMs) : 0,
    time,
    onProgress: (message) => book.tell(message),
    onState: (it) => book.seen(move.index, move.pods, it),
    signal: turn.signal,
  }).catch((error: unknown): Followed => {
    stepping.leave.throwIfAborted();
    if (book.now().phase !== 'aborting' || !(error instanceof Unreached || error instanceof UserError)) throw error;
    return { kind: 'failed', cause: 'deadline', reason: error.message };
  });
  stepping.leave.throwIfAborted();
  if (ended.kind === 'complete') return null;
  if (ended.kind === 'cancelled') return { kind: 'cancelled', reason: ended.reason };
  if (book.now().phase === 'aborting') {
    // What stands beside may be what keeps these from coming; then it goes, and they get another time.
    const now = turn.gaveUp[move.index] ?? 'no';
    turn.gaveUp[move.index] = givenUp({ stable: null, beside: states.beside ? noPods : null, gaveUp: now });
    turn.troubles.push(ended.reason);
    turn.deadline = deadlineSince(stepping.clock.now(), stepping.timeoutMs, stepping.clock, time);
    return null;
  }
  if (ended.cause !== 'superseded') await tellWhy(stepping, watched);
  return { kind: ended.cause === 'deadline' ? 'timed_out' : 'failure', reason: ended.reason };
}

const noPods: Pods = { wanted: 0, settled: false, images: 'other' };

/** Best effort: a rollout's outcome doesn't depend on its log. */
async function tellWhy(stepping: Stepping, target: RolloutTarget): Promise<void> {
  const { cluster, onEvents, onLines } = stepping;
  const signal = AbortSignal.any([stepping.signal, stepping.leave, AbortSignal.timeout(10_000)]);
  const [lines, events] = await Promise.all([
    cluster.lastLines(target, 30, signal).catch(() => ''),
    cluster.events(target, signal).catch(() => []),
  ]);
  if (events.length > 0) onEvents?.(events, target);
  if (lines !== '') onLines(lines, target);
}
