import type { Role } from './trust.ts';

/** What must hold before a deployment to an environment begins, as the default branch's file has it. */
export interface DeployRules {
  /** Who may deploy, roll back, promote and lock by a command; null: whoever has write permission. */
  readonly allow: PeopleRule | null;
  /** Environments in which the same digests must be healthy now. */
  readonly after: readonly string[];
  readonly approvals: ApprovalRule | null;
  /** Names of checks that must have succeeded on the commit. */
  readonly protect: readonly string[];
  /** It may begin in any of these; none: always. */
  readonly windows: readonly Window[];
}

/** Whoever any of the three names. Names are compared without regard to case. */
export interface PeopleRule {
  /** Everybody with this role or a higher one; null: nobody by role. */
  readonly permission: Role | null;
  readonly people: readonly string[];
  /** `organisation/team`, both slugs. */
  readonly teams: readonly string[];
}

export interface ApprovalRule {
  /** How many different people, at least 1. */
  readonly count: number;
  readonly by: PeopleRule;
}

/** A time of the week. */
export interface Window {
  /** 0 is Sunday, as JavaScript has it. */
  readonly days: readonly number[];
  /** Minutes since midnight; `until` may be 1440, and if it isn't more than `from` it is the next day's. */
  readonly from: number;
  readonly until: number;
  /** IANA name: `Europe/Berlin`. */
  readonly zone: string;
}

export const noRules: DeployRules = { allow: null, after: [], approvals: null, protect: [], windows: [] };

/** Where a deployment came from, and so what it may skip. rollback: order, windows, approvals and steps. promote: nothing. */
export type DeployMode = 'deploy' | 'rollback' | 'promote' | 'preview';

/** Why a job that could run otherwise doesn't begin, or goes no further. Stored with the job, shown with buttons. */
export interface JobGate {
  readonly kind: 'approval' | 'checks' | 'window' | 'order' | 'lock' | 'queue';
  /** approval: which one: `start`, or `step 2` of a rollout. */
  readonly gate?: string;
  /** approval: how many, and who has approved so far. */
  readonly needed?: number;
  readonly given?: readonly string[];
  /** queue: 1 is next. */
  readonly position?: number;
  /** window: when it opens, milliseconds since the epoch. */
  readonly until?: number;
  /** Since when protected checks are waited for, milliseconds since the epoch; absent: they aren't. */
  readonly pendingSince?: number;
}
