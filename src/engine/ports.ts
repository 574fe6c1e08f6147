import type { PeopleRule } from '#src/model/deploy-rules.ts';
import type { Event, Trigger } from '#src/model/event.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { BuildSpec, HostAccess, RolloutTarget, ServiceSpec, Shell, StepSpec } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import type { PreviewRule } from './ports-deploy.ts';
import type { GivenSecret } from '#src/model/secret.ts';
import type { WorkloadState } from '#src/model/rollout.ts';

/**
 * What the engine needs of the world, in its own words. Unless a method says otherwise it may be
 * called concurrently, throws PlatformError when the platform fails and UserError when what was
 * asked for can't be, and gives up when its signal is aborted by throwing the signal's reason.
 */

// ---- Source -----------------------------------------------------------------------------------

/** The repository's files at a commit. */
export interface Source {
  /** The commit that a ref (`refs/heads/x`, `refs/tags/v1`, `refs/pull/7/head`) names now, peeled; null if there is none. */
  resolve(repository: Repository, ref: string, signal: AbortSignal): Promise<string | null>;
  /** Message of the commit. Fetches `ref` if the commit isn't known yet. */
  message(repository: Repository, commit: Commit, signal: AbortSignal): Promise<string>;
  /**
   * Paths of all files at the commit that lie no deeper than two folders (enough for detection); with `folder` (no slash at
   * its ends) of all files in that, however deep. Regular files only.
   */
  list(repository: Repository, commit: Commit, signal: AbortSignal, folder?: string): Promise<readonly string[]>;
  /** Contents by path; null where there is no such file. Refuses files over 1 MB with UserError. */
  read(
    repository: Repository,
    commit: Commit,
    paths: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string | null>>;
  /**
   * A folder with the commit checked out, `.git` included (tags known, no credentials in it, nothing
   * points outside). It is shared and must never be written to or run in; whoever called must release it.
   */
  tree(repository: Repository, commit: Commit, signal: AbortSignal): Promise<Tree>;
}

export interface Commit {
  readonly sha: string;
  /** Ref from which it can be fetched. */
  readonly ref: string;
}

export interface Tree extends AsyncDisposable {
  /** Absolute path. */
  readonly path: string;
}

// ---- Executor ---------------------------------------------------------------------------------

/** Everything that a script job needs, resolved. */
export interface JobRequest {
  readonly jobId: string;
  readonly runId: string;
  readonly attempt: number;
  /** For labels and messages. */
  readonly repository: string;
  readonly key: string;
  readonly image: string;
  readonly shell: Shell;
  readonly workdir: string | null;
  readonly steps: readonly StepSpec[];
  readonly env: Readonly<Record<string, string>>;
  /** Values that never may appear in the log. */
  readonly secrets: readonly string[];
  readonly services: readonly ServiceSpec[];
  /** Glob patterns, relative to the workspace, `**` allowed. */
  readonly artifacts: readonly string[];
  readonly reports: readonly string[];
  /** Archives from the jobs that this one needs, unpacked into the workspace before the first step. */
  readonly inputs: readonly ArchiveRef[];
  readonly timeoutMs: number;
  /** False for a stranger's commit: the operator's credentials pull nothing for it. */
  readonly trusted: boolean;
  /** Secrets that the job gets; their values are in `secrets` too. */
  readonly given: readonly GivenSecret[];
  /** What reaches into the host, as the operator allowed it. */
  readonly access: HostAccess;
  /** Runtime of the engine (`runsc`), or null for its default. */
  readonly runtime: string | null;
  /** A filtered engine of the job's own, or null. */
  readonly docker: JobDocker | null;
}

/** What a job with an engine of its own may do with it beyond its own things. */
export interface JobDocker {
  /** Why the job may not push to this image repository, or null if it may. */
  refusePush(image: string): string | null;
  /** Whether the operator's credentials for this registry (host) may be used for the job's pulls and pushes. */
  mayUse(registry: string): boolean;
}

/** Name of a stored tar archive, given out by an Executor and understood by it and the ImageBuilder. */
export type ArchiveRef = string;

export interface JobResult {
  readonly outcome: Outcome;
  /** Files named by `artifacts`, if there were any and the job succeeded. */
  readonly artifacts: ArchiveRef | null;
  /** Contents of the files named by `reports`, by path; also of a failed job. At most 10 MB in all. */
  readonly reports: ReadonlyMap<string, string>;
}

/** Told in order, never concurrently. Bytes are masked and free of step markers. */
export interface JobListener {
  /**
   * The job's own output begins now. Answers where in the log, so that who follows it later can begin there again.
   */
  begin(): number;
  /** The output is told again from its first byte: what the log holds from `begun` on is forgotten. Before anything else. */
  rewind(begun: number): Promise<void>;
  log(bytes: Buffer): void;
  step(step: StepChange): void;
}

export type StepChange =
  | { readonly kind: 'started'; readonly index: number; readonly at: number }
  | { readonly kind: 'finished'; readonly index: number; readonly at: number; readonly exitCode: number };

export interface Executor {
  /**
   * Runs the job to its end. `tree` is awaited while the container starts, so hand over the promise.
   * The user's failure, a time-out and a stop are outcomes; only the platform's failure throws. A container that was ended
   * from outside (the engine restarted, say) is the platform's failure with `retry: 'once'`. BegunElsewhere (errors.ts) if
   * another process began this attempt meanwhile: then `attach` goes on with it.
   * Everything made for the job is removed, if need be after the promise is settled.
   */
  run(request: JobRequest, tree: Promise<Tree>, listener: JobListener, ends: Ends): Promise<JobResult>;
  /**
   * Goes on with a job that another process began by `run` with the same request and left, or died over; also if the
   * job has ended meanwhile. The listener is told everything from the job's first byte on, after a `rewind`. The time limit
   * counts from the job's begin. Null if the job never began, and then nothing is left of it: call `run`. Throws as `run`
   * does if it began and can't be followed.
   */
  attach(request: JobRequest, listener: JobListener, ends: Ends): Promise<JobResult | null>;
  /**
   * A job with this image will probably come within seconds: a container may be started ahead for it. Returns at
   * once, pulls nothing and never fails.
   */
  expect(image: string): void;
  /**
   * Removes what nobody needs any more: things made for jobs that `running` doesn't name. It is asked after the things
   * were listed, with their names (`jobId-attempt`), and answers those that are running. Returns how many things went.
   */
  sweep(running: (names: readonly string[]) => Promise<ReadonlySet<string>>): Promise<number>;
  /** Rejects with PlatformError if the engine can't be reached. Deadline 5 s. */
  ping(): Promise<void>;
  /** What tells this engine from others: a job can be followed by who reaches the same engine. As `ping`. */
  engine(): Promise<string>;
  /** Ends containers kept ready and waits for removals under way. Jobs that were left go on. */
  close(): Promise<void>;
}

export interface Ends {
  /** Aborted: the job is stopped (SIGTERM, 10 s, SIGKILL), and its outcome is `cancelled` with the reason's message. */
  readonly cancel: AbortSignal;
  /** Aborted: the server ends. The reason is thrown; a job that has begun goes on by itself, any other is removed. */
  readonly leave: AbortSignal;
}

// ---- ImageBuilder -----------------------------------------------------------------------------

export interface BuildRequest {
  readonly jobId: string;
  readonly repository: string;
  readonly build: BuildSpec;
  /** Tags to push under; empty: build only. */
  readonly tags: readonly string[];
  readonly inputs: readonly ArchiveRef[];
  readonly secrets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** False for a stranger's commit: the operator's credentials pull nothing for it. */
  readonly trusted: boolean;
  /** `none`: instructions have no network. Base images are pulled all the same. */
  readonly network?: 'none';
  /** Values by the id under which `RUN --mount=type=secret,id=...` finds them; they are in `secrets` too. */
  readonly given: Readonly<Record<string, string>>;
  /** `repository@sha256:...` that was built of the same commit before: it gets the tags. Built again only if it is gone. */
  readonly built?: string;
}

export interface ImageBuilder {
  /**
   * Builds with BuildKit and pushes. A failing Dockerfile and a registry that refuses are the outcome `failure`, a stop
   * and a time-out are outcomes too; a registry that can't be reached throws. Who called releases the tree. `image` is `repository@sha256:...` once pushed, else null.
   */
  build(
    request: BuildRequest,
    tree: Promise<Tree>,
    listener: JobListener,
    signal: AbortSignal,
  ): Promise<{ readonly outcome: Outcome; readonly image: string | null }>;
}

// ---- Cluster ----------------------------------------------------------------------------------

/** Kubernetes workloads. Calls that fail for a moment (429, 5xx, connection) are repeated inside. */
export interface Cluster {
  /** The workload as it is. UserError if it, its namespace or the container doesn't exist, or rights are missing. */
  inspect(target: RolloutTarget, signal: AbortSignal): Promise<WorkloadState>;
  /**
   * Sets images of the workload's containers, by name, in one patch, and answers with the workload's new generation and the
   * images as stored (an admission webhook may have rewritten them). No other container is touched or added.
   */
  setImages(
    target: RolloutTarget,
    images: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ readonly generation: number; readonly images: Readonly<Record<string, string>> }>;
  /**
   * The workload's state now and after every change of it, its pods and their events. Never ends by itself: a
   * watch that ends, expires or breaks is opened again inside. Ends when the signal is aborted.
   */
  observe(target: RolloutTarget, signal: AbortSignal): AsyncIterable<WorkloadState>;
  /** The last lines of the failing container of the new version, or '' if there are none. */
  lastLines(target: RolloutTarget, lines: number, signal: AbortSignal): Promise<string>;
  /**
   * What the cluster warned of about the workload, its new version and that one's pods: newest first, each once, with how
   * often it came; at most ten lines. Empty where that may not be read.
   */
  events(target: RolloutTarget, signal: AbortSignal): Promise<readonly string[]>;
}

// ---- Reporter ---------------------------------------------------------------------------------

/**
 * Tells people. It is given the whole run and sends what differs from what it told before, so telling
 * again is always safe. Returns at once; what can't be told now is told later.
 */
export interface Reporter {
  report(runId: string): void;
  /** Waits until all that was reported has been told, or the deadline passed. */
  flush(deadlineMs: number): Promise<void>;
}

// ---- Logs -------------------------------------------------------------------------------------

/** Logs of jobs, as bytes. One writer a job, any number of readers. A log is named by job id and attempt. */
export interface Logs {
  open(log: LogName): Promise<LogWriter>;
  /** Bytes from `from` up to `to` (default: what is there now). Empty if there is no log. */
  read(log: LogName, from: number, to?: number): Promise<Buffer>;
  size(log: LogName): Promise<number>;
  /**
   * Chunks from `from` on as they come; ends when the writer was closed and all is read, or on abort. Where another
   * process writes, it looks as long as `written` answers that it does.
   */
  follow(
    log: LogName,
    from: number,
    signal: AbortSignal,
    written?: () => Promise<boolean>,
  ): AsyncIterable<{ readonly offset: number; readonly bytes: Buffer }>;
  /** False if it was never opened, or is no longer kept. */
  exists(log: LogName): Promise<boolean>;
  /** Removes the log, if there is one and nobody in this process writes it. */
  remove(log: LogName): Promise<void>;
  /** Every log that is kept, in no order. */
  all(): AsyncIterable<Stored<LogName>>;
}

export interface LogName {
  readonly jobId: string;
  readonly attempt: number;
}

/** Something that takes up disk. */
export interface Stored<Name> {
  readonly name: Name;
  readonly bytes: number;
  /** When it was last written. */
  readonly at: number;
}

export interface LogWriter {
  /** Offset of the next byte. */
  readonly offset: number;
  /** Appends; order is kept. Buffered: written within 100 ms. */
  write(bytes: Buffer): void;
  /**
   * Takes the log over and forgets what lies behind `offset`, if it is longer. Only before the first write. Whoever has
   * it open elsewhere, thinking the job were its own, doesn't reach it any more. If the log isn't new, `holds` is asked
   * whether it may be taken; if not, LostJob is thrown.
   */
  cut(offset: number, holds: () => Promise<boolean>): Promise<void>;
  /** Aborted with a PlatformError when the log can't be written any more: whoever writes had better stop. */
  readonly failed: AbortSignal;
  /** Throws what `failed` says, if it was aborted. */
  close(): Promise<void>;
}

// ---- What is kept on disk -------------------------------------------------------------------------

/** The archives of artifacts that an Executor stored. */
export interface Archives {
  /** In no order. The name's job and attempt made it. */
  all(): AsyncIterable<Stored<LogName & { readonly ref: ArchiveRef }>>;
  remove(ref: ArchiveRef): Promise<void>;
  /** Removes what this attempt of a job left, if it left anything. */
  removeOf(name: LogName): Promise<void>;
}

/** What can be had again at a cost, and is kept for that (mirrors, checked-out trees, images). */
export interface Cache {
  /**
   * Removes what wasn't used since `before`, and then what wasn't used for longest until at most `bytes` are left (null:
   * no such limit). Never what is in use, and nothing that wasn't made or brought here by Slipway. Returns what went.
   */
  clean(keep: { readonly before: number | null; readonly bytes: number | null }): Promise<Removed>;
}

export interface Removed {
  readonly count: number;
  readonly bytes: number;
}

// ---- Policy and time ----------------------------------------------------------------------------

/** What the operator's file allows. Pure answers on data that was read at start. */
export interface Policy {
  /** Why the repository may not push to this image repository, or null if it may. */
  refusePush(repository: Repository, image: string): string | null;
  /** Why the repository may not roll out to this target, or null if it may. */
  refuseRollout(repository: Repository, target: RolloutTarget): string | null;
  strangers(repository: Repository): StrangersRule;
  /** Why the repository's jobs may not have this, or null if they may. Strangers' jobs never may. */
  refuseAccess(repository: Repository, access: HostAccess): string | null;
  /** Runtime for the repository's jobs (`runsc`), or null for the engine's default. */
  runtime(repository: Repository): string | null;
  /** Why the repository's jobs may not have a Docker engine of their own, or null if they may. */
  refuseDocker(repository: Repository): string | null;
  /** Whether the repository's jobs may use the operator's credentials for this registry (host) in their own engine. */
  lendsRegistry(repository: Repository, registry: string): boolean;
  /** Who may deploy to the environment, beside what the repository says; null: whom that allows. */
  deployers(repository: Repository, environment: string): PeopleRule | null;
  /** Why a check may not ask this address, or null if it may. */
  refuseProbe(repository: Repository, url: string): string | null;
  /** Why this Prometheus server may not be asked, or null. */
  refuseMetrics(repository: Repository, server: string): string | null;
  /** Why deployments may not change files of that repository (`owner/name`), or null. */
  refuseGitOps(repository: Repository, other: string): string | null;
  /** Where the repository's previews go and what they may have; null: it may have none. */
  previews(repository: Repository): PreviewRule | null;
  /** Other ways to write commands: `.deploy` -> `/deploy`. In small letters. */
  aliases(repository: Repository): Readonly<Record<string, string>>;
}

/** What becomes of the pull requests of people without write permission. */
export interface StrangersRule {
  /** always: each commit waits for a maintainer. first-time: those of people who never contributed. never: they run at once, without secrets. */
  readonly approval: 'always' | 'first-time' | 'never';
  /** none: their jobs have no network. */
  readonly network: 'private' | 'none';
}

// ---- Secrets ------------------------------------------------------------------------------------

/** Secrets, readable. Values stay in memory for as long as a job needs them. */
export interface Secrets {
  /**
   * What the repository's jobs may have in this run. `environment`: one to which the event deploys, or null. UserError if
   * a name is unknown or limited to other branches, events or environments: the message says which, and what to do.
   */
  values(query: SecretQuery, names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Opens a sealed text. UserError if it was sealed for another repository, or is none. */
  unseal(repository: Repository, sealed: string): Promise<string>;
  /** Values that were replaced a short while ago, under these names: jobs that still run may print them. */
  former(query: SecretQuery, names: readonly string[]): Promise<readonly string[]>;
}

export interface SecretQuery {
  readonly repository: Repository;
  readonly trigger: Trigger;
  readonly environment: string | null;
  /** The environments to which the run deploys, as far as is known: for the words of a refusal. */
  readonly deploysTo?: readonly string[];
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/**
 * Takes events in the order they were received. Throwing leaves the delivery unprocessed, to be tried again. `later` is given
 * what people are still to be answered, before this resolves: other events need not wait for it, and the delivery is processed
 * once it is done. Handled again after it failed, an event is only answered. Without `later` it is done before this resolves.
 */
export type Intake = (event: Event, later?: (tell: () => Promise<void>) => void) => Promise<string>;
