import type { Annotation } from '#src/model/annotation.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import type { Trigger } from '#src/model/event.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Concurrency, PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { SecretInfo, SecretScope } from '#src/model/secret.ts';
import type { Trust } from '#src/model/trust.ts';
import type { Attempt, Cancellation, Job, Run, RunView, Step, TestSummary } from '#src/model/run.ts';
import type { ArchiveRef } from './ports.ts';
import type { ApprovalStore, DeploymentStore, HeadStore, LockStore } from './store-deployments.ts';

/**
 * What the engine keeps. Every method is atomic and durable when it resolves; throws PlatformError when the
 * database fails. Times are milliseconds since the epoch.
 */
export interface Store {
  readonly deliveries: DeliveryStore;
  readonly runs: RunStore;
  readonly images: ImageStore;
  readonly deployments: DeploymentStore;
  readonly approvals: ApprovalStore;
  readonly locks: LockStore;
  readonly heads: HeadStore;
  readonly audit: AuditStore;
  readonly secrets: SecretStore;
  /** What GitHub was told, as an opaque text by key. */
  readonly told: ToldStore;
  readonly workers: WorkerStore;
  readonly groups: GroupStore;
  readonly signals: Signals;
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
  /** Which of these GUIDs were never received. */
  missing(guids: readonly string[]): Promise<readonly string[]>;
  /** Forgets deliveries that were processed before this time, at most `limit`; returns how many. */
  forget(before: number, limit: number): Promise<number>;
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
  /** Unfinished runs of the pull request, deploy runs too, oldest first. */
  unfinishedOfPullRequest(repositoryId: number, number: number): Promise<readonly Run[]>;
  /** True if there is any run of this commit with this runKey. */
  exists(repositoryId: number, sha: string, runKey: string): Promise<boolean>;
  /** Runs with this runKey, of whatever commit, newest first; at most 20. */
  ofKey(repositoryId: number, runKey: string): Promise<readonly Run[]>;
  /** Asks for the run's end. False (and nothing changes) if it is completed or was asked for before; a person may still ask after Slipway. */
  cancel(id: string, cancellation: Cancellation): Promise<boolean>;
  /** Asks for the end of one job. As `cancel`. A restart of the job clears it. */
  cancelJob(jobId: string, cancellation: Cancellation): Promise<boolean>;
  /** Stores whether the commit is trusted. False (and nothing changes) if that was decided before. */
  trust(id: string, trust: Trust): Promise<boolean>;
  /** needed -> given, by this person. False (and nothing changes) if no approval is needed, or the run is completed. */
  approve(id: string, by: string): Promise<boolean>;
  /** What the run waits for, or null. */
  note(id: string, note: string | null): Promise<void>;
  /** Ids of runs of which something changed since it was last told (see `told`), oldest first. */
  untold(limit: number): Promise<readonly string[]>;
  /** Everything up to this version of the run has been told. */
  told(id: string, version: number): Promise<void>;
  /**
   * Removes completed runs that ended before `before`, or of which the repository has `keep` newer ones; at
   * most `limit`, oldest first; never one that is the newest of its repository, one that isn't wholly told, or the run of
   * one of an environment's last 10 healthy deployments or of a preview that is there. What failed to be deployed is
   * forgotten with its run; healthy deployments never are. Heads of pull requests that were told before `before` go too,
   * but for the newest of each. Returns the jobs that went, so that their logs and artifacts can go too.
   */
  prune(rule: {
    readonly before: number | null;
    readonly keep: number | null;
    readonly limit: number;
  }): Promise<readonly { readonly runId: string; readonly jobs: readonly { id: string; attempts: number }[] }[]>;
  /** Newest first; without what a pull request would add (see isAdded) that isn't planned, or comes to nothing. */
  list(filter: {
    readonly repository?: string;
    readonly branch?: string;
    readonly before?: string;
    readonly limit: number;
  }): Promise<readonly Run[]>;
  /** Runs of this head commit, newest first. */
  ofCommit(repositoryId: number, sha: string): Promise<readonly Run[]>;
  /** Newest run of the branch's commits, by a push or by a pull request from it (not from a fork, nor what one adds), for badges. `repository` is `owner/name`. */
  ofBranch(repository: string, branch: string): Promise<Run | null>;
  /** Newest run of the pull request (by number) that isn't a deploy run nor what was added to one (see isAdded), or null. */
  ofPullRequest(repositoryId: number, number: number): Promise<Run | null>;
  setPullRequest(id: string, number: number): Promise<void>;
  /** The run's commit was pushed again at this time (see Trigger.at); an earlier one changes nothing. */
  pushedAgain(id: string, at: number): Promise<void>;
  /** Stores the plan: makes the jobs (state waiting) and sets the run running, in one transaction. Nothing happens if it was planned before. */
  plan(
    id: string,
    plan: {
      readonly jobs: readonly PlannedJob[];
      readonly diagnostics: readonly Diagnostic[];
      readonly concurrency: Concurrency | null;
      readonly pipelineFile: string;
      readonly at: number;
    },
  ): Promise<void>;
  /** Ends a run (also one without jobs), unless it is completed or one of its jobs isn't. */
  finish(id: string, outcome: Outcome, diagnostics: readonly Diagnostic[], at: number): Promise<void>;
  /** waiting -> queued. Only if it is waiting. */
  queue(jobId: string, at: number): Promise<void>;
  /** What a waiting job waits for beside its needs, or null. Only if it is waiting. Without `gate` it has none. */
  noteJob(jobId: string, note: string | null, gate?: JobGate | null): Promise<void>;
  /** Unfinished deploy and preview jobs of the repository, oldest first. */
  deploying(repositoryId: number): Promise<readonly { readonly run: Run; readonly job: Job }[]>;
  /** The run is told again, though nothing of it changed: what is told depends on more than the run. */
  touch(id: string): Promise<void>;
  /**
   * A queued job of one of the kinds that is due, now running and owned by `worker`. Atomic: no job is given twice. Which:
   * higher priority first; then of the repository with the fewest running jobs, of those the one that was served
   * longest ago; then the one queued first. So no repository's many jobs keep another's waiting.
   */
  claim(worker: string, kinds: readonly PlannedJob['work']['kind'][], at: number): Promise<Job | null>;
  /** When the next queued job becomes due that isn't yet (milliseconds), or null. */
  nextDue(at: number): Promise<number | null>;
  /**
   * Stores steps, progress, gate and report, if the job is running in this attempt and owned by this worker. False if it
   * isn't. The run is told again by another gate alone.
   */
  progress(
    owned: Owned,
    change: {
      readonly steps?: readonly Step[];
      readonly progress?: string;
      readonly gate?: JobGate | null;
      readonly report?: string;
    },
  ): Promise<boolean>;
  /** waiting or queued -> completed: it doesn't run. False if it is in another state. */
  drop(jobId: string, outcome: Outcome, at: number): Promise<boolean>;
  /** running -> completed, if it is running in this attempt and owned by this worker. False (and nothing changes) if it isn't. */
  complete(
    owned: Owned,
    result: {
      readonly outcome: Outcome;
      readonly annotations?: readonly Annotation[];
      readonly tests?: TestSummary | null;
      readonly artifacts?: ArchiveRef | null;
      readonly report?: string;
      readonly at: number;
    },
  ): Promise<boolean>;
  /**
   * running -> queued with attempt + 1 and the attempt that ended added to `earlier`, steps and outcome cleared; if it
   * is running in this attempt and owned by this worker. False if it isn't.
   */
  again(
    owned: Owned,
    next: {
      readonly outcome: Outcome | null;
      readonly by: Attempt['by'];
      readonly why: string;
      /** What is shown while it waits. */
      readonly note: string | null;
      readonly notBefore: number | null;
      readonly at: number;
    },
  ): Promise<boolean>;
  /** running -> queued in the same attempt: it never began. Only as `again`. */
  unclaim(owned: Owned): Promise<boolean>;
  /** Archive that the job left in its last attempt, or null. */
  artifacts(jobId: string): Promise<ArchiveRef | null>;
  /**
   * completed -> waiting with attempt + 1 and the earlier one added to `earlier` (by a person, with `why` and `login`), steps and
   * outcome cleared, for these jobs; the run is running again and not cancelled. A completed run that has no jobs is
   * pending again. One transaction.
   */
  restart(runId: string, jobIds: readonly string[], why: string, at: number, login?: string): Promise<void>;
  /** The running jobs of a worker that is gone (null: of every worker but `heir`) are now the heir's, in the same attempt. Returns them. */
  inherit(worker: string | null, heir: string): Promise<readonly Job[]>;
  /** Of these (`jobId-attempt`), those that are running now. */
  running(names: readonly string[]): Promise<ReadonlySet<string>>;
}

