import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import type { RolloutRequest, RolloutResult } from './rollout.ts';

/** A rollout by steps, beside what a plain one is given: `begun` and `onChange` are those of the stable workloads. */
export interface StepsRequest extends RolloutRequest {
  readonly parts: Parts;
  readonly run: Run;
  readonly job: Job;
  readonly work: DeployWork;
  readonly strategy: Strategy;
  /** What another process stored of this attempt by `save`; null: it begins. */
  readonly progress: StepsProgress | null;
  /** Awaited before each move. What it throws ends the rollout where it is. */
  readonly save: (progress: StepsProgress) => Promise<void>;
  /** Shows what it waits for; null: nothing. Awaited; throws as `save`. */
  readonly gate: (gate: JobGate | null) => Promise<void>;
  /** Shows the steps, pods and checks, in Markdown; returns at once. */
  readonly report: (markdown: string) => void;
}

/** Rolls out by steps. Answers and throws as `rollOut` does. */
export async function rollBySteps(_request: StepsRequest): Promise<RolloutResult> {
  throw new PlatformError('Not there yet.');
}
