import { countApprovals, refuseApprover } from '#src/model/deploy/approvals.ts';
import { list } from '#src/model/deploy/words.ts';
import { skipsRules } from '#src/model/deploy/decide.ts';
import type { ApprovalRule } from '#src/model/deploy-rules.ts';
import { nobody } from '#src/model/event.ts';
import { reasonOf } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { type Role, sameLogin } from '#src/model/trust.ts';
import type { Parts } from '#src/engine/parts.ts';
import { auditOnce } from './audited.ts';
import { somebodyOf } from './permission.ts';

type Wake = (runId: string) => Promise<void>;

/** The gate before a deployment begins, as JobGate.gate names it. */
export const startGate = 'start';

/**
 * Somebody approves what a deployment waits for (its begin, or a step of its rollout), or rejects it, which ends it. Who may
 * is asked of GitHub now; audited. `message`: a sentence for who asked. Throws PlatformError if GitHub or the store fails.
 */
export async function decideApproval(
  parts: Parts,
  asked: {
    readonly run: Run;
    readonly job: Job;
    readonly by: { readonly login: string; readonly role?: Role };
    readonly decision: 'approve' | 'reject';
    /** `approve command`, `approve button`: for the audit. */
    readonly via: string;
    /** What the person says of it. */
    readonly reason?: string;
  },
  wake: Wake,
): Promise<{ readonly kind: 'accepted' | 'refused'; readonly message: string }> {
  const { run, by, decision, via } = asked;
  const why = asked.reason === undefined ? '' : `: ${asked.reason.replace(/\.+$/, '')}`;
  const { store } = parts;
  const job = (await store.runs.job(asked.job.id)) ?? asked.job;
  const { work } = job.plan;
  const gate = work.kind === 'deploy' ? openGate(job, work) : null;
  if (work.kind !== 'deploy' || gate === null) return { kind: 'refused', message: notWaiting(job) };
  const rule = approvalRuleOf(work, gate);
  const excluded = [run.trigger.actor, ...(await authorsOf(parts, run, job))];
  const asks = await somebodyOf(parts, run.repository, by.login, [rule.by]);
  const who = { ...asks, role: by.role ?? asks.role };
  const record = {
    actor: by.login,
    action: `${decision} deployment`,
    subject: `${work.environment} ${run.trigger.sha} ${gate} (job ${job.id}-${job.attempt})`,
  };
  const refusal = refuseApprover(rule, who, excluded, decision);
  if (refusal !== null) {
    await auditOnce(parts, run.repository, { ...record, decision: 'refused', reason: `${refusal} (${via})` });
    return { kind: 'refused', message: refusal };
  }
  const at = parts.clock.now();
  const mine = { jobId: job.id, attempt: job.attempt, gate, login: by.login, decision, at };
  const added = await store.approvals.add(mine);
  const said = (await store.approvals.of(job.id, job.attempt)).filter((it) => it.gate === gate);
  const before = said.find((it) => sameLogin(it.login, by.login))?.decision ?? decision;
  if (!added && before === 'reject' && decision === 'approve') {
    return { kind: 'refused', message: `@${by.login} has rejected this deployment before, and that is final.` };
  }
  const reason = `${via}${why}; GitHub reports "${who.role}".`;
  await auditOnce(parts, run.repository, { ...record, decision: 'allowed', reason });
  if (decision === 'reject') {
    // Also where it is under way: it goes back then. And whoever approved before may still think again.
    await store.runs.cancelJob(job.id, { reason: `Rejected by @${by.login}${why}.`, by: 'person' });
  }
  parts.log.info({ run: run.id, job: job.id, by: by.login, decision, gate }, 'somebody decided on a deployment');
  store.signals.send('run', run.id);
  parts.reporter.report(run.id);
  void wake(run.id);
  return {
    kind: 'accepted',
    message: acceptedText(work, by.login, decision, countApprovals(rule, said, excluded), rule),
  };
}

/** Who approved this gate of the job's attempt so far (`start`, `step 2`), and whether that is enough. */
export async function approvalsOf(
  { store }: Pick<Parts, 'store'>,
  job: Job,
  gate: string,
  rule: ApprovalRule,
): Promise<{ readonly given: readonly string[]; readonly rejectedBy: string | null; readonly enough: boolean }> {
  const said = (await store.approvals.of(job.id, job.attempt)).filter((it) => it.gate === gate);
  // Who made the change was refused when they tried.
  return countApprovals(rule, said, []);
}

