import type { Trigger } from './event.ts';
import { fullName, type Repository } from './repository.ts';
import type { Run } from './run.ts';

/**
 * Whether a run's commit comes from people with write permission, as GitHub reported it when the run began. Stored with
 * the run: what a run may do doesn't change while it goes on.
 */
export interface Trust {
  /** False: no secrets, no pushes, no deployments, nothing that trusted runs share. Never changes, by approval neither. */
  readonly trusted: boolean;
  /** A sentence: `@eve has no write permission on acme/shop (GitHub reports "read").` */
  readonly reason: string;
  /** needed: nothing runs until a maintainer approves this very commit. */
  readonly approval: 'none' | 'needed' | 'given';
  /** Login of who approved, or null. */
  readonly approvedBy: string | null;
  /** What whoever approves had better look at, sentences: that the pipeline file is changed, say. */
  readonly remarks: readonly string[];
}

/** Roles in a repository, as GitHub names them; `none` also for whatever isn't known. */
export type Role = 'none' | 'read' | 'triage' | 'write' | 'maintain' | 'admin';

/** True for the roles that may push to the repository. */
export function mayWrite(role: Role): boolean {
  return role === 'write' || role === 'maintain' || role === 'admin';
}

/** Somebody, with what GitHub reports of them now. */
export interface Person {
  readonly login: string;
  /** An App: it has permissions instead of a role, and GitHub reports none. */
  readonly bot: boolean;
  readonly role: Role;
}

/** What the decision about a commit depends on. None of it comes from a payload but the trigger. */
export interface TrustFacts {
  readonly repository: Repository;
  readonly trigger: Trigger;
  /** Who opened the pull request; null if it is none, or if nobody knows. */
  readonly author: Person | null;
  /** Who brought the commit there. Matters for forks, and for `first-time`; null: isn't known. */
  readonly actor: Person | null;
  /** author_association of the pull request, as GitHub reports it now; null: it wasn't asked for. */
  readonly association: string | null;
  /** The operator's rule on strangers. */
  readonly approval: 'always' | 'first-time' | 'never';
  readonly remarks: readonly string[];
}

/** GitHub's associations of people of whom something was merged before, or who belong to the repository. */
const known: readonly string[] = ['CONTRIBUTOR', 'COLLABORATOR', 'MEMBER', 'OWNER'];

/**
 * Whether a commit is trusted, and whether it waits for a maintainer. Whatever isn't known counts against it. Where a push,
 * a tag, a merge group or a deployment stands behind it, somebody had write permission to cause it.
 */
export function decideTrust(facts: TrustFacts): Trust {
  const { trigger, author, actor } = facts;
  const name = fullName(facts.repository);
  if (trigger.kind !== 'pull_request') return trusted(`${causes[trigger.kind]} takes write permission on ${name}.`);
  if (trigger.fork) {
    if (author !== null && actor !== null && mayWrite(author.role) && mayWrite(actor.role)) {
      const reason = `The commit lies in a fork, to which others may write as well. No approval is asked for, because ${both(author, actor)} write permission on ${name}.`;
      return stranger(facts, reason, 'none');
    }
    if (author !== null && mayWrite(author.role)) return byRule(facts, lacks(actor, name, 'Who pushed to the fork'));
    return byRule(facts, lacks(author, name, 'Who opened the pull request'));
  }
  if (author?.bot) return trusted(`The App ${author.login} has its branch in ${name}, which takes write permission.`);
  if (author !== null && mayWrite(author.role)) {
    return trusted(`@${author.login} has write permission on ${name} (GitHub reports "${author.role}").`);
  }
  return byRule(facts, lacks(author, name, 'Who opened the pull request'));
}

const causes = {
  push: 'A push',
  tag: 'A tag',
  merge_group: 'A merge queue',
  deploy: 'A deployment',
} as const;

function byRule(facts: TrustFacts, reason: string): Trust {
  const { approval, author, actor, association } = facts;
  if (approval === 'never') return stranger(facts, `${reason} The operator lets such commits run at once.`, 'none');
  if (approval === 'always' || association === null || !known.includes(association)) {
    return stranger(facts, reason, 'needed');
  }
  // GitHub knows the author; the commit may be somebody else's who may write to the fork.
  const own = author !== null && actor !== null && sameLogin(author.login, actor.login);
  if (!own && (actor === null || !mayWrite(actor.role))) {
    const who = actor === null ? "Who pushed the commit isn't known" : `@${actor.login} pushed the commit`;
    return stranger(facts, `${reason} ${who}, and only the author's own go without approval.`, 'needed');
  }
  const why = `No approval is asked for: GitHub lists the author as ${association}, and the operator lets such commits run at once.`;
  return stranger(facts, `${reason} ${why}`, 'none');
}

function lacks(person: Person | null, name: string, unknown: string): string {
  if (person === null) return `${unknown} isn't known, and so may have no write permission on ${name}.`;
  if (person.bot) return `The App ${person.login} is not known to have write permission on ${name}.`;
  return `@${person.login} has no write permission on ${name} (GitHub reports "${person.role}").`;
}

function both(author: Person, actor: Person): string {
  return sameLogin(author.login, actor.login) ? `@${author.login} has` : `@${author.login} and @${actor.login} have`;
}

/** Logins differ in more than capital letters. */
export function sameLogin(login: string, other: string): boolean {
  return login.toLowerCase() === other.toLowerCase();
}

function trusted(reason: string): Trust {
  return { trusted: true, reason, approval: 'none', approvedBy: null, remarks: [] };
}

function stranger(facts: TrustFacts, reason: string, approval: 'none' | 'needed'): Trust {
  return { trusted: false, reason, approval, approvedBy: null, remarks: facts.remarks };
}

/** True if the run's commit is a stranger's. As long as nothing is decided, every fork's is. */
export function isStrange(run: Pick<Run, 'trust' | 'trigger'>): boolean {
  return run.trust === null ? comesFromFork(run.trigger) : !run.trust.trusted;
}

/** True if the run waits for a maintainer's approval. */
export function isHeld(run: Pick<Run, 'trust' | 'state'>): boolean {
  return run.state === 'pending' && run.trust?.approval === 'needed';
}

/** True for a commit that lies in another repository. */
export function comesFromFork(trigger: Trigger): boolean {
  return trigger.kind === 'pull_request' && trigger.fork;
}