/** Whose a running job is: a word from anybody else, or from an earlier attempt, changes nothing. */
export interface Owned {
  readonly jobId: string;
  readonly attempt: number;
  readonly worker: string;
}

/** A server process that works on this database. */
export interface Worker {
  readonly id: string;
  /** Where it keeps its data; whoever starts there takes the place of the one before. */
  readonly place: string;
  /** Id of its Docker engine, or null as long as that isn't known. */
  readonly engine: string | null;
  /** Grows as long as it lives. */
  readonly beats: number;
}

/**
 * The servers that share a database. Nobody's clock is compared with another's: a server is dead when its beats stay the
 * same for longer than the lease by the watch of who looks.
 */
export interface WorkerStore {
  /** A server that begins, or that found out its engine's id. */
  enter(worker: Omit<Worker, 'beats'>): Promise<void>;
  /** False if it was removed meanwhile: its jobs are another's by now. */
  beat(id: string): Promise<boolean>;
  all(): Promise<readonly Worker[]>;
  /** Who owns running jobs, whether it is known as a worker or not. */
  owners(): Promise<readonly string[]>;
  /** Removes it; if it led, nobody does. */
  remove(id: string): Promise<void>;
  leader(): Promise<string | null>;
  /** Makes it the leader in place of `instead` (null: of nobody). False if another is by now. Atomic. */
  lead(id: string, instead: string | null): Promise<boolean>;
}

