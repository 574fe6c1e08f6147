import type { PeopleRule } from '#src/model/deploy-rules.ts';
import { hasRole, isOneOf, refuseSomebody, type Somebody } from '#src/model/deploy/people.ts';
import { nobody } from '#src/model/event.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { sameLogin } from '#src/model/trust.ts';
import type { Parts } from '#src/engine/parts.ts';

/**
 * Why this person may not deploy to the environment, by the operator's rule and the environment's, as GitHub reports
 * roles and teams now; null if they may. `allow` null: write permission is needed. Throws PlatformError if GitHub fails.
 */
export async function refusePerson(
  parts: Pick<Parts, 'forge' | 'policy'>,
  repository: Repository,
  environment: string,
  allow: PeopleRule | null,
  login: string,
): Promise<string | null> {
  const operator = parts.policy.deployers(repository, environment);
  const who = await somebodyOf(parts, repository, login, [allow, operator]);
  return refuseSomebody({ environment: allow, operator }, who, environment, { asked: true });
}

/**
 * Why this person may not cancel the run, or null: what it deploys is ended by who may deploy there, by who asked for it or
 * caused it, and by maintainers, lest it stands in others' way. Throws PlatformError if GitHub or the store fails.
 */
export async function refuseCancel(
  parts: Pick<Parts, 'forge' | 'policy' | 'store'>,
  run: Run,
  login: string,
): Promise<string | null> {
  if (sameLogin(run.trigger.actor, login)) return null;
  const jobs = (await parts.store.runs.view(run.id))?.jobs ?? [];
  for (const { state, plan } of jobs) {
    if (state === 'completed' || plan.work.kind !== 'deploy') continue;
    const { environment, rules } = plan.work;
    const refusal = await refusePerson(parts, run.repository, environment, rules?.allow ?? null, login);
    if (refusal !== null && hasRole(await parts.forge.role(run.repository, login), 'maintain')) return null;
    if (refusal !== null) return `@${login} may not cancel a deployment to ${environment}. ${refusal}`;
  }
  return null;
}

/** What GitHub reports of the person now, as far as the rules need it. Throws PlatformError if GitHub fails. */
export async function somebodyOf(
  { forge }: Pick<Parts, 'forge'>,
  repository: Repository,
  login: string,
  rules: readonly (PeopleRule | null)[],
): Promise<Somebody> {
  if (login === nobody || login === '') return { login, role: 'none', teams: [] };
  const who = { login, role: await forge.role(repository, login), teams: [] };
  // Most people are known by name or role.
  const asked = rules.filter((rule) => rule !== null && !isOneOf(rule, who));
  const teams = [...new Set(asked.flatMap((rule) => rule?.teams ?? []))];
  const member = await Promise.all(teams.map(async (team) => await forge.isMember(repository, team, login)));
  return { ...who, teams: teams.filter((_, index) => member[index]) };
}
