import type { StepsProgress } from '#src/model/delivery.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { after, type Result, stepsOf } from '#src/model/steps.ts';
import { phaseText, type StepsPods, stepsReport } from '#src/model/steps-report.ts';
import type { RolloutTime } from './rollout-time.ts';
import { short } from './rollout-words.ts';
import type { StepsRequest } from './steps.ts';

/** How far the rollout got: stored before each move, and shown. */
export interface StepsBook {
  now(): StepsProgress;
  /** Stores what follows from the result, with sentences on what happened. */
  go(result: Result, said?: readonly string[]): Promise<void>;
  /** Shows a sentence on what is done now. Returns at once. */
  tell(message: string): void;
  /** Shows what is seen of a workload's pods, or of those beside it. Returns at once. */
  seen(index: number, pods: 'stable' | 'beside', state: WorkloadState | null): void;
  /** Of the stable workloads, as last stored. */
  changes(): readonly RolloutChange[];
}

/** Everything that the parts of a rollout by steps work with. */
export interface Stepping extends StepsRequest {
  readonly time: RolloutTime;
  readonly book: StepsBook;
}

export function openStepsBook(
  request: StepsRequest,
  begun: StepsProgress,
): Stepping['book'] & {
  /** Stores changes of the stable workloads, as `onChange` of the request does. */
  change(changes: readonly RolloutChange[]): Promise<void>;
  store(): Promise<void>;
} {
  const { clock, strategy } = request;
  let progress = begun;
  let { changes } = begun;
  if (request.begun) changes = request.begun;
  let now = '';
  let shown = '';
  const pods: StepsPods[] = begun.workloads.map(() => ({}));
  const show = (): void => {
    const text = stepsReport(progress, strategy, pods, now);
    if (text !== shown) request.report(text);
    shown = text;
  };
  return {
    now: () => progress,
    changes: () => changes,
    async store() {
      await request.save(progress);
      show();
    },
    async go(result, said = []) {
      const next = after(progress, strategy, result, clock.now());
      const tail = next.said.slice(progress.said.length);
      progress = { ...next, said: [...progress.said, ...said, ...tail.filter((it) => !said.includes(it))] };
      now = '';
      // What was done before is over: nobody shall read it as what is done now.
      const begins = phaseText(progress, strategy);
      if (begins !== '') request.onProgress(short(`${where(progress, stepsOf(strategy).length)}${begins}`));
      await request.save(progress);
      show();
    },
    tell(message) {
      now = message;
      request.onProgress(short(`${where(progress, stepsOf(strategy).length)}${message}`));
      show();
    },
    seen(index, which, state) {
      pods[index] = { ...pods[index], [which]: state };
      show();
    },
    async change(next) {
      changes = next;
      await request.onChange(next);
    },
  };
}

function where({ phase, step }: StepsProgress, steps: number): string {
  return phase === 'placing' || phase === 'holding' ? `step ${Math.min(step + 1, steps)} of ${steps}: ` : '';
}
