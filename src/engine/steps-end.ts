import type { StepsFailure } from '#src/model/delivery.ts';
import { isLeft, type Move, type Result, type Seen } from '#src/model/steps.ts';
import { nameOf } from './rollout-words.ts';
import type { Stepping } from './steps-book.ts';
import type { States } from './steps-look.ts';
import type { Turn } from './steps-turn.ts';

/** What came of a phase, and sentences on it that stay. */
export interface Ended {
  readonly result: Result;
  readonly said?: readonly string[];
}

/** How things stand when all that could be done to go back was done. */
export function wentBack(stepping: Stepping, turn: Turn, states: readonly States[], seen: readonly Seen[]): Ended {
  const said: string[] = [];
  let isWhole = true;
  for (const [index, { target, beside, replicas }] of stepping.book.now().workloads.entries()) {
    const now = seen[index];
    const stable = states[index]?.stable;
    if (replicas === 0 || !now) continue;
    const name = nameOf(target);
    if (stable && now.stable?.settled && now.stable.images === 'new') {
      said.push(`${name} runs the new images, and nothing stands beside it.`);
      continue;
    }
    if (stable && now.stable?.settled) {
      said.push(
        `${name} has its ${stable.wanted} ${stable.wanted === 1 ? 'pod' : 'pods'}, and nothing stands beside it.`,
      );
      continue;
    }
    isWhole = false;
    const counters = stable ? `only ${stable.available} of ${stable.wanted} pods are available` : 'it is gone';
    const left = isLeft(now)
      ? ` ${target.namespace}/${beside} was left beside it, because it may be all that serves: remove it by hand when it is no longer needed.`
      : '';
    said.push(`GOING BACK FAILED: ${name}: ${counters}. ${turn.troubles.at(-1) ?? ''}${left} Look at it now.`);
  }
  if (isWhole) return { result: { kind: 'done' }, said };
  const reason = said.filter((it) => it.startsWith('GOING BACK FAILED')).join(' ');
  return { result: { kind: 'failed', failure: { kind: 'broken', reason } }, said };
}

/** The new version runs. With a canary left that is no failure; a Service that leads to what shall go is one. */
export function uncleared({ book, strategy }: Stepping, why: string): Ended {
  const { target, beside } = book.now().workloads[0] ?? { target: null, beside: '' };
  const hand = `Remove what is left by hand: kubectl delete ${target?.kind ?? 'deployment'}/${beside} -n ${target?.namespace ?? ''}`;
  const reason = `The new version runs, but what stood beside it couldn't be cleared away: ${why} ${hand}`;
  if (strategy.kind === 'canary') return { result: { kind: 'done' }, said: [reason] };
  return failed('failure', `${reason} Before that, look whether the Service selects the stable pods again.`);
}

/** Somebody sets what Slipway sets, again and again. */
export function undone(stepping: Stepping, move: Move): Ended {
  const workload = 'index' in move ? stepping.book.now().workloads[move.index] : undefined;
  const name = workload ? nameOf(workload.target) : 'the Service';
  return failed(
    'failure',
    `${name}: something else undoes what Slipway sets there (${move.kind}): a person, an operator or a GitOps tool. Let one of the two decide, and deploy again.`,
  );
}

export function failed(kind: StepsFailure['kind'], reason: string): Ended {
  return { result: { kind: 'failed', failure: { kind, reason } } };
}
