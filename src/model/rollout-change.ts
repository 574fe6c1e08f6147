import type { Outcome } from './outcome.ts';
import type { WorkloadKind } from './pipeline.ts';

/**
 * One workload of a deployment: what it ran, what it shall run, and how far that got. It is stored before each step, so
 * that another process can go on from there. Records of earlier versions have only the first three.
 */
export interface RolloutChange {
  /** `namespace/name`. */
  readonly workload: string;
  /** These three are missing in older records. `cluster`: null is the default one. */
  readonly container?: string;
  readonly kind?: WorkloadKind;
  readonly cluster?: string | null;
  readonly before: string | null;
  readonly after: string;
  /** Attempt of the job that this belongs to. */
  readonly attempt?: number;
  /** forward and back: being patched or watched. done: runs `after`. ended: nothing more is done with it. Absent: planned. */
  readonly phase?: 'planned' | 'forward' | 'done' | 'back' | 'ended';
  /** When this phase began, before its patch; milliseconds since the epoch. The time limit counts from here. */
  readonly since?: number;
  /** What the patch to `after` answered. Absent as long as that isn't known. */
  readonly set?: Patched;
  /** What it goes back to; null: there is nothing. */
  readonly back?: string | null;
  /** What the patch back answered. */
  readonly backSet?: Patched;
  /** Set on the workload for which the whole deployment goes back: its outcome. Stored before the first step back. */
  readonly failed?: Outcome;
  /** A sentence on how it ended. */
  readonly said?: string;
}

export interface Patched {
  readonly generation: number;
  readonly image: string;
}
