import type { RolloutTarget } from '#src/model/pipeline.ts';
import { isComplete, supersededReason, type WorkloadState } from '#src/model/rollout.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { RolloutRequest } from './rollout.ts';
import type { Book, Unit } from './rollout-book.ts';
import { type Followed, follow } from './rollout-follow.ts';
import { deadlineSince, persist, type RolloutTime } from './rollout-time.ts';
import { type Ended, messageOf, nameOf, short, withCluster } from './rollout-words.ts';

/** A workload is brought to images, forward or back. */
export interface Move {
  readonly unit: Unit;
  /** By container. */
  readonly images: Readonly<Record<string, string>>;
  /** By container: what may run there now. Anything else is somebody else's. */
  readonly instead: Readonly<Record<string, readonly (string | null)[]>>;
  /** What the patch answered another process; null: not known. */
  readonly known: Answer | null;
  readonly stableMs: number;
  /** Where the answer is kept. */
  readonly into: 'set' | 'backSet';
  readonly saying: string;
  readonly signal: AbortSignal;
  /** Aborted when there is no use in going on; a patch under way is awaited all the same. */
  readonly halt: AbortSignal;
}

export interface Answer {
  readonly generation: number;
  readonly images: Readonly<Record<string, string>>;
}

/** Patches unless the workload has the images already, and follows. Throws what the book throws, and the reason of `leave`. */
export async function setAndFollow(
  request: RolloutRequest & { readonly time: RolloutTime },
  book: Book,
  move: Move,
): Promise<Ended> {
  const { cluster, clock, time, timeoutMs, leave } = request;
  const { signal, halt, images, instead } = move;
  const { target } = move.unit;
  const name = nameOf(target);
  const onProgress = (message: string): void => request.onProgress(short(withCluster(target, message)));
  const tell = (message: string): void => request.onProgress(short(`${name}: ${message}`));
  const onState = (state: WorkloadState): void => request.onState?.(target, state);
  let set = move.known;
  let storing = false;
  try {
    let deadline = deadlineSince(book.first(move.unit).since ?? clock.now(), timeoutMs, clock, time);
    if (set === null) {
      tell(move.saying);
      const until = { deadline, time, signal: AbortSignal.any([signal, halt]) };
      const state = await persist(() => cluster.inspect(target, until.signal), until, tell);
      until.signal.throwIfAborted();
      onState(state);
      const theirs = foreign(state, images, instead);
      if (theirs !== null)
        return { kind: 'failed', cause: 'superseded', reason: `${name}: ${supersededReason(theirs)}` };
      set = { generation: state.generation, images };
      let { since = clock.now() } = book.first(move.unit);
      if (Object.entries(images).some(([container, image]) => state.images[container] !== image)) {
        // The time limit is the rollout's, which begins now; an outage before it has had a limit of its own.
        since = clock.now();
        deadline = deadlineSince(since, timeoutMs, clock, time);
        set = await persist(() => cluster.setImages(target, images, signal), { deadline, time, signal }, tell);
      }
      const answer = set;
      storing = true;
      await book.note(move.unit, { shared: { since }, each: (it) => noted(move, answer, it) });
      storing = false;
    }
    const watched = AbortSignal.any([signal, halt]);
    const { stableMs } = move;
    const ended = await follow({
      cluster,
      time,
      target,
      signal: watched,
      deadline,
      set,
      stableMs,
      onProgress,
      onState,
    });
    leave.throwIfAborted();
    return named(target, ended);
  } catch (error) {
    if (storing) throw error;
    leave.throwIfAborted();
    if (signal.aborted) return { kind: 'cancelled', reason: messageOf(signal.reason) };
    if (halt.aborted) return { kind: 'cancelled', reason: messageOf(halt.reason) };
    return { kind: 'error', error };
  }
}

function named(target: RolloutTarget, ended: Followed): Followed {
  if (ended.kind === 'complete') return { ...ended, message: withCluster(target, ended.message) };
  return { ...ended, reason: withCluster(target, ended.reason) };
}

function noted(move: Move, { generation, images }: Answer, container: string): Partial<RolloutChange> {
  const image = images[container];
  return image === undefined ? {} : { [move.into]: { generation, image } };
}

/** An image that is neither what is to be set nor what may be there, or null. */
function foreign(state: WorkloadState, images: Move['images'], instead: Move['instead']): string | null {
  for (const [container, image] of Object.entries(images)) {
    const now = state.images[container] ?? '';
    if (now !== image && !(instead[container] ?? []).includes(now)) return now;
  }
  return null;
}

/** Whether the workload is as it should be, seen from outside of any rollout. */
export function isHealthy(state: WorkloadState): boolean {
  return isComplete(state, state.generation);
}
