import type { StepsWorkload } from '#src/model/delivery.ts';
import { isComplete, type WorkloadState } from '#src/model/rollout.ts';
import type { Pods, Seen } from '#src/model/steps.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Stepping } from './steps-book.ts';
import { ask, type Turn } from './steps-turn.ts';

/** A workload and what stands beside it, as the cluster has them; null: not there, or not looked at. */
export interface States {
  readonly stable: WorkloadState | null;
  readonly beside: WorkloadState | null;
}

/** Looks at all workloads and what stands beside them. */
export async function look(stepping: Stepping, turn: Turn): Promise<readonly States[]> {
  const { parts, book } = stepping;
  const { signal } = turn;
  return await Promise.all(
    book.now().workloads.map(async ({ target, beside, replicas }, index): Promise<States> => {
      if (replicas === 0) return { stable: null, beside: null };
      const read = (name: string) => ask(stepping, turn, target, () => parts.canaries.state(target, name, signal));
      const [stable, other] = await Promise.all([read(target.name), read(beside)]);
      book.seen(index, 'stable', stable);
      book.seen(index, 'beside', other);
      return { stable, beside: other };
    }),
  );
}

/** What is decided by. */
export function seenOf(stepping: Stepping, turn: Turn, { stable, beside }: States, index: number): Seen {
  const workload = stepping.book.now().workloads[index];
  const podsOf = (state: WorkloadState | null, rewritten: boolean): Pods | null => {
    if (!state || !workload) return null;
    const images = rewritten ? 'new' : versionOf(stepping, workload, state);
    return { wanted: state.wanted, settled: isComplete(state, state.generation), images };
  };
  return {
    stable: podsOf(stable, false),
    beside: podsOf(beside, turn.placed.has(index)),
    gaveUp: turn.gaveUp[index] ?? 'no',
  };
}

function versionOf(stepping: Stepping, { target, images }: StepsWorkload, state: WorkloadState): Pods['images'] {
  const workload = `${target.namespace}/${target.name}`;
  const isOurs = (it: RolloutChange): boolean => it.workload === workload && (it.cluster ?? null) === target.cluster;
  const changes = stepping.book.changes().filter((it) => isOurs(it) && it.container !== undefined);
  const set = Object.fromEntries(changes.map((it) => [it.container, it.set?.image]));
  const isNew = Object.entries(images).every(([name, image]) => [image, set[name]].includes(state.images[name]));
  if (isNew) return 'new';
  const isOld = changes.every((it) =>
    [it.before, it.back ?? it.before].includes(state.images[it.container ?? ''] ?? null),
  );
  return isOld ? 'old' : 'other';
}
