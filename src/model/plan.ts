import type { GitOpsSpec, Strategy } from './delivery.ts';
import type { DeployMode, DeployRules } from './deploy-rules.ts';
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
  /** Key of the deploy job that lets it begin, as a check between its steps; it is skipped if that ends before. */
  readonly heldBy?: string;
  readonly work: Work;
}

export type Work = ScriptWork | ImageWork | DeployWork | PreviewWork | PlanWork;

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
  /** All of these are missing in plans that an older version stored. */
  readonly mode?: DeployMode;
  readonly rules?: DeployRules;
  readonly stableSeconds?: number;
  readonly atOnce?: boolean;
  readonly strategy?: Strategy | null;
  readonly gitops?: GitOpsSpec | null;
  /** Digests by image job that were named (by a rollback, a promotion); otherwise those recorded for the commit. */
  readonly images?: Readonly<Record<string, string>>;
  /** Somebody who may has asked to go over the lock. */
  readonly overLock?: boolean;
  /** Of a rollback: the deployment whose digests are restored. */
  readonly restores?: string;
  /** Environments whose `after` names this one: where it can be promoted to next. At most 2 get a button. */
  readonly next?: readonly string[];
}

/** Puts the pull request's own environment into a namespace. */
export interface PreviewWork {
  readonly kind: 'preview';
  /** `preview/pr-7`. */
  readonly environment: string;
  readonly number: number;
  readonly url: string | null;
  readonly manifests: readonly string[];
  /** By image name in the manifests: the image job. */
  readonly images: Readonly<Record<string, string>>;
  readonly keepMinutes: number;
}

/** Says what a deployment of this commit to each environment would change. Does nothing. */
export interface PlanWork {
  readonly kind: 'plan';
  /** Environments to offer a button for, those without `after` first; the first 3 get one. */
  readonly environments?: readonly string[];
}
