import type { RolloutStep, StepsFailure, StepsProgress, StepsWorkload, Strategy } from './delivery.ts';

/** What is done next of a rollout by steps. `index` is that of the workload. */
export type Move =
  /** The workload beside shall be there with so many replicas and the new images. */
  | { readonly kind: 'place'; readonly index: number; readonly replicas: number }
  /** The stable workload gets so many replicas. */
  | { readonly kind: 'scale'; readonly index: number; readonly replicas: number }
  /** Until all replicas that are wanted are available. */
  | { readonly kind: 'wait'; readonly index: number; readonly pods: 'stable' | 'beside' }
  | { readonly kind: 'remove'; readonly index: number }
  /** The Service's selector. */
  | { readonly kind: 'switch'; readonly to: 'stable' | 'beside' }
  | { readonly kind: 'hold'; readonly step: RolloutStep }
  /** The stable workloads get their replicas and the new images, by a plain rollout. */
  | { readonly kind: 'promote' }
  /** This phase is done. */
  | { readonly kind: 'advance' }
  /** Nothing more is to be done. */
  | { readonly kind: 'end' };

/** A workload and what stands beside it, as they are now. */
export interface Seen {
  /** Null: it isn't there. */
  readonly stable: Pods | null;
  readonly beside: Pods | null;
  /** Waiting for the stable pods was given up: while something stood beside them, or with them alone. */
  readonly gaveUp: 'no' | 'beside' | 'alone';
}

export interface Pods {
  readonly wanted: number;
  /** As many as wanted are available, and no others are there. */
  readonly settled: boolean;
  /** Which images it shall run. */
  readonly images: 'new' | 'old' | 'other';
}

/**
 * The moves that are to be made now, at once, or what else follows. Judged by what is seen, not by what was done, so that
 * whoever takes the rollout up goes on in the same direction. Answers for every state; made again, a move changes nothing.
 */
export function next(
  progress: StepsProgress,
  strategy: Strategy,
  seen: readonly Seen[],
  serves: 'stable' | 'beside' = 'stable',
): readonly Move[] {
  const each = (move: (workload: StepsWorkload, seen: Seen, index: number) => Move | null): readonly Move[] => {
    return progress.workloads.flatMap((workload, index) => {
      const now = seen[index];
      return (workload.replicas > 0 && now && move(workload, now, index)) || [];
    });
  };
  const advance: readonly Move[] = [{ kind: 'advance' }];
  const orElse = (moves: readonly Move[], other: readonly Move[]) => (moves.length > 0 ? moves : other);
  switch (progress.phase) {
    case 'placing': {
      const percent = strategy.kind === 'blue-green' ? null : weightAt(strategy.steps, progress.step);
      const isFirst = stepsOf(strategy).findIndex((it) => it.kind === 'weight') === progress.step;
      return orElse(
        each((workload, now, index) => {
          return (isFirst ? lessening(workload, now, index, percent) : null) ?? placing(workload, now, index, percent);
        }),
        advance,
      );
    }
    case 'holding': {
      const step = stepsOf(strategy)[progress.step];
      return step ? [{ kind: 'hold', step }] : advance;
    }
    case 'switching':
      return serves === 'beside' ? advance : [{ kind: 'switch', to: 'beside' }];
    case 'promoting':
      return [{ kind: 'promote' }];
    case 'cleaning':
      if (serves === 'beside') return [{ kind: 'switch', to: 'stable' }];
      return orElse(
        each((_workload, now, index) => (now.beside ? { kind: 'remove', index } : null)),
        advance,
      );
    case 'aborting': {
      const restored = each(restoring);
      if (restored.length > 0) return restored;
      const isStuck = seen.some((it) => isLeft(it));
      if (serves === 'beside' && !isStuck) return [{ kind: 'switch', to: 'stable' }];
      const removed = each((_workload, now, index) => (now.beside && !isLeft(now) ? { kind: 'remove', index } : null));
      return orElse(removed, orElse(each(alone), advance));
    }
    case 'done':
    case 'ended':
      return [{ kind: 'end' }];
  }
}

/**
 * What an earlier rollout left beside it would be more than the first share, of a version nobody has tried: once all stable
 * pods are there without it, it gets as few as it shall have.
 */
