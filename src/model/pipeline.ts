import type { Span } from './diagnostic.ts';
import type { GitOpsSpec, PreviewSpec, Strategy } from './delivery.ts';
import type { DeployRules } from './deploy-rules.ts';
import type { SecretUse } from './secret.ts';

/**
 * What a repository's CI file says, whatever its dialect. Strings marked "template" may hold
 * `${{ }}` expressions, which the planner fills in.
 */
export interface Pipeline {
  /** Name of the dialect that made it: `native`, `detected`, ... */
  readonly dialect: string;
  /** The file it came from, relative to the repository's root. */
  readonly file: string;
  readonly jobs: readonly JobSpec[];
  readonly environments: readonly EnvironmentSpec[];
  /** An environment for each pull request; absent: none. */
  readonly preview?: PreviewSpec | null;
  /** Null: the pipeline's runs may run beside each other. */
  readonly concurrency: ConcurrencySpec | null;
}

/** Of those with the same group in one repository, one runs at a time. */
export interface ConcurrencySpec {
  /** Template. */
  readonly group: string;
  /** True: a newer one cancels the one that runs. */
  readonly cancelInProgress: boolean;
  /** GitHub's words. What waits: only the newest (an older one that waits is cancelled), or all, in order. */
  readonly queue: 'single' | 'max';
}

export type JobSpec = ScriptJobSpec | ImageJobSpec;

interface JobBase {
  /** Unique in the pipeline; what `needs` names. */
  readonly id: string;
  /** Template; null: the id is shown. */
  readonly name: string | null;
  readonly needs: readonly string[];
  /** Expression (without `${{ }}`), or null for `success()`. */
  readonly if: string | null;
  readonly matrix: Matrix | null;
  readonly continueOnError: boolean;
  readonly timeoutMinutes: number;
  /** How often a failed job starts over by itself. */
  readonly retries: number;
  readonly concurrency: ConcurrencySpec | null;
  readonly at: Span;
}

/** Commands in a container. */
export interface ScriptJobSpec extends JobBase {
  readonly kind: 'script';
  /** Template. */
  readonly image: string;
  readonly steps: readonly StepSpec[];
  /** Values are templates. */
  readonly env: Readonly<Record<string, string>>;
  /** Relative to the workspace; null: the workspace itself. Template. */
  readonly workdir: string | null;
  readonly shell: Shell;
  readonly services: readonly ServiceSpec[];
  /** Glob patterns of files handed to the jobs that need this one. */
  readonly artifacts: readonly string[];
  readonly reports: { readonly junit: readonly string[] };
  readonly secrets?: JobSecrets;
  /** The environment whose secrets the job may have, where the event deploys to it. */
  readonly environment?: string;
  /** True: the job gets a Docker engine of its own, filtered. */
  readonly docker?: boolean;
  readonly access?: HostAccess;
}

/** Secrets of a whole job, by the variable that gets them. */
export interface JobSecrets {
  readonly named: Readonly<Record<string, SecretUse>>;
  /** Sealed texts: encrypted for this repository, opened by the server alone. */
  readonly sealed: Readonly<Record<string, string>>;
}

/** What reaches into the host: each needs the operator's word. */
export interface HostAccess {
  readonly privileged: boolean;
  /** `none`: no network at all; that everybody may ask for. */
  readonly network: 'private' | 'host' | 'none';
  /** Paths on the host: `/dev/kvm`. */
  readonly devices: readonly string[];
  readonly volumes: readonly { readonly source: string; readonly target: string; readonly readOnly: boolean }[];
}

/** Builds an image, and pushes it where the event deploys. */
export interface ImageJobSpec extends JobBase {
  readonly kind: 'image';
  readonly build: BuildSpec;
}

export type Shell = 'sh' | 'bash';

/** All steps of a job share one shell: `cd` and `export` carry over, as in a terminal. */
export interface StepSpec {
  readonly name: string;
  /** Template; of the contexts only `matrix` may be used, everything else comes as a variable. */
  readonly script: string;
  /** Secrets that this step alone gets, by variable. */
  readonly secrets?: Readonly<Record<string, SecretUse>>;
}

export interface ServiceSpec {
  /** Host name under which the job reaches it. */
  readonly name: string;
  /** Template. */
  readonly image: string;
  /** Values are templates. */
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[] | null;
  /** Port that must be open before the job starts; null: the image's health check, else its exposed ports. */
  readonly port: number | null;
  readonly readyTimeoutSeconds: number;
}

export interface BuildSpec {
  /** Folder, relative to the repository's root. */
  readonly context: string;
  /** Relative to the context. */
  readonly dockerfile: string;
  /** Repository of the image without tag: `ghcr.io/acme/shop`. Template. Null: built, never pushed. */
  readonly image: string | null;
  readonly target: string | null;
  /** Values are templates. */
  readonly args: Readonly<Record<string, string>>;
  /** Secrets by the id under which `RUN --mount=type=secret,id=...` finds them. */
  readonly secrets?: Readonly<Record<string, string>>;
}

export type Scalar = string | number | boolean;

export interface Matrix {
  readonly axes: Readonly<Record<string, readonly Scalar[]>>;
  readonly include: readonly Readonly<Record<string, Scalar>>[];
  readonly exclude: readonly Readonly<Record<string, Scalar>>[];
}

export interface EnvironmentSpec {
  readonly name: string;
  readonly on: {
    /** Glob patterns of branches; `*` doesn't cross `/`, `**` does. */
    readonly branches: readonly string[];
    readonly tags: readonly string[];
    /** Releases that are published on GitHub. */
    readonly releases: boolean;
  };
  readonly rules: DeployRules;
  /** What becomes of deployments that wait for another: each gets its turn, or only the newest does. */
  readonly queue: 'all' | 'newest';
  /** Shown on GitHub. Template. */
  readonly url: string | null;
  readonly timeoutMinutes: number;
  /** How long a workload must have stayed healthy before the rollout counts as done. */
  readonly stableSeconds: number;
  /** True: all workloads are patched at the same time. */
  readonly atOnce: boolean;
  /** Null: a plain rolling update. */
  readonly strategy: Strategy | null;
  /** Not null: deploying is a commit in another repository, and `rollout` only names the images. */
  readonly gitops: GitOpsSpec | null;
  readonly rollout: readonly RolloutTarget[];
  readonly at: Span;
}

/** One container of one workload. */
export interface RolloutTarget {
  readonly kind: WorkloadKind;
  /** Name of a cluster in the operator's file; null: the default cluster. */
  readonly cluster: string | null;
  readonly namespace: string;
  readonly name: string;
  readonly container: string;
  /** Id of the image job whose digest is rolled out. */
  readonly image: string;
}

/** `deploymentconfig` is OpenShift's; `rollout` is Argo's. */
export type WorkloadKind = 'deployment' | 'statefulset' | 'daemonset' | 'deploymentconfig' | 'rollout';
