import { describe, expect, it } from '@jest/globals';
import { type DeployDecision, type DeployFacts, decideDeploy, type DeployStage } from '#src/model/deploy/decide.ts';
import type { CheckFact } from '#src/model/deploy/checks.ts';
import type { Held } from '#src/model/deploy/locks.ts';
import type { PeopleRule } from '#src/model/deploy-rules.ts';
import type { Role } from '#src/model/trust.ts';

/** Monday, 23 November 2026, 12:00 UTC. */
export const noon = Date.UTC(2026, 10, 23, 12);

export const sha = '9f8e7d6'.padEnd(40, '0');
export const other = '1a2b3c4'.padEnd(40, '0');
export const digest = `r/api@sha256:${'a'.repeat(64)}`;
export const older = `r/api@sha256:${'b'.repeat(64)}`;

/** A command of @ada's, who may write, to an environment without rules: it goes. */
export function factsWith(change: Partial<DeployFacts> = {}): DeployFacts {
  return {
    now: noon,
    environment: 'production',
    mode: 'deploy',
    via: 'command',
    sha,
    strange: false,
    actor: 'ada',
    operator: false,
    person: person('ada', 'write'),
    people: { environment: null, operator: null },
    refusals: [],
    tag: null,
    jobs: ['api'],
    images: { api: digest },
    protect: [],
    checks: [],
    told: [],
    pendingSince: null,
    windows: [],
    approval: null,
    said: [],
    authors: [],
    order: [],
    locks: [],
    overLock: false,
    ...change,
  };
}

export function person(login: string, role: Role, teams: readonly string[] = []) {
  return { login, role, teams };
}

export function people(change: Partial<PeopleRule>): PeopleRule {
  return { permission: null, people: [], teams: [], ...change };
}

/** `go`, `refuse: why`, `rejected: why`, `wait lock 300s: note`. */
function told(decision: DeployDecision): string {
  if (decision.kind === 'go') return 'go';
  if (decision.kind === 'refuse') return `${decision.rejected ? 'rejected' : 'refuse'}: ${decision.reason}`;
  const again = decision.again === null ? '' : ` ${decision.again / 1000}s`;
  return `wait ${decision.gate.kind}${again}: ${decision.note}`;
}

export function decide(change: Partial<DeployFacts>, stage: DeployStage): string {
  return told(decideDeploy(factsWith(change), stage));
}

/** A name, what is other than in `factsWith`, the stage, and the answer as `told` has it. */
export type Row = readonly [name: string, facts: Partial<DeployFacts>, stage: DeployStage, answer: string | RegExp];

export function table(title: string, rows: readonly Row[]): void {
  describe(title, () => {
    it.each(rows.map(([name, facts, stage, answer]) => [`${name} (${stage})`, facts, stage, answer] as const))(
      '%s',
      (_name, facts, stage, answer) => {
        expect(decide(facts, stage)).toMatch(patternOf(answer));
      },
    );
  });
}

/** A text is meant as a whole. */
export function patternOf(answer: string | RegExp): RegExp {
  return typeof answer === 'string' ? new RegExp(`^${answer.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`) : answer;
}

/** GitHub is away. */
export const away = { unknown: 'GitHub could not be asked: 502.' };
export const push = { via: 'push' } as const;

export function minutesAgo(count: number): number {
  return noon - count * 60_000;
}

/** Opens at 13:00. */
export const office = { windows: [{ days: [1, 2, 3, 4, 5], from: 13 * 60, until: 17 * 60, zone: 'UTC' }] };

export const anybody = people({ permission: 'write' });
export const one = { approval: { count: 1, by: anybody } };
export const two = { approval: { count: 2, by: anybody } };
export const by = (...logins: readonly string[]) => logins.map((login) => ({ login, decision: 'approve' }) as const);
export const no = (login: string) => ({ login, decision: 'reject' }) as const;

export const protect = { protect: ['test'] };

/** The check `test`. */
export function check(state: CheckFact['state'], from = 'CI'): CheckFact {
  return { name: 'test', by: from, state };
}

/** Under these locks of @bob's, on production if not said otherwise. */
export function locked(...all: readonly Partial<Held>[]) {
  return { locks: all.map((it) => ({ environment: 'production', owner: 'bob', reason: 'release', at: noon, ...it })) };
}
