import type { StepsProgress } from '#src/model/delivery.ts';
import type { DeployMode, PeopleRule } from '#src/model/deploy-rules.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';

/** What the engine keeps of deployments, by the rules of store.ts. */

export interface DeploymentRecord {
  readonly id: string;
  readonly repositoryId: number;
  readonly repository: string;
  readonly environment: string;
  readonly sha: string;
  readonly runId: string;
  readonly jobId: string;
  readonly actor: string;
  /** inactive: it succeeded, and another has taken its place, or it was removed. */
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';
  /** A sentence on where it stands. */
  readonly description: string;
  /** For each workload, in the order of the environment's `rollout`: the images, and how far it got. */
  readonly changes: readonly RolloutChange[];
  readonly createdAt: number;
  readonly updatedAt: number;
  /** When the first workload was patched, or null: the deadline counts from here, also after a restart. */
  readonly patchedAt: number | null;
  /** Empty in records of older versions. */
  readonly details: DeploymentDetails;
}

export interface DeploymentDetails {
  /** Attempt of the job that this is of. */
  readonly attempt?: number;
  /** Of a rollout by steps. */
  readonly steps?: StepsProgress;
  readonly mode?: DeployMode;
  readonly title?: string;
  readonly branch?: string;
  readonly tag?: string;
  /** The pull request where it was asked for, or of which the commit is. */
  readonly number?: number | null;
  readonly url?: string | null;
  /** What was rolled out, so that it can be restored whatever the pipeline file says later. */
  readonly rollout?: readonly RolloutTarget[];
  /** Digests by image job. */
  readonly images?: Readonly<Record<string, string>>;
  readonly allow?: PeopleRule | null;
  readonly params?: Readonly<Record<string, string>>;
  /** Id of the deployment whose digests a rollback restored. */
  readonly restores?: string;
  /** It was healthy, and somebody rolled back from it: plain `/rollback` never chooses it again. */
  readonly rolledBack?: boolean;
  /** When it became healthy. */
  readonly healthyAt?: number;
  readonly gitops?: GitOpsProgress;
  readonly preview?: PreviewProgress;
}

/** How far a deployment by commit got. */
export interface GitOpsProgress {
  readonly attempt: number;
  /** When it began, milliseconds since the epoch: its time limits count from here. */
  readonly since?: number;
  readonly branch?: string;
  readonly commit?: string;
  readonly pullRequest?: number;
  readonly url?: string;
  readonly merged?: boolean;
}

/** Where a preview is. */
export interface PreviewProgress {
  /** Null: the default cluster. */
  readonly cluster: string | null;
  readonly namespace: string;
  readonly number: number;
  /** It is removed then; milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Why it is removed before its time, a sentence. */
  readonly why?: string;
  readonly removedAt?: number;
}

/** Names of environments are compared without regard to case. */
export interface DeploymentStore {
  save(deployment: DeploymentRecord): Promise<void>;
  get(id: string): Promise<DeploymentRecord | null>;
  ofJob(jobId: string): Promise<DeploymentRecord | null>;
  /** Newest first. */
  list(repositoryId: number, environment: string | null, limit: number): Promise<readonly DeploymentRecord[]>;
  /** Names of environments to which something was deployed, previews too. */
  environments(repositoryId: number): Promise<readonly string[]>;
  /** The last that succeeded before `before` (an id), also if it is inactive by now, or null. */
  lastHealthy(repositoryId: number, environment: string, before: string | null): Promise<DeploymentRecord | null>;
  /**
   * A deployment became healthy: every other `success` of its environment is `inactive` now (and `rolledBack`, if it says
   * so), and their runs are told again. Returns those.
   */
  supersede(by: DeploymentRecord, rolledBack: boolean): Promise<readonly DeploymentRecord[]>;
  /** Its preview was removed: success -> inactive with this description (a failed one stays that), and its run is told again. */
  retire(id: string, description: string, at: number): Promise<void>;
  /**
   * Previews (of all repositories) that are there, as their newest deployment with `details.preview` has them: not
   * removed, whether it succeeded or not. Newest first.
   */
  previews(): Promise<readonly DeploymentRecord[]>;
  /** Every repository to which something was deployed, as `owner/name` with its id, by name. */
  repositories(): Promise<readonly { readonly repositoryId: number; readonly repository: string }[]>;
}

/** That somebody approved a deployment, or a step of it, or refused it. */
export interface Approval {
  readonly jobId: string;
  readonly attempt: number;
  /** As JobGate.gate: `start`, `step 2`. */
  readonly gate: string;
  readonly login: string;
  readonly decision: 'approve' | 'reject';
  readonly at: number;
}

export interface ApprovalStore {
  /** False (and nothing changes) if this person decided on this gate before. Logins are compared without regard to case. */
  add(approval: Approval): Promise<boolean>;
  /** Oldest first. */
  of(jobId: string, attempt: number): Promise<readonly Approval[]>;
}

/** Nothing is deployed to the environment but by its owner. */
export interface Lock {
  readonly repositoryId: number;
  /** '' is the whole repository. */
  readonly environment: string;
  readonly owner: string;
  /** '' if none was given. */
  readonly reason: string;
  /** It is released when this pull request closes; null: it is sticky. */
  readonly pullRequest: number | null;
  readonly at: number;
}

/** Names of environments and owners are compared without regard to case. */
export interface LockStore {
  /** Takes the lock if nobody has it; answers whose it is now. Atomic. */
  take(lock: Lock): Promise<Lock>;
  /** False if it isn't this owner's any more (null: whoever has it). */
  release(repositoryId: number, environment: string, owner: string | null): Promise<boolean>;
  of(repositoryId: number): Promise<readonly Lock[]>;
  /** Releases what goes with the pull request; returns it. */
  closed(repositoryId: number, pullRequest: number): Promise<readonly Lock[]>;
}

/** A head that a pull request had, as GitHub told it. */
export interface Head {
  readonly repositoryId: number;
  readonly number: number;
  readonly sha: string;
  /** When it became the head by GitHub's clock, whole seconds as milliseconds; null where GitHub didn't say. */
  readonly at: number | null;
  readonly receivedAt: number;
}

export interface HeadStore {
  /** A commit that is a head again later is another entry; told twice, it is one. */
  record(head: Head): Promise<void>;
  /** Newest last: by `at`, else by when it was received. At most the last 50. */
  of(repositoryId: number, number: number): Promise<readonly Head[]>;
}
