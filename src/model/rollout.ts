import type { WorkloadKind } from './pipeline.ts';

/** What a cluster says of a workload, reduced to what decisions need. Counters that are absent are 0. */
export interface WorkloadState {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
  readonly generation: number;
  readonly observedGeneration: number;
  readonly wanted: number;
  readonly updated: number;
  readonly available: number;
  readonly replicas: number;
  readonly paused: boolean;
  /** Image of the target's container in the pod template. */
  readonly image: string;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  /** Why pods of the new version aren't ready, worst first: `ImagePullBackOff: Back-off pulling image ...`. */
  readonly troubles: readonly string[];
}
