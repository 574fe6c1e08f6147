import { maskText } from '#src/model/mask.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { rolloutReport, workloadKey } from '#src/model/rollout-report.ts';

/** Collects what a deployment has to show. What came from outside is masked before it becomes part of any text. */
export interface Telling {
  changes(changes: readonly RolloutChange[]): void;
  state(target: RolloutTarget, state: WorkloadState): void;
  events(events: readonly string[], target: RolloutTarget): void;
  lines(lines: string, target: RolloutTarget): void;
  /** What a rollout by steps says of itself, in Markdown. */
  steps(markdown: string): void;
  /** All of it, in Markdown. */
  markdown(): string;
}

/**
 * `known` and `earlier` are what another process stored of this attempt: how far it was, and what it had to show. `hidden`:
 * what must not be shown, at the time of each call. `changed` is told after each.
 */
export function createTelling(
  known: readonly RolloutChange[],
  hidden: () => readonly string[],
  changed: () => void,
  earlier = '',
): Telling {
  const states = new Map<string, WorkloadState>();
  const events = new Map<string, readonly string[]>();
  const lines = new Map<string, string>();
  const nameOf = ({ cluster, namespace, name }: RolloutTarget) => workloadKey(cluster, `${namespace}/${name}`);
  // Why it failed is gone from the cluster by the time another process goes on with going back.
  const why = /\n\n\*\*(?:What the cluster says|Last lines)[^]*$/.exec(earlier)?.[0].trim() ?? '';
  let changes = known;
  let steps = '';
  return {
    changes(next) {
      changes = next;
      changed();
    },
    state(target, state) {
      states.set(nameOf(target), state);
      changed();
    },
    events(texts, target) {
      events.set(
        nameOf(target),
        texts.map((it) => maskText(it, hidden())),
      );
      changed();
    },
    lines(text, target) {
      lines.set(nameOf(target), maskText(text, hidden()));
      changed();
    },
    steps(markdown) {
      steps = maskText(markdown, hidden());
      changed();
    },
    markdown() {
      const known = events.size + lines.size === 0 ? why : '';
      const report = rolloutReport({ changes, states, events, lines, beside: steps !== '' });
      return [steps, report, known].filter((it) => it !== '').join('\n\n');
    },
  };
}