function lessening(workload: StepsWorkload, seen: Seen, index: number, percent: number | null): Move | null {
  const { stable, beside } = seen;
  if (percent === null || !stable || !beside) return null;
  const { canary } = wantedOf(workload, stable, percent);
  const isMore = beside.wanted > canary;
  // What is beside pods that are dead may be all that serves.
  if (!isMore || workload.dead || (beside.images === 'new' && decidesElse(workload, stable))) return null;
  return restoring(workload, seen, index) ?? { kind: 'place', index, replicas: canary };
}

/** An autoscaler, or a person who wants more than there were: these pods aren't taken away. */
function decidesElse({ autoscaled, replicas }: StepsWorkload, stable: Pods | null): boolean {
  return autoscaled || (stable !== null && stable.wanted > replicas);
}

function wantedOf(workload: StepsWorkload, stable: Pods | null, percent: number | null) {
  const replicas = stable?.wanted ?? 0;
  const isTheirs = decidesElse(workload, stable);
  if (percent === null)
    return { canary: isTheirs ? Math.max(1, replicas) : workload.replicas, stable: workload.replicas };
  return counts(workload.replicas, percent, isTheirs, replicas);
}

/** First the new pods, and only when they are available fewer of the others: so there are never fewer than before. */
function placing(workload: StepsWorkload, seen: Seen, index: number, percent: number | null): Move | null {
  const { stable, beside } = seen;
  const wanted = wantedOf(workload, stable, percent);
  if (!beside || beside.wanted < wanted.canary || beside.images !== 'new') {
    return { kind: 'place', index, replicas: Math.max(wanted.canary, beside?.wanted ?? 0) };
  }
  if (!beside.settled) return { kind: 'wait', index, pods: 'beside' };
  if (!stable || decidesElse(workload, stable)) return null;
  if (stable.wanted !== wanted.stable) return { kind: 'scale', index, replicas: wanted.stable };
  return stable.settled || workload.dead ? null : { kind: 'wait', index, pods: 'stable' };
}

/** The stable pods are all there again before anything else goes, unless that was given up. */
function restoring(workload: StepsWorkload, seen: Seen, index: number): Move | null {
  const { stable, beside, gaveUp } = seen;
  if (!stable) return null;
  if (!workload.autoscaled && stable.wanted < workload.replicas) {
    return { kind: 'scale', index, replicas: workload.replicas };
  }
  if (stable.settled || gaveUp !== 'no' || !beside) return null;
  return { kind: 'wait', index, pods: 'stable' };
}

/** Without what took up room beside them, they may get what they missed. */
function alone(_workload: StepsWorkload, seen: Seen, index: number): Move | null {
  if (!seen.stable || seen.stable.settled || seen.gaveUp === 'alone') return null;
  return { kind: 'wait', index, pods: 'stable' };
}

/** What is remembered when waiting for the stable pods, on the way back, has no use any more. */
export function givenUp({ beside, gaveUp }: Seen): Seen['gaveUp'] {
  return beside === null || gaveUp === 'beside' ? 'alone' : 'beside';
}

/** Going back failed and it stands on the new images, broken: what is beside it may be all that serves. */
export function isLeft({ stable, beside, gaveUp }: Seen): boolean {
  return beside !== null && stable !== null && stable.images === 'new' && !stable.settled && gaveUp !== 'no';
}

/**
 * How many pods of each there shall be for a share of new ones. `total`: replicas before the rollout. With an autoscaler
 * the stable ones (`stableReplicas`, as they are now) stay as they are, and the share comes from more new ones.
 */
export function counts(
  total: number,
  percent: number,
  autoscaled: boolean,
  stableReplicas: number,
): { readonly canary: number; readonly stable: number } {
  if (autoscaled) {
    const stable = Math.max(1, stableReplicas);
    const canary = percent >= 100 ? stable : Math.max(1, Math.ceil((stable * percent) / (100 - percent)));
    return { canary, stable: stableReplicas };
  }
  const canary = Math.max(1, Math.round((total * percent) / 100));
  return { canary, stable: Math.max(1, total - canary) };
}

