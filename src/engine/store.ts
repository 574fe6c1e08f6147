import type { Annotation } from '#src/model/annotation.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import type { Trigger } from '#src/model/event.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, Run, RunView, Step, TestSummary } from '#src/model/run.ts';
import type { ArchiveRef } from './ports.ts';

/**
 * What the engine keeps. Every method is atomic and durable when it resolves; throws PlatformError when the
 * database fails. Times are milliseconds since the epoch.
 */
export interface Store {
  readonly deliveries: DeliveryStore;
  readonly runs: RunStore;
  readonly images: ImageStore;
  readonly deployments: DeploymentStore;
  readonly audit: AuditStore;
  /** What GitHub was told, as an opaque text by key. */
  readonly told: ToldStore;
  /** Rejects with PlatformError if the database doesn't answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface Delivery {
  /** X-GitHub-Delivery. */
  readonly guid: string;
  readonly event: string;
  /** The body as it came. */
  readonly body: Buffer;
  readonly receivedAt: number;
}

export interface DeliveryStore {
  /** Durable when it resolves. False if the GUID was known already (then nothing changes). */
  add(delivery: Delivery): Promise<boolean>;
  /** The oldest not yet processed, at most `limit`. */
  pending(limit: number): Promise<readonly Delivery[]>;
  /** Marks as processed with what came of it, a sentence. */
  finish(guid: string, result: string, at: number): Promise<void>;
  get(guid: string): Promise<{
    readonly event: string;
    readonly receivedAt: number;
    readonly finishedAt: number | null;
    readonly result: string | null;
  } | null>;
}

export interface NewRun {
  readonly repository: Repository;
  readonly trigger: Trigger;
  readonly pullRequest: number | null;
  readonly at: number;
}

export interface RunStore {
  /** Creates the run, or answers the one that has the same repository, sha and runKey. Atomic. */
  create(run: NewRun): Promise<{ readonly run: Run; readonly created: boolean }>;
  get(id: string): Promise<Run | null>;
  view(id: string): Promise<RunView | null>;
  job(id: string): Promise<Job | null>;
  /** Ids of runs that aren't completed, oldest first. */
  unfinished(): Promise<readonly string[]>;
  /** Newest first. */
  list(filter: {
    readonly repository?: string;
    readonly branch?: string;
    readonly before?: string;
    readonly limit: number;
  }): Promise<readonly Run[]>;
  /** Runs of this head commit, newest first. */
  ofCommit(repositoryId: number, sha: string): Promise<readonly Run[]>;
  /** Newest run of the branch's commits, by a push or by a pull request from it (not from a fork), for badges. `repository` is `owner/name`. */
  ofBranch(repository: string, branch: string): Promise<Run | null>;
  /** Newest run of the pull request (by number) that isn't a deploy run, or null. */
  ofPullRequest(repositoryId: number, number: number): Promise<Run | null>;
  setPullRequest(id: string, number: number): Promise<void>;
  /** Stores the plan: makes the jobs (state waiting) and sets the run running, in one transaction. Nothing happens if it was planned before. */
  plan(
    id: string,
    plan: {
      readonly jobs: readonly PlannedJob[];
      readonly diagnostics: readonly Diagnostic[];
      readonly pipelineFile: string;
      readonly at: number;
    },
  ): Promise<void>;
  /** Ends a run (also one without jobs). */
  finish(id: string, outcome: Outcome, diagnostics: readonly Diagnostic[], at: number): Promise<void>;
  /** waiting -> queued. Only if it is waiting. */
  queue(jobId: string, at: number): Promise<void>;
  /** The oldest queued job of one of the kinds, now running and owned by `worker`. Atomic: no job is given twice. */
  claim(worker: string, kinds: readonly PlannedJob['work']['kind'][], at: number): Promise<Job | null>;
  /** Stores steps and progress of a running job. */
  progress(jobId: string, change: { readonly steps?: readonly Step[]; readonly progress?: string }): Promise<void>;
  /** Any state -> completed. */
  complete(
    jobId: string,
    result: {
      readonly outcome: Outcome;
      readonly annotations?: readonly Annotation[];
      readonly tests?: TestSummary | null;
      readonly artifacts?: ArchiveRef | null;
      readonly at: number;
    },
  ): Promise<void>;
  /** Archive that the job left in its last attempt, or null. */
  artifacts(jobId: string): Promise<ArchiveRef | null>;
  /**
   * completed -> waiting with attempt + 1, steps and outcome cleared, for these jobs; the run is running again. A completed
   * run that has no jobs is pending again. One transaction.
   */
  restart(runId: string, jobIds: readonly string[], at: number): Promise<void>;
  /** running -> queued with attempt + 1, for jobs whose worker is gone. Returns the jobs. */
  requeue(worker: string | null): Promise<readonly Job[]>;
}

export interface ImageRecord {
  readonly repositoryId: number;
  readonly sha: string;
  /** Id of the image job. */
  readonly job: string;
  /** `repository@sha256:...` */
  readonly image: string;
  readonly tags: readonly string[];
  readonly at: number;
}

export interface ImageStore {
  record(image: ImageRecord): Promise<void>;
  find(repositoryId: number, sha: string, job: string): Promise<ImageRecord | null>;
}

export interface DeploymentRecord {
  readonly id: string;
  readonly repositoryId: number;
  readonly repository: string;
  readonly environment: string;
  readonly sha: string;
  readonly runId: string;
  readonly jobId: string;
  readonly actor: string;
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';
  /** A sentence on where it stands. */
  readonly description: string;
  /** Image before and after, for each workload. */
  readonly changes: readonly { readonly workload: string; readonly before: string | null; readonly after: string }[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface DeploymentStore {
  save(deployment: DeploymentRecord): Promise<void>;
  ofJob(jobId: string): Promise<DeploymentRecord | null>;
  /** Newest first. */
  list(repositoryId: number, environment: string | null, limit: number): Promise<readonly DeploymentRecord[]>;
  /** The last that succeeded before `before` (an id), also if it is inactive by now, or null. */
  lastHealthy(repositoryId: number, environment: string, before: string | null): Promise<DeploymentRecord | null>;
}

export interface AuditStore {
  append(record: {
    readonly at: number;
    readonly actor: string;
    readonly action: string;
    readonly repository: string;
    readonly subject: string;
    readonly decision: 'allowed' | 'refused';
    readonly reason: string;
  }): Promise<void>;
  list(
    repository: string | null,
    limit: number,
  ): Promise<
    readonly {
      readonly at: number;
      readonly actor: string;
      readonly action: string;
      readonly repository: string;
      readonly subject: string;
      readonly decision: string;
      readonly reason: string;
    }[]
  >;
}

export interface ToldStore {
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
}
