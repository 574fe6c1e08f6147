import type { Outcome } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';

/** One workload of a rollout: its containers are set in one patch, go together and come back together. */
export interface Unit {
  /** The first of its targets. */
  readonly target: RolloutTarget;
  /** Places of its targets in the rollout. */
  readonly places: readonly number[];
}

/** How far each target got, stored with every note. */
export interface Book {
  all(): readonly RolloutChange[];
  /** What the unit's targets share: phase, since, said. */
  first(unit: Unit): RolloutChange;
  of(unit: Unit): readonly { readonly container: string; readonly change: RolloutChange }[];
  /** Resolves once it is stored. `shared` goes to all targets of the unit, `once` to its first, `each` to every one by its container. */
  note(unit: Unit, notes: Notes): Promise<void>;
  failure(): Outcome | null;
}

interface Notes {
  readonly shared?: Partial<RolloutChange>;
  readonly once?: Partial<RolloutChange>;
  readonly each?: (container: string) => Partial<RolloutChange>;
}

/** Notes of several workloads at once are stored one after the other; once one can't be, none is any more. */
export function openBook(
  targets: readonly RolloutTarget[],
  planned: readonly RolloutChange[],
  store: (changes: readonly RolloutChange[]) => Promise<void>,
): Book {
  let changes = planned;
  let storing = Promise.resolve();
  const at = (place: number): RolloutChange => {
    const change = changes[place];
    if (!change) throw new Error(`The stored rollout has no workload ${place}.`);
    return change;
  };
  const containerAt = (place: number): string => targets[place]?.container ?? '';
  return {
    all: () => changes,
    first: (unit) => at(unit.places[0] ?? -1),
    of: (unit) => unit.places.map((place) => ({ container: containerAt(place), change: at(place) })),
    async note(unit, { shared = {}, once = {}, each = () => ({}) }) {
      changes = changes.map((it, place) => {
        if (!unit.places.includes(place)) return it;
        return { ...it, ...shared, ...each(containerAt(place)), ...(place === unit.places[0] ? once : {}) };
      });
      storing = storing.then(() => store(changes));
      await storing;
    },
    failure: () => changes.find((it) => it.failed)?.failed ?? null,
  };
}

/** The workloads of the targets, in the order in which each is named first. */
export function unitsOf(targets: readonly RolloutTarget[]): readonly Unit[] {
  const units = new Map<string, { target: RolloutTarget; places: number[] }>();
  for (const [place, target] of targets.entries()) {
    const key = JSON.stringify([target.cluster, target.kind, target.namespace, target.name]);
    const unit = units.get(key);
    if (unit) unit.places.push(place);
    else units.set(key, { target, places: [place] });
  }
  return [...units.values()];
}
