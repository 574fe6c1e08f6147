import type { Plan } from '#src/model/plan.ts';
import type { Run } from '#src/model/run.ts';
import type { Clock, Cluster, Executor, Forge, ImageBuilder, Logs, Policy, Reporter, Source } from './ports.ts';
import type { Store } from './store.ts';

/** Everything that the engine is given. */
export interface Parts {
  readonly source: Source;
  readonly executor: Executor;
  readonly builder: ImageBuilder;
  readonly cluster: Cluster;
  readonly reporter: Reporter;
  readonly forge: Forge;
  readonly logs: Logs;
  readonly store: Store;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: Limits;
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
}

/** The part of pino's interface that the engine uses: fields first, then a constant message. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