/** Who approves this gate: as the environment says; for a step of a rollout without such a rule, whoever may deploy. */
export function approvalRuleOf({ rules }: DeployWork, gate: string): ApprovalRule {
  const anybody = { permission: 'write', people: [], teams: [] } as const;
  const rule = rules?.approvals ?? { count: 1, by: rules?.allow ?? anybody };
  return gate === startGate ? rule : { ...rule, count: Math.max(1, rule.count) };
}

/**
 * Logins of who made the change, and of who had the job run again, beside the run's actor. Whoever pushed the commit to a
 * branch is among them, for it may bear anybody's name; who merged it isn't. Throws PlatformError if GitHub doesn't tell.
 */
export async function authorsOf(
  { forge, store }: Pick<Parts, 'forge' | 'store'>,
  run: Pick<Run, 'trigger' | 'repository' | 'pullRequest'>,
  job: Pick<Job, 'earlier'>,
): Promise<readonly string[]> {
  const { trigger, repository } = run;
  // Elsewhere the pull request, if there is one, is among those that brought the commit in.
  const number = /^refs\/pull\/(\d+)\/head$/.exec(trigger.ref)?.[1];
  const [authors, pull, runs] = await Promise.all([
    forge.authors(repository, trigger.sha),
    number === undefined ? null : forge.pullRequest(repository, Number(number)),
    changeOf(store, run),
  ]);
  return [...authors, ...(pull === null ? [] : [pull.author]), ...pushersOf(runs), ...askedAgain(job)];
}

/** Runs of the commit, and of those that the pull request had before it, if it is of one. */
async function changeOf(store: Parts['store'], run: Pick<Run, 'trigger' | 'repository' | 'pullRequest'>) {
  const { repository, trigger, pullRequest } = run;
  const heads = pullRequest === null ? [] : await store.heads.of(repository.id, pullRequest);
  const before = heads.slice(0, heads.findLastIndex(({ sha }) => sha === trigger.sha) + 1);
  const commits = new Set([...before.map(({ sha }) => sha), trigger.sha]);
  return (await Promise.all([...commits].map((sha) => store.runs.ofCommit(repository.id, sha)))).flat();
}

/** A push to the default branch may be a merge: of its commit GitHub tells who made it. */
function pushersOf(runs: readonly Run[]): readonly string[] {
  const pushes = runs.filter(
    ({ trigger, repository }) =>
      trigger.kind === 'pull_request' || (trigger.kind === 'push' && trigger.branch !== repository.defaultBranch),
  );
  return pushes.map((run) => run.trigger.actor).filter((login) => login !== nobody);
}

/** Who had it run again asked for it: `@ada re-ran it`. */
function askedAgain({ earlier }: Pick<Job, 'earlier'>): readonly string[] {
  return earlier.flatMap(({ by, why }) => (by === 'person' ? (/@([\w-]+)/.exec(why)?.[1] ?? []) : []));
}

/** What a word of approval is about now; null: nothing. */
function openGate(job: Job, work: DeployWork): string | null {
  if (job.state === 'completed' || job.cancel !== null) return null;
  if (job.gate?.kind === 'approval') return job.gate.gate ?? startGate;
  // Also while it waits for something else first.
  const needed = job.state === 'waiting' && work.rules?.approvals != null && !skipsRules(work.mode ?? 'deploy');
  return needed ? startGate : null;
}

function notWaiting(job: Job): string {
  const { key } = job.plan;
  if (job.state === 'completed') {
    const how =
      job.outcome === null
        ? ''
        : ` (${job.outcome.kind}${reasonOf(job.outcome) === '' ? '' : `: ${reasonOf(job.outcome)}`})`;
    return `"${key}" is over${how}: there is nothing to decide.`;
  }
  return `"${key}" doesn't wait for approval.`;
}

function acceptedText(
  { environment }: DeployWork,
  login: string,
  decision: 'approve' | 'reject',
  { given, enough }: ReturnType<typeof countApprovals>,
  rule: ApprovalRule,
): string {
  if (decision === 'reject') return `@${login} rejected the deployment to ${environment}.`;
  const names = list(given.map((it) => `@${it}`));
  const missing = rule.count - given.length;
  const more = enough ? 'That is enough.' : `${missing} more ${missing === 1 ? 'is' : 'are'} needed.`;
  return `The deployment to ${environment} is approved by ${names}. ${more}`;
}
