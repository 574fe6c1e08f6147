import type { WorkloadKind } from './pipeline.ts';
import { explain, isHard, type Trouble } from './rollout-trouble.ts';

/**
 * What a rollout's state means. Sources: the API conventions of apps/v1, `kubectl rollout status`, and
 * traces of a real API server (docs/decisions/rollouts.md).
 */
export function assess(state: WorkloadState, context: RolloutContext): Verdict {
  const name = `${state.namespace}/${state.name}`;
  const theirs = state.generation > context.generation ? foreignImage(state, context) : null;
  if (theirs !== null) return { kind: 'failed', cause: 'superseded', reason: `${name}: ${supersededReason(theirs)}` };
  if (isComplete(state, context.generation)) {
    return { kind: 'complete', message: completeMessage(state) };
  }
  const current = hasObserved(state, context.generation);
  const trouble = current ? state.troubles[0] : undefined;
  if (trouble && isGivenUp(state, trouble, context)) {
    return { kind: 'failed', cause: 'trouble', reason: `${name}: ${explain(trouble)}` };
  }
  if (context.now - context.startedAt >= context.timeoutMs) {
    if (trouble) return { kind: 'failed', cause: 'trouble', reason: `${name}: ${explain(trouble)}` };
    return { kind: 'failed', cause: 'deadline', reason: `${name}: ${lateReason(state, context)}` };
  }
  return { kind: 'progressing', message: progressMessage(state, context.generation) };
}

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
  /** OnDelete: nothing is replaced until somebody deletes the pods. Recreate: all pods go before new ones come. */
  readonly strategy: 'RollingUpdate' | 'Recreate' | 'OnDelete';
  /** StatefulSets: pods with a lower ordinal keep the old version. Otherwise 0. */
  readonly partition: number;
  /**
   * Whether the new version has become the current one, for kinds where the counters don't tell: a StatefulSet's revision,
   * a DeploymentConfig's ReplicationController, an Argo Rollout's stable ReplicaSet. Otherwise true.
   */
  readonly settled: boolean;
  /** Image of the target's container in the pod template. */
  readonly image: string;
  /** Images of all containers in the pod template, by name. */
  readonly images: Readonly<Record<string, string>>;
  /** How often containers of the new version's pods were restarted, all together. */
  readonly restarts: number;
  /** What the rollout waits for by rules of its own in the cluster (a pause of an Argo Rollout), a sentence; '' nothing. */
  readonly held: string;
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
  /** Why pods of the new version aren't ready, worst first. */
  readonly troubles: readonly Trouble[];
  /** What may not be seen in the cluster (`pods`), so that troubles may be missing; '' if all may. */
  readonly hidden: string;
}

/** What is said when somebody else has set `image`. */
export function supersededReason(image: string): string {
  return `somebody else set the image to ${image} while this rollout was under way. It was left as it is now.`;
}

/** The image of a container that was set and has another one now, or null. */
function foreignImage(state: WorkloadState, context: RolloutContext): string | null {
  if (context.images === undefined) return state.image === context.image ? null : state.image;
  const found = Object.entries(context.images).find(([container, image]) => state.images[container] !== image);
  return found ? (state.images[found[0]] ?? 'nothing: the container is gone') : null;
}

export interface RolloutContext {
  /** Generation that the patch answered with. */
  readonly generation: number;
  /** Image of the target's container that the patch answered with. */
  readonly image: string;
  /** Where several containers were set: their images by name, as the patch answered. */
  readonly images?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, as are `now` and `troubleSince`. */
  readonly startedAt: number;
  readonly now: number;
  readonly timeoutMs: number;
  /** Since when a hard trouble of the same kind stands, by `standingTrouble`; null if there is none. */
  readonly troubleSince: number | null;
}

export type Verdict =
  | { readonly kind: 'progressing'; readonly message: string }
  | { readonly kind: 'complete'; readonly message: string }
  | { readonly kind: 'failed'; readonly cause: 'superseded' | 'trouble' | 'deadline'; readonly reason: string };

/** Why an image can't be rolled out to the workload as it is, before anything is patched; null if it can. */
export function refusal(state: WorkloadState): string | null {
  const name = `${state.namespace}/${state.name}`;
  if (state.paused) {
    return `${name} is paused, so nothing would roll. Resume it first: ${resuming(state)}`;
  }
  if (state.strategy === 'OnDelete') {
    return `${name} has the update strategy OnDelete, so no pod would be replaced. Set its updateStrategy to RollingUpdate.`;
  }
  if (state.partition >= state.wanted && state.wanted > 0) {
    return `${name} has the partition ${state.partition} with ${state.wanted} replicas, so no pod would be replaced. Lower updateStrategy.rollingUpdate.partition.`;
  }
  return null;
}

