import type { BuildSpec, HostAccess, JobSecrets, RolloutTarget, ServiceSpec, Shell, StepSpec } from './pipeline.ts';

/** What one event makes of a pipeline: jobs with every template filled in that can be known now. */
export interface Plan {
  readonly jobs: readonly PlannedJob[];
  readonly concurrency: Concurrency | null;
}

/** As ConcurrencySpec, filled in. */
export interface Concurrency {
  /** In small letters: capital ones make no difference. */
  readonly group: string;
  readonly cancelInProgress: boolean;
  readonly queue: 'single' | 'max';
}

export interface PlannedJob {
  /** Unique in the plan: `test`, `test (node 24)`, `deploy staging`. Shown as the check run's name. */
  readonly key: string;
  /** Id of the job in the pipeline; several planned jobs share it in a matrix. `deploy:ENV` for a deployment. */
  readonly id: string;
  /** Keys of the planned jobs that must be completed first. */
  readonly needs: readonly string[];
  /** Expression to be settled when `needs` are completed, or null for `success()`. */
  readonly if: string | null;
  /** The values that this instance of a matrix has. */
  readonly matrix: Readonly<Record<string, string | number | boolean>>;
  /** Why this event doesn't run the job, or null. Such a job gets a skipped check run. */
  readonly skip: string | null;
  readonly continueOnError: boolean;
  readonly timeoutMinutes: number;
  /** How often it starts over by itself after a failure of its own (not the platform's). */
  readonly retries: number;
  readonly concurrency: Concurrency | null;
  /** Higher goes first: 2 for a deployment, 1 for what a deployment of the same run waits for, 0 for the rest. */
  readonly priority: 0 | 1 | 2;
  readonly work: Work;
}

export type Work = ScriptWork | ImageWork | DeployWork;

export interface ScriptWork {
  readonly kind: 'script';
  readonly image: string;
  readonly steps: readonly StepSpec[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string | null;
  readonly shell: Shell;
  readonly services: readonly ServiceSpec[];
  readonly artifacts: readonly string[];
  readonly reports: { readonly junit: readonly string[] };
  /** These four are missing in plans that an older version stored. */
  readonly secrets?: JobSecrets;
  readonly environment?: string;
  readonly docker?: boolean;
  readonly access?: HostAccess;
}

export interface ImageWork {
  readonly kind: 'image';
  readonly build: BuildSpec;
  /** Tags to push under; empty: build only. */
  readonly tags: readonly string[];
}

export interface DeployWork {
  readonly kind: 'deploy';
  readonly environment: string;
  readonly url: string | null;
  readonly rollout: readonly RolloutTarget[];
}
