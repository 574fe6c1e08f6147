import type { Plan } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Clock, Cluster, Ends, Executor, ImageBuilder, Logs, Policy, Reporter, Secrets, Source } from './ports.ts';
import type { Forge } from './ports-forge.ts';
import type { Canaries, GitOps, PreviewCluster, Probes } from './ports-deploy.ts';
import type { Store } from './store.ts';

/** Everything that the engine is given. */
export interface Parts {
  readonly source: Source;
  readonly executor: Executor;
  readonly builder: ImageBuilder;
  readonly cluster: Cluster;
  readonly canaries: Canaries;
  readonly probes: Probes;
  readonly previews: PreviewCluster;
  readonly gitops: GitOps;
  readonly reporter: Reporter;
  readonly forge: Forge;
  readonly logs: Logs;
  readonly store: Store;
  readonly policy: Policy;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: Limits;
  /** Why no script or image job may begin now (the disk is nearly full), or null. */
  shortage(): Promise<string | null>;
  /** Address of the run's page. */
  runUrl(run: Run): string;
  /** Changes a plan before it is stored: the command line chooses jobs with it. UserError if it can't. */
  choose?(plan: Plan): Plan;
}

export interface Limits {
  /** Script and image jobs at once. */
  readonly jobs: number;
  /** Identifies this process as the owner of what it claims. */
  readonly worker: string;
  /** Values that must never appear in a log: the operator's credentials. */
  readonly secrets: readonly string[];
  /** A newer push to a pull request cancels the runs of the commits before it. */
  readonly cancelSuperseded: boolean;
  /** What the platform spoiled is tried again by itself, with pauses. */
  readonly repeatsItself: boolean;
}

/** A job that this server works on. */
export interface Assignment {
  readonly job: Job;
  /** Another process began it in this attempt, or may have. */
  readonly inherited: boolean;
  readonly ends: Ends;
  /** To be called when it turns out to be another server's. */
  readonly lost: () => void;
}

/** The part of pino's interface that the engine uses: fields first, then a constant message. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
