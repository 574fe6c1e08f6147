import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import type { Job, Run } from '#src/model/run.ts';
import { list } from '#src/model/suggest.ts';
import { decideApproval } from '#src/engine/deploy/approvals.ts';
import { guess, nameAmong } from '#src/engine/deploy/environment.ts';
import { type Answer, type Context, done, type Handler } from './context.ts';

/** A deployment that waits for somebody's word. */
interface Waiting {
  readonly run: Run;
  readonly job: Job;
  readonly environment: string;
}

/** `/approve [ENV]` */
export const approve: Handler<'approve'> = async (context, { environment }) => {
  const all = await waiting(context);
  const name = await named(context, all, environment);
  const seen = all.filter((it) => !isNewer(it, context));
  const meant = chosen(context, seen.length > 0 ? seen : all, name);
  if (isNewer(meant, context)) {
    const { sha, actor } = meant.run.trigger;
    throw new UserError(
      `What waits now was asked for after your comment was written: \`${sha}\` of @${actor}, to ${quoted(meant.environment)}. If that is meant, comment \`/approve ${meant.environment}\` again.`,
    );
  }
  return await decide(context, meant, 'approve', '');
};

/** It began to wait after the comment was written: nobody can have meant it. GitHub's times have whole seconds. */
function isNewer({ run, job }: Waiting, { event }: Context): boolean {
  const since = job.attempt === 1 ? run.createdAt : Math.max(run.createdAt, run.startedAt ?? 0);
  return since > event.at + 1_000;
}

/** `/reject [ENV] [REASON]`: the first word is an environment if there is one called so. */
export const reject: Handler<'reject'> = async (context, { words }) => {
  const [first = '', ...rest] = words.split(/\s+/);
  const all = await waiting(context);
  const names = await everyName(context, all);
  const environment = first === '' ? null : nameAmong(names, first);
  const reason = environment === null ? words : rest.join(' ');
  if (environment === null && first !== '' && all.length > 1 && rest.length === 0) {
    await named(context, all, first);
  }
  return await decide(context, chosen(context, all, environment), 'reject', reason.slice(0, 300));
};

async function decide(
  { parts, event, wake }: Context,
  { run, job, environment }: Waiting,
  decision: 'approve' | 'reject',
  reason: string,
): Promise<Answer> {
  const by = { login: event.actor };
  const asked = { run, job, by, decision, via: `${decision} command`, ...(reason === '' ? {} : { reason }) };
  const { kind, message } = await decideApproval(parts, asked, wake);
  if (kind === 'refused') return { kind: 'refused', reply: message, audited: true };
  return done(`${decision === 'approve' ? 'Approved' : 'Rejected'} run ${run.id} for ${environment}.`);
}

async function waiting({ parts, event }: Context): Promise<readonly Waiting[]> {
  const all = await parts.store.runs.deploying(event.repository.id);
  return all.flatMap(({ run, job }) => {
    const { work } = job.plan;
    const waits = work.kind === 'deploy' && job.gate?.kind === 'approval' && job.cancel === null && run.cancel === null;
    return waits ? [{ run, job, environment: work.environment }] : [];
  });
}

async function everyName(context: Context, all: readonly Waiting[]): Promise<readonly string[]> {
  const specs = await context.environments().catch((error: unknown) => {
    // What waits is known without the file.
    if (!(error instanceof UserError)) throw error;
    return [];
  });
  return [...new Set([...all.map((it) => it.environment), ...specs.map((it) => it.name)])];
}

/** The name as it is written in the file; null: none was given. */
async function named(context: Context, all: readonly Waiting[], name: string | null): Promise<string | null> {
  if (name === null) return null;
  const names = await everyName(context, all);
  const found = nameAmong(names, name);
  if (found !== null) return found;
  throw new UserError(`There is no environment ${quoted(name)}. ${guess(name, names)}`);
}

/** The one that is meant: of the environment, else of this pull request. */
function chosen({ event, onPullRequest }: Context, all: readonly Waiting[], environment: string | null): Waiting {
  const own = all.filter(({ run }) => onPullRequest && run.pullRequest === event.number);
  const fitting = environment === null ? own : all.filter((it) => it.environment === environment);
  const near = fitting.filter((it) => own.includes(it));
  const meant = near.length > 0 ? near : fitting;
  const [one, other] = meant;
  if (one !== undefined && other === undefined) return one;
  const others = [...new Set(all.map((it) => it.environment))];
  if (one === undefined) {
    const what = environment === null ? (onPullRequest ? 'of this pull request ' : '') : `to ${quoted(environment)} `;
    const hint = others.length === 0 ? '' : ` Waiting: ${list(others.map(quoted))}.`;
    const how = environment === null && !onPullRequest ? ' Name the environment: `/approve ENV`.' : '';
    throw new UserError(`No deployment ${what}waits for approval.${hint}${how}`);
  }
  if (environment === null) {
    const names = [...new Set(meant.map((it) => it.environment))];
    throw new UserError(
      `Several deployments wait for approval: to ${list(names.map(quoted))}. Name the environment: \`/approve ${names[0]}\`.`,
    );
  }
  const commits = meant.map(({ run }) => `\`${run.trigger.sha.slice(0, 12)}\` of @${run.trigger.actor}`);
  throw new UserError(
    `Several deployments to ${quoted(environment)} wait for approval: ${list(commits)}. Use the buttons on their check runs, which tell them apart.`,
  );
}