/** What came of a phase, or of the moves in it. */
export type Result =
  | { readonly kind: 'done'; readonly note?: string }
  | { readonly kind: 'failed'; readonly failure: StepsFailure };

/** What is to be stored after that, at this time. Goes forward until it fails, then back; never forward again. */
export function after(progress: StepsProgress, strategy: Strategy, result: Result, at: number): StepsProgress {
  const { phase, step } = progress;
  const to = (change: Partial<StepsProgress>): StepsProgress => ({ ...progress, since: at, ...change });
  if (phase === 'done' || phase === 'ended') return progress;
  if (result.kind === 'failed') {
    const { failure } = result;
    if (phase === 'aborting') return to({ phase: 'ended', said: [...progress.said, failure.reason] });
    // What is new runs already: there is nothing to go back to.
    if (phase === 'cleaning') return to({ phase: 'ended', failed: failure });
    return to({ phase: 'aborting', failed: failure });
  }
  if (phase === 'aborting') return to({ phase: 'ended' });
  if (phase === 'cleaning') return to({ phase: 'done' });
  if (phase === 'promoting') return to({ phase: 'cleaning' });
  const notes = result.note === undefined ? progress.notes : { ...progress.notes, [step]: result.note };
  // Blue/green places everything before its first step, and switches between two.
  const stays = phase === 'switching' || (phase === 'placing' && strategy.kind === 'blue-green');
  const now = stays ? step : step + 1;
  return to({ notes, step: now, phase: phaseOf(strategy, now, phase) });
}

/** The phase with which a rollout begins. */
export function firstPhase(strategy: Strategy): StepsProgress['phase'] {
  return strategy.kind === 'blue-green' ? 'placing' : phaseOf(strategy, 0, null);
}

function phaseOf(strategy: Strategy, step: number, from: StepsProgress['phase'] | null): StepsProgress['phase'] {
  const isDue = strategy.kind === 'blue-green' && step === strategy.before.length;
  if (isDue && from !== 'switching') return 'switching';
  const found = stepsOf(strategy)[step];
  if (!found) return 'promoting';
  return found.kind === 'weight' ? 'placing' : 'holding';
}

/** All steps, in their order. Step 1 is the first. */
export function stepsOf(strategy: Strategy): readonly RolloutStep[] {
  return strategy.kind === 'canary' ? strategy.steps : [...strategy.before, ...strategy.after];
}

/** The share that holds at a step: that of the last weight up to it. */
function weightAt(steps: readonly RolloutStep[], step: number): number {
  const weight = steps.slice(0, step + 1).findLast((it) => it.kind === 'weight');
  return weight?.percent ?? 0;
}

/** Label on the pods of what stands beside a workload; its value says beside which. */
export const besideLabel = 'slipway.dev/beside';

/** Name of what stands beside the workload: at most 63 characters, as long names of pods' owners do harm. */
export function besideName(name: string, kind: Strategy['kind']): string {
  return shortened(`${name}-slipway-${kind === 'canary' ? 'canary' : 'green'}`);
}

/** A name or a label's value that fits: long ones end with what tells them apart. */
export function shortened(name: string): string {
  if (name.length <= 63) return name;
  const head = name.slice(0, 40).replace(/[^a-z0-9]+$/i, '');
  const tail = name.slice(-14).replace(/^[^a-z0-9]+/i, '');
  return `${head}-${fingerprint(name)}-${tail}`;
}

/** Words for the versions of an application, by which its pods are usually told apart. */
const telling = ['slot', 'color', 'colour', 'track', 'version', 'release', 'role'];

/**
 * The selector by which a Service finds the green pods: one of its labels with another value. One that usually tells
 * versions apart if there is such a one, else the last by name: the others may be what network policies go by.
 */
export function otherSelector(selector: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const keys = Object.keys(selector).toSorted();
  const key = keys.find((it) => telling.includes(it.split('/').at(-1) ?? '')) ?? keys.at(-1);
  if (key === undefined) return {};
  return { ...selector, [key]: shortened(`${selector[key] ?? ''}-slipway-green`) };
}

/** FNV-1a, as seven characters: short, and the same everywhere. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0).toString(36).padStart(7, '0');
}
