import type { StepsFailure } from '#src/model/delivery.ts';
import type { Outcome } from '#src/model/outcome.ts';
import { rollOut } from './rollout.ts';
import { nameOf } from './rollout-words.ts';
import type { Stepping } from './steps-book.ts';
import type { Ended } from './steps-end.ts';
import type { States } from './steps-look.ts';
import { ask, type Turn } from './steps-turn.ts';

/** The stable workloads get their replicas, and the new images by a plain rollout, which goes back by itself. */
export async function promote(stepping: Stepping, states: readonly States[], turn: Turn): Promise<Ended> {
  const { parts, book, onChange } = stepping;
  // They were scaled before the first was patched.
  const unscaled = hasBegun(book) ? [] : book.now().workloads;
  for (const [index, { target, replicas, autoscaled }] of unscaled.entries()) {
    const wanted = states[index]?.stable?.wanted ?? replicas;
    if (autoscaled || wanted >= replicas) continue;
    await ask(stepping, turn, target, () => parts.canaries.scale(target, target.name, replicas, turn.signal));
  }
  const store = async (changes: Parameters<typeof onChange>[0]): Promise<void> => {
    await onChange(changes).catch((error: unknown) => {
      throw new Storing(error);
    });
  };
  const onState: Stepping['onState'] = (target, state) => {
    const isIt = (it: typeof target): boolean => nameOf(it) === nameOf(target) && it.cluster === target.cluster;
    const index = book.now().workloads.findIndex((it) => isIt(it.target));
    if (index >= 0) book.seen(index, 'stable', state);
    stepping.onState?.(target, state);
  };
  const onProgress = (message: string): void => book.tell(message);
  const { outcome, summary } = await rollOut({
    ...stepping,
    begun: book.changes(),
    onChange: store,
    onState,
    onProgress,
  });
  if (outcome.kind === 'success') return { result: { kind: 'done' }, said: summary === '' ? [] : [summary] };
  return { result: { kind: 'failed', failure: failureOf(outcome) } };
}

/** Whether a stable workload was patched, or may have been. */
export function hasBegun(book: Stepping['book']): boolean {
  return book.changes().some((it) => (it.phase ?? 'planned') !== 'planned');
}

function failureOf(outcome: Exclude<Outcome, { readonly kind: 'success' }>): StepsFailure {
  const { kind, reason } = outcome;
  return kind === 'skipped' || kind === 'neutral' ? { kind: 'failure', reason } : { kind, reason };
}

/** An error of the store, which isn't the cluster's. */
export class Storing extends Error {
  readonly error: unknown;

  constructor(error: unknown) {
    super('It could not be stored.');
    this.error = error;
  }
}
