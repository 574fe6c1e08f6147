import { commandHelp, helpText } from '#src/model/command-help.ts';
import type { PeopleRule } from '#src/model/deploy-rules.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import { fullName } from '#src/model/repository.ts';
import { mayWrite, type Role } from '#src/model/trust.ts';
import { environmentCalled } from '#src/engine/deploy/environment.ts';
import { planFor, planText } from '#src/engine/deploy/plan.ts';
import { whereIs, whereText } from '#src/engine/deploy/where.ts';
import { headCommit, namedCommit } from './commit.ts';
import { type Context, done, type Handler } from './context.ts';

const deadlineMs = 60_000;

/** `/where` */
export const where: Handler<'where'> = async (context) => {
  const { parts, event } = context;
  await reading(context, 'see where what runs');
  const statuses = await whereIs(parts, event.repository, AbortSignal.timeout(deadlineMs));
  return done('Told what runs where.', whereText(event.repository, statuses));
};

/** `/plan [ENV] [REF]` */
export const plan: Handler<'plan'> = async (context, { environment, ref }) => {
  const { parts, event } = context;
  const { repository, actor } = event;
  await reading(context, 'see what a deployment would change');
  const all = await context.environments();
  const name = environment === null ? null : environmentCalled(all, environment, repository).name;
  if (ref === null && !context.onPullRequest) {
    throw new UserError(
      `On an issue, name the commit, a branch or a tag: \`/plan ${name ?? 'ENV'} ${repository.defaultBranch}\`.`,
    );
  }
  const commit = ref === null ? await headCommit(context, `/plan ${name ?? 'ENV'}`) : await namedCommit(context, ref);
  const { sha, branch, tag } = commit;
  const asked = { repository, environment: name, sha, branch, by: actor, ...(tag === undefined ? {} : { tag }) };
  const plans = await planFor(parts, asked, AbortSignal.timeout(deadlineMs));
  return done(`Told what ${sha} would change.`, planText(plans));
};

/** `/help` */
export const help: Handler<'help'> = async (context) => {
  const environments = await context.environments().catch((error: unknown) => {
    // The commands can be told without them.
    if (!(error instanceof UserError)) throw error;
    return [];
  });
  const aliases = Object.entries(context.parts.policy.aliases(context.event.repository));
  const { parts: all, event } = context;
  const isRestricted = (name: string): boolean => all.policy.deployers(event.repository, name) !== null;
  const parts = [helpText(), environmentsText(environments, isRestricted), aliasesText(aliases)];
  return done('Listed the commands.', parts.filter((part) => part !== '').join('\n\n'));
};

function environmentsText(
  environments: readonly EnvironmentSpec[],
  isRestricted: (environment: string) => boolean,
): string {
  if (environments.length === 0) return '';
  const rows = environments.map(({ name, rules: { allow, approvals, after } }) => {
    const before = after.length === 0 ? '' : ` after ${after.map(quoted).join(', ')}`;
    const wanted = approvals === null ? 'none' : `${approvals.count}, by ${peopleText(approvals.by)}`;
    const also = isRestricted(name) ? ", as far as the operator's rule allows them too" : '';
    return `| ${quoted(name)}${before} | ${peopleText(allow)}${also} | ${wanted} |`;
  });
  return ['| Environment | Who may deploy | Approvals |', '| --- | --- | --- |', ...rows].join('\n');
}

/** As code, so that nobody is called. The operator's own rule, which stands beside it, isn't for everybody's eyes. */
function peopleText(rule: PeopleRule | null): string {
  if (rule === null) return commandHelp.run.who;
  const { permission, people, teams } = rule;
  const byRole = permission === null ? [] : [`people with ${permission} permission`];
  const all = [...byRole, ...people.map(quoted), ...teams.map((team) => `the team ${quoted(team)}`)];
  return all.length === 0 ? 'nobody' : all.join(', ');
}

function aliasesText(aliases: readonly (readonly [string, string])[]): string {
  return aliases.length === 0
    ? ''
    : `Other ways to write them: ${aliases.map(([alias, command]) => `${quoted(alias)} for ${quoted(command)}`).join(', ')}.`;
}

/** UserError for passers-by: what runs where is the business of who works on the repository. */
async function reading({ event, role }: Context, what: string): Promise<void> {
  const has: Role = await role();
  const { repository, actor } = event;
  if (mayWrite(has) || has === 'triage' || (has === 'read' && repository.private)) return;
  const least = repository.private ? 'read' : 'triage';
  throw new UserError(
    `@${actor} may not ${what}: that needs ${least} permission on ${fullName(repository)}, and GitHub reports "${has}".`,
  );
}
