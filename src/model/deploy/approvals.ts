import type { ApprovalRule } from '#src/model/deploy-rules.ts';
import { sameLogin } from '#src/model/trust.ts';
import { isOneOf, ruleText, type Somebody } from './people.ts';
import { list } from './words.ts';

/** What somebody said of a gate: a part of the engine's Approval. */
export interface Said {
  readonly login: string;
  readonly decision: 'approve' | 'reject';
}

export interface Count {
  /** Logins, each person once, in the order in which they approved. */
  readonly given: readonly string[];
  readonly rejectedBy: string | null;
  readonly enough: boolean;
}

/** What came together. Whoever has a part in the change (`excluded`) doesn't count; a rejection is final. */
export function countApprovals(rule: ApprovalRule, said: readonly Said[], excluded: readonly string[]): Count {
  const given: string[] = [];
  for (const { login, decision } of said) {
    if (decision !== 'approve' || includes(excluded, login) || includes(given, login)) continue;
    given.push(login);
  }
  const rejectedBy = said.find((it) => it.decision === 'reject')?.login ?? null;
  // A rule of less than one is none that a file can have.
  const enough = rejectedBy === null && given.length >= Math.max(1, rule.count);
  return { given, rejectedBy, enough };
}

/** Why this person's word doesn't count, or null if it does. Rejecting is open to those who made the change, too. */
export function refuseApprover(
  rule: ApprovalRule,
  who: Somebody,
  excluded: readonly string[],
  decision: Said['decision'],
): string | null {
  const verb = decision === 'approve' ? 'approve' : 'reject';
  if (decision === 'approve' && includes(excluded, who.login)) {
    return `@${who.login} may not approve this deployment: who made the change or asked for it never does. It takes somebody else: ${ruleText(rule.by)}.`;
  }
  if (isOneOf(rule.by, who)) return null;
  return `@${who.login} may not ${verb} this deployment. That is for ${ruleText(rule.by)}; GitHub reports "${who.role}" for @${who.login}.`;
}

/** `Waits for 2 approvals (1 so far, by @bob) by people with write permission, but not @ada.` */
export function approvalText(rule: ApprovalRule, { given }: Count, excluded: readonly string[]): string {
  const needed = Math.max(1, rule.count);
  const count = needed === 1 ? 'an approval' : `${needed} approvals`;
  const names = list(given.map((login) => `@${login}`));
  const soFar = given.length === 0 ? '' : ` (${given.length} so far, by ${names})`;
  const others = [...new Set(excluded.map((login) => login.toLowerCase()))];
  const but =
    others.length === 0
      ? ''
      : `, but not ${list(
          others.map((login) => `@${login}`),
          'or',
        )}`;
  return `Waits for ${count}${soFar} by ${ruleText(rule.by)}${but}.`;
}

function includes(logins: readonly string[], login: string): boolean {
  return logins.some((other) => sameLogin(other, login));
}