/** Who waits for a concurrency group or has it: `run:ID` or `job:ID`. */
export interface GroupEntry {
  readonly holder: string;
  readonly runId: string;
  readonly holds: boolean;
  /** Order of arrival: smaller came first. */
  readonly seq: number;
}

export interface GroupStore {
  /**
   * Puts the holder in the group's line, if it isn't there, and gives it the group if nobody has it and nobody waits
   * before it. Returns the line in order. Atomic: a group has one holder.
   */
  enter(repositoryId: number, group: string, holder: string, runId: string): Promise<readonly GroupEntry[]>;
  /** The line as it stands, in order; nobody enters it. */
  line(repositoryId: number, group: string): Promise<readonly GroupEntry[]>;
  /**
   * Takes it out of every line, but for a job that is queued or running by now: that keeps its group. Returns the runs that
   * may go on now: of those first in line of what it left.
   */
  leave(holder: string): Promise<readonly string[]>;
  /** The runs for which jobs of this run wait: each has, as a whole, a group in whose line such a job stands. */
  heldUpBy(runId: string): Promise<readonly string[]>;
}

/** What servers tell each other. Best effort: whoever listens also looks by itself now and then. */
export interface Signals {
  /** Tells every server, this one too. Returns at once. */
  send(topic: Topic, subject: string): void;
  /** Returns what ends it. `heard` is called with '' after words may have been missed (a connection was lost). */
  listen(topic: Topic, heard: (subject: string) => void): () => void;
}

/** jobs: something was queued. run: something about the run (subject: its id) changed. deliveries: one was stored. */
export type Topic = 'jobs' | 'run' | 'deliveries';

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

/** Who did what, with which decision and why. */
export interface AuditRecord {
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly repository: string;
  readonly subject: string;
  readonly decision: 'allowed' | 'refused';
  readonly reason: string;
}

/** Records are only ever added: the database itself refuses to change or remove one. */
export interface AuditStore {
  append(record: AuditRecord): Promise<void>;
  /** Newest first. `repository` is `owner/name`. */
  list(repository: string | null, limit: number): Promise<readonly AuditRecord[]>;
  /** All since `since`, oldest first, a page at a time in memory. */
  all(since: number): AsyncIterable<AuditRecord>;
}

/** A secret as it is kept: encrypted by whoever calls, so that the store never sees a value. */
export interface SealedSecret extends SecretInfo {
  readonly ciphertext: string;
  /** When it was replaced or removed: it is given out no longer, but logs of jobs that got it still mask it. */
  readonly replacedAt: number | null;
}

export interface SecretStore {
  /** Sets or replaces. */
  put(secret: Omit<SealedSecret, 'replacedAt'>): Promise<void>;
  /** False if there was none. */
  remove(scope: SecretScope, name: string, at: number): Promise<boolean>;
  /** Of the owner, of the repository (`owner/name`, null: those of the owner alone) and of its environments; replaced ones too. */
  of(owner: string, repository: string | null): Promise<readonly SealedSecret[]>;
  /** Every secret, replaced ones too: for a new key. */
  every(): Promise<readonly SealedSecret[]>;
  /** Puts another ciphertext of the same value in place, if it is still `from`. */
  rewrap(secret: SealedSecret, ciphertext: string): Promise<void>;
  /** Forgets what was replaced before this time. */
  forget(before: number): Promise<number>;
}

export interface ToldStore {
  /** Forgets every key that begins with this. */
  remove(prefix: string): Promise<void>;
  get(key: string): Promise<string | null>;
  set(key: string, value: string): Promise<void>;
}
