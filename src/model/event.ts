import type { DeployMode, PeopleRule } from './deploy-rules.ts';
import type { RolloutTarget } from './pipeline.ts';
import type { Repository } from './repository.ts';

/**
 * What a webhook means to Slipway. Payloads are understood once, in the GitHub adapter;
 * everything behind it speaks of these.
 */
export type Event =
  | TriggerEvent
  | CommentEvent
  | RerunEvent
  | ButtonEvent
  | PullRequestClosed
  | ReleaseEvent
  | InstallationEvent
  | IgnoredEvent;

/** An event that may start a run of the repository's pipeline. */
export interface TriggerEvent {
  readonly kind: 'trigger';
  readonly repository: Repository;
  readonly trigger: Trigger;
}

/** What a run is made for. Stored with the run. */
export type Trigger = PushTrigger | TagTrigger | PullRequestTrigger | MergeGroupTrigger | DeployTrigger;

/** GitHub's own name for who isn't known any more; ours for who never was. */
export const nobody = 'ghost';

interface TriggerBase {
  /** The commit, 40 (or 64) hex digits; for an annotated tag the peeled commit. */
  readonly sha: string;
  /** Fully qualified ref in the base repository from which the commit can be fetched. */
  readonly ref: string;
  /** Login of who caused it. */
  readonly actor: string;
  /** First line of the commit's message, or the pull request's title. Data, never code. */
  readonly title: string;
  /**
   * When it happened by GitHub's clock, milliseconds since the epoch in whole seconds; missing where GitHub doesn't
   * say. Deliveries arrive in any order: of two commits of one pull request this tells which is the newer.
   */
  readonly at?: number;
}

export interface PushTrigger extends TriggerBase {
  readonly kind: 'push';
  readonly branch: string;
}

export interface TagTrigger extends TriggerBase {
  readonly kind: 'tag';
  readonly tag: string;
}

export interface PullRequestTrigger extends TriggerBase {
  readonly kind: 'pull_request';
  readonly number: number;
  /** The head branch's name (in the fork, if it is one). */
  readonly branch: string;
  /** The branch it is to be merged into. */
  readonly base: string;
  readonly fork: boolean;
  /** Who opened it; missing in what an older version stored. */
  readonly author?: { readonly login: string; readonly bot: boolean };
  /** The commit's jobs are those of the push before it: this run has what a pull request gets beside them. */
  readonly added?: true;
}

export interface MergeGroupTrigger extends TriggerBase {
  readonly kind: 'merge_group';
  readonly base: string;
}

/** `/deploy ENV`: build what is missing for this commit and roll it out. */
export interface DeployTrigger extends TriggerBase {
  readonly kind: 'deploy';
  readonly environment: string;
  /** '' if the commit was named by a tag or a SHA. */
  readonly branch: string;
  /** The tag that was named, released or promoted. */
  readonly tag?: string;
  /** Absent: deploy. */
  readonly mode?: DeployMode;
  /** By what it was asked for. Absent: a command. */
  readonly via?: 'command' | 'button' | 'release' | 'api';
  /** Values that were given with `-- key=value`. */
  readonly params?: Readonly<Record<string, string>>;
  /** rollback and promote: what runs afterwards, whatever the commit's pipeline file says. */
  readonly restore?: {
    /** Id of the deployment whose digests these are. */
    readonly deployment: string;
    /** By image job. */
    readonly images: Readonly<Record<string, string>>;
    /** rollback: the workloads of that deployment. */
    readonly rollout?: readonly RolloutTarget[];
    /** rollback: who may, as the environment's newest deployment has it; null: people with write permission. */
    readonly allow?: PeopleRule | null;
  };
  /** A maintainer goes over the lock. */
  readonly overLock?: boolean;
  /** It was asked for with the operator's own word: GitHub isn't asked for the actor's role. */
  readonly operator?: boolean;
  /** The pull request where it was asked for, or null. */
  readonly number: number | null;
  /** Makes each request a run of its own: the id of the comment, say. */
  readonly request: string;
}

export interface CommentEvent {
  readonly kind: 'comment';
  readonly repository: Repository;
  /** Number of the pull request or issue. */
  readonly number: number;
  /** False: a plain issue, where only commands on the whole repository have a meaning. Absent: true. */
  readonly onPullRequest?: boolean;
  readonly commentId: number;
  readonly body: string;
  readonly actor: string;
  /** When the comment was written, milliseconds since the epoch. */
  readonly at: number;
}

/** "Re-run" on GitHub: one check run, or all failed ones of a suite. */
export interface RerunEvent {
  readonly kind: 'rerun';
  readonly repository: Repository;
  readonly sha: string;
  readonly actor: string;
  /** Id of the job whose check run it is, or null for the whole suite. */
  readonly externalId: string | null;
}

/** A press on a button that Slipway put on a check run. */
export interface ButtonEvent {
  readonly kind: 'button';
  readonly repository: Repository;
  readonly sha: string;
  readonly actor: string;
  /** Id of the job, or of the run, whose check run it is. */
  readonly externalId: string;
  readonly identifier: string;
}

export interface PullRequestClosed {
  readonly kind: 'pull_request_closed';
  readonly repository: Repository;
  readonly number: number;
  /** When, as `at` of a trigger: it may have been opened again, and pushed to, since. */
  readonly at?: number;
}

/** A release was published. */
export interface ReleaseEvent {
  readonly kind: 'release';
  readonly repository: Repository;
  readonly releaseId: number;
  readonly tag: string;
  readonly name: string;
  readonly prerelease: boolean;
  readonly actor: string;
}

export interface InstallationEvent {
  readonly kind: 'installation';
  readonly installationId: number;
  readonly account: string;
  readonly change: string;
}

/** Understood, and nothing to do. The reason is stored with the delivery. */
export interface IgnoredEvent {
  readonly kind: 'ignored';
  readonly reason: string;
}

/**
 * Two triggers with the same repository, sha and key are one run: a push to a branch and the pull
 * request from that branch share theirs, whichever arrives first. What a pull request that was opened later adds is
 * a run of its own.
 */
export function runKey(trigger: Trigger): string {
  switch (trigger.kind) {
    case 'push':
      return `refs/heads/${trigger.branch}`;
    case 'pull_request':
      if (isAdded(trigger)) return `refs/pull/${trigger.number}/added`;
      return trigger.fork ? `refs/pull/${trigger.number}/head` : `refs/heads/${trigger.branch}`;
    case 'tag':
      return `refs/tags/${trigger.tag}`;
    case 'merge_group':
      return trigger.ref;
    case 'deploy':
      // People write the environment in any letters, and are told so before its own are known.
      return `deploy/${trigger.environment.toLowerCase()}/${trigger.request}`;
  }
}

/** True for what a pull request adds to a commit that was pushed before it was opened: never the run of the commit's own jobs. */
export function isAdded(trigger: Trigger): trigger is PullRequestTrigger & { readonly added: true } {
  return trigger.kind === 'pull_request' && trigger.added === true;
}
