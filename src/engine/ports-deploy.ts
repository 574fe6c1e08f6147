import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { WorkloadState } from '#src/model/rollout.ts';

/** What deployments need of the world beside `Cluster`, by the rules of ports.ts. */

/** A second set of pods beside a Deployment (or DeploymentConfig), and the Service in front. As Cluster. */
export interface Canaries {
  /** Replicas that are wanted now, and whether an autoscaler decides on them (or that can't be seen). */
  scaleOf(
    target: RolloutTarget,
    signal: AbortSignal,
  ): Promise<{ readonly replicas: number; readonly autoscaled: boolean }>;
  /**
   * Makes `beside` what it shall be: a copy of the workload with these images (by container), or brings the one that is
   * there to them. `labels` replace labels of its pods (null: they keep all, and the Service finds them too). Done again, it
   * changes nothing. UserError if something else has that name.
   */
  place(
    target: RolloutTarget,
    beside: {
      readonly name: string;
      readonly images: Readonly<Record<string, string>>;
      readonly replicas: number;
      readonly labels: Readonly<Record<string, string>> | null;
      /** Where there are `labels`: those that the workload's own pods have in their place. UserError if they have others. */
      readonly instead?: Readonly<Record<string, string>>;
    },
    signal: AbortSignal,
  ): Promise<void>;
  scale(target: RolloutTarget, name: string, replicas: number, signal: AbortSignal): Promise<void>;
  /** The state of the workload called `name` (its own, or `beside`'s), by its kind; null if it isn't there. */
  state(target: RolloutTarget, name: string, signal: AbortSignal): Promise<WorkloadState | null>;
  /** Removes `beside` with its pods; fine if it is gone. Never what Slipway didn't make. */
  remove(target: RolloutTarget, name: string, signal: AbortSignal): Promise<void>;
  /** Selector of the Service. */
  selector(at: ServiceRef, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** Sets the selector if it is `from` still, or `to` already; UserError otherwise. */
  select(
    at: ServiceRef,
    from: Readonly<Record<string, string>>,
    to: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface ServiceRef {
  readonly cluster: string | null;
  readonly namespace: string;
  readonly name: string;
}

/** Asks addresses between the steps of a rollout; the operator has allowed them. */
export interface Probes {
  /** Redirects aren't followed. At most 64 KB of the body. Deadline 10 s. Throws PlatformError if nobody answers. */
  get(url: string, signal: AbortSignal): Promise<{ readonly status: number; readonly body: string }>;
  /** The value of an instant query that answers one number; null if it answers none. UserError for a wrong query. */
  query(server: string, query: string, signal: AbortSignal): Promise<number | null>;
}

/** Namespaces of previews. Throws as Cluster does. */
export interface PreviewCluster {
  /**
   * Makes the namespace with the operator's quota and limits, applies the objects (server-side, in an order that works) and
   * removes those of an earlier time that aren't among them. UserError for what isn't allowed there, with the object's name.
   */
  apply(preview: PreviewRequest, signal: AbortSignal): Promise<readonly RolloutTarget[]>;
  /**
   * Removes the namespace, if it is the one that Slipway made for this pull request, and waits until it is gone; fine if it is
   * gone already. UserError if it is somebody else's. PlatformError if it is still there after two minutes.
   */
  remove(
    at: Pick<PreviewRequest, 'cluster' | 'namespace' | 'repository' | 'number'>,
    signal: AbortSignal,
  ): Promise<void>;
}

export interface PreviewRequest {
  readonly cluster: string | null;
  readonly namespace: string;
  readonly rule: PreviewRule;
  /** For labels: `acme/shop`, 7. */
  readonly repository: string;
  readonly number: number;
  /** Kubernetes objects, with images replaced. */
  readonly objects: readonly Readonly<Record<string, unknown>>[];
}

/** Changes files in another repository. Throws PlatformError if GitHub fails or refuses, UserError for what can't be. */
export interface GitOps {
  /** Branch (null: the default one) and the files' contents there, by path; null where there is none. */
  read(
    at: { readonly repository: string; readonly branch: string | null },
    files: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly branch: string; readonly head: string; readonly files: ReadonlyMap<string, string | null> }>;
  /** Commits on top of `head`, all files at once. PlatformError if the branch has moved: read it again. */
  commit(
    at: { readonly repository: string; readonly branch: string; readonly head: string },
    change: { readonly files: ReadonlyMap<string, string>; readonly message: string },
    signal: AbortSignal,
  ): Promise<{ readonly sha: string; readonly url: string }>;
  /**
   * Opens a pull request of the branch `from` (made at `head` with the change), or answers the one that is open from it, or
   * was opened with this very body: an earlier answer may have been lost.
   */
  propose(
    at: { readonly repository: string; readonly branch: string; readonly head: string; readonly from: string },
    change: { readonly files: ReadonlyMap<string, string>; readonly message: string; readonly body: string },
    signal: AbortSignal,
  ): Promise<{ readonly number: number; readonly url: string }>;
  pullRequest(
    repository: string,
    number: number,
    signal: AbortSignal,
  ): Promise<{ readonly state: 'open' | 'merged' | 'closed'; readonly url: string }>;
  /** Closes it with a comment, if it is open. */
  close(repository: string, number: number, comment: string, signal: AbortSignal): Promise<void>;
}

/** What the operator allows for previews. */
export interface PreviewRule {
  /** Null: the default cluster. */
  readonly cluster: string | null;
  /** The namespace is this, `-` and the pull request's number. */
  readonly prefix: string;
  /** How many at once. */
  readonly max: number;
  /** `spec.hard` of the ResourceQuota. */
  readonly quota: Readonly<Record<string, string>>;
  /** Defaults of containers: `spec.limits[0].default` of the LimitRange. */
  readonly limits: Readonly<Record<string, string>>;
  /** Kinds of objects that may be applied. */
  readonly kinds: readonly string[];
}