function resuming({ kind, name, namespace }: WorkloadState): string {
  if (kind === 'rollout') return `kubectl argo rollouts promote ${name} -n ${namespace}, or set spec.paused to false`;
  return kind === 'deploymentconfig'
    ? `oc rollout resume dc/${name} -n ${namespace}`
    : `kubectl rollout resume ${kind}/${name} -n ${namespace}`;
}

/** Whether all pods that shall be are of the generation (or a later one) and available. */
export function isComplete(state: WorkloadState, generation: number): boolean {
  if (!hasObserved(state, generation) || state.paused) return false;
  const expected = Math.max(0, state.wanted - state.partition);
  if (state.kind === 'daemonset') return state.updated >= state.wanted && state.available >= state.wanted;
  if (state.kind === 'statefulset') {
    if (state.partition === 0 && !state.settled) return false;
    return state.updated >= expected && state.available >= state.wanted && state.replicas === state.wanted;
  }
  // An Argo Rollout keeps old pods for a while after it is healthy, and knows best when that is.
  if (state.kind === 'rollout')
    return state.settled && state.updated >= state.wanted && state.available >= state.wanted;
  if (!state.settled) return false;
  return state.updated === state.wanted && state.replicas === state.wanted && state.available === state.wanted;
}

/** The kind of hard trouble that the state shows for the generation, or null. Who watches notes since when it stands. */
export function standingTrouble(state: WorkloadState, generation: number): Trouble['kind'] | null {
  const trouble = hasObserved(state, generation) ? state.troubles[0] : undefined;
  return trouble && isHard(trouble) ? trouble.kind : null;
}

/** Whether waiting on has no use: the trouble has stood for its grace, or the cluster has given up too and this is why. */
function isGivenUp(state: WorkloadState, trouble: Trouble, context: RolloutContext): boolean {
  if (state.troubles.some((it) => it.kind === 'ended')) return true;
  if (deadlineExceeded(state) && (isHard(trouble) || trouble.kind === 'crash')) return true;
  const stands = context.troubleSince === null ? 0 : context.now - context.troubleSince;
  return isHard(trouble) && stands >= graceMs(context.timeoutMs);
}

/** How long a hard trouble must stand before the rollout is given up ahead of its deadline: a tenth of it, at most 60 s. */
export function graceMs(timeoutMs: number): number {
  return Math.min(60_000, timeoutMs / 10);
}

/** Status before this is the old version's: the answer to a patch shows all counters full. */
function hasObserved(state: WorkloadState, generation: number): boolean {
  return state.generation >= generation && state.observedGeneration >= state.generation;
}

/** Not final by itself (a slow start exceeds it and then completes), so it only shortens the wait on a hard trouble. */
function deadlineExceeded(state: WorkloadState): boolean {
  return state.conditions.some(
    (it) => it.type === 'Progressing' && it.status === 'False' && it.reason === 'ProgressDeadlineExceeded',
  );
}

function completeMessage(state: WorkloadState): string {
  const name = `${state.namespace}/${state.name}`;
  if (state.wanted === 0) return `${name}: set, but not verified: 0 replicas`;
  if (state.partition > 0) {
    return `${name}: ${state.updated} of ${state.wanted} updated (partition ${state.partition}), all available`;
  }
  return `${name}: ${state.wanted} of ${state.wanted} updated and available`;
}

function progressMessage(state: WorkloadState, generation: number): string {
  const name = `${state.namespace}/${state.name}`;
  if (!hasObserved(state, generation)) return `${name}: waiting for the cluster to take up the change`;
  if (state.paused) return `${name}: paused`;
  const trouble = state.troubles[0];
  if (state.held !== '' && !trouble) return `${name}: ${state.held}`;
  const counters = `${name}: ${state.updated} of ${state.wanted} updated, ${state.available} available`;
  return trouble ? `${counters}; ${trouble.reason}` : counters;
}

function lateReason(state: WorkloadState, context: RolloutContext): string {
  const after = `after ${duration(context.timeoutMs)}`;
  if (!hasObserved(state, context.generation)) {
    return `the cluster didn't take up the change ${after} (observed generation ${state.observedGeneration} of ${state.generation}). Look at its controller manager.`;
  }
  if (state.paused) {
    return `it was paused during the rollout and still is ${after}. Resume it: ${resuming(state)}`;
  }
  const counters = `${state.updated} of ${state.wanted} updated, ${state.available} available ${after}.`;
  if (state.held !== '') return `${counters} It ${state.held}`;
  if (state.hidden !== '') return `${counters} Slipway may not read ${state.hidden} there, so it can't see why.`;
  return `${counters} Raise the environment's timeout if it is only slow.`;
}

/** 90000 -> `90 s`, 600000 -> `10 min`. */
export function duration(ms: number): string {
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${Math.round(ms / 1000)} s`;
}
