import type { PeopleRule } from '#src/model/deploy-rules.ts';
import { mayWrite, type Role, sameLogin } from '#src/model/trust.ts';
import { list } from './words.ts';

/** Somebody, with what GitHub reports of them now. */
export interface Somebody {
  readonly login: string;
  readonly role: Role;
  /** Of the teams that rules name, those they are in: `organisation/team`. */
  readonly teams: readonly string[];
}

const ranks: readonly Role[] = ['none', 'read', 'triage', 'write', 'maintain', 'admin'];

/** True if the rule names the person, by login, team or role; null: whoever has write permission. */
export function isOneOf(rule: PeopleRule | null, who: Somebody): boolean {
  if (rule === null) return mayWrite(who.role);
  if (rule.people.some((login) => sameLogin(login, who.login))) return true;
  if (rule.teams.some((team) => who.teams.some((theirs) => theirs.toLowerCase() === team.toLowerCase()))) return true;
  // Everybody has the role "none": whoever asks for it asks for nothing.
  if (rule.permission === null || rule.permission === 'none') return false;
  return hasRole(who.role, rule.permission);
}

/** True for the role and every higher one. */
export function hasRole(role: Role, least: Role): boolean {
  return ranks.indexOf(role) >= ranks.indexOf(least);
}

/** `people with write permission, @carol or the team acme/sre`. */
export function ruleText(rule: PeopleRule | null): string {
  if (rule === null) return 'people with write permission';
  const names = [
    ...(rule.permission === null || rule.permission === 'none' ? [] : [`people with ${rule.permission} permission`]),
    ...rule.people.map((login) => `@${login}`),
    ...rule.teams.map((team) => `the team ${team}`),
  ];
  return names.length === 0 ? 'nobody' : list(names, 'or');
}

/** Where a rule on people stands. */
export interface PeopleRules {
  /** The default branch's file; null: whoever has write permission. */
  readonly environment: PeopleRule | null;
  /** The operator's file; null: it says nothing. */
  readonly operator: PeopleRule | null;
}

/**
 * Why this person may not deploy to the environment, or null if they may. Both rules must name them. `asked`: they asked for
 * it; what happens by itself needs the operator's rule alone, for whoever may push has caused it.
 */
export function refuseSomebody(
  rules: PeopleRules,
  who: Somebody,
  environment: string,
  { asked }: { readonly asked: boolean },
): string | null {
  const reports = `GitHub reports "${who.role}" for @${who.login}`;
  if (rules.operator !== null && !isOneOf(rules.operator, who)) {
    const may = `The operator's file lets only ${ruleText(rules.operator)} deploy to ${environment}`;
    if (asked) return `@${who.login} may not deploy to ${environment}. ${may}; ${reports}.`;
    return `${may}, and @${who.login} caused this deployment (${reports}). One of them can ask for it: /deploy ${environment} with the commit.`;
  }
  if (!asked || isOneOf(rules.environment, who)) return null;
  if (rules.environment === null) {
    return `@${who.login} may not deploy to ${environment}: that needs write permission, and ${reports}.`;
  }
  return `@${who.login} may not deploy to ${environment}. The environment lets ${ruleText(rules.environment)} do that; ${reports}.`;
}
