import { noRules } from '#src/model/deploy-rules.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { isAdded, type RerunEvent } from '#src/model/event.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { isHeld, sameLogin } from '#src/model/trust.ts';
import { knownEnvironments } from './deploy/environment.ts';
import { refusePerson } from './deploy/permission.ts';
import type { Parts } from './parts.ts';

type Wake = (runId: string) => Promise<void>;

/** "Re-run" on one check run (a job, with the jobs behind it that didn't pass) or on all failed ones of a commit. */
export async function rerun(parts: Parts, event: RerunEvent, wake: Wake): Promise<string> {
  if (event.externalId === null) return await rerunCommit(parts, event, wake);
  const job = await parts.store.runs.job(event.externalId);
  const run = await parts.store.runs.get(job?.runId ?? event.externalId);
  if (run === null || run.repository.id !== event.repository.id) return 'The check run is none of ours.';
  return (await startOver(parts, run.id, job === null ? [] : [job], event.actor, wake)).message;
}

/** All failed jobs of every run of the commit; if none failed, all jobs of the newest run, and what pull requests added. */
async function rerunCommit(parts: Parts, { repository, sha, actor }: RerunEvent, wake: Wake): Promise<string> {
  const runs = await parts.store.runs.ofCommit(repository.id, sha);
  const newest = runs.find(({ trigger }) => !isAdded(trigger));
  if (newest === undefined) return 'No run is known for this commit.';
  const answers: string[] = [];
  for (const run of runs) {
    const view = await parts.store.runs.view(run.id);
    const chosen = (view?.jobs ?? []).filter(didFail);
    const unplanned = view?.jobs.length === 0 && run.state === 'completed' && !isAdded(run.trigger);
    if (chosen.length > 0 || unplanned) answers.push((await startOver(parts, run.id, chosen, actor, wake)).message);
  }
  if (answers.length > 0) return answers.join(' ');
  for (const run of [newest, ...runs.filter(({ trigger }) => isAdded(trigger))]) {
    const view = await parts.store.runs.view(run.id);
    const all = (view?.jobs ?? []).filter((job) => job.plan.skip === null && job.plan.work.kind !== 'deploy');
    if (run === newest || all.length > 0) answers.push((await startOver(parts, run.id, all, actor, wake)).message);
  }
  return answers.join(' ');
}

export function didFail(job: Job): boolean {
  const kind = job.outcome?.kind;
  return kind === 'failure' || kind === 'timed_out' || kind === 'broken' || kind === 'cancelled';
}

/** What became of the wish to run jobs again; `message` is a sentence, Markdown. */
export interface StartedOver {
  readonly started: boolean;
  readonly message: string;
}

/**
 * As `restart`, for a person: deployments among the jobs stay as they are unless the person may deploy there now, for to
 * run an old one again is to deploy. Throws PlatformError if GitHub can't tell.
 */
export async function startOver(
  parts: Parts,
  runId: string,
  jobs: readonly Job[],
  by: string,
  wake: Wake,
): Promise<StartedOver> {
  const view = await parts.store.runs.view(runId);
  if (view === null) return { started: false, message: 'The run is gone.' };
  const { trigger } = view.run;
  // Planned anew, it would go on as theirs.
  if (view.jobs.length === 0 && trigger.kind === 'deploy' && !sameLogin(trigger.actor, by)) {
    const message = `This deployment was asked for by @${trigger.actor}. Ask for it yourself: ${quoted(`/deploy ${trigger.environment} ${trigger.sha}`)}.`;
    return { started: false, message };
  }
  const refusals = new Map<string, string>();
  for (const { plan } of withDependents(view.jobs, jobs)) {
    const refusal = await refuseDeployment(parts, view.run, plan.work, by);
    if (refusal !== null) refusals.set(plan.key, refusal);
  }
  return await begin(parts, runId, jobs, { why: `@${by} re-ran it`, login: by, without: refusals }, wake);
}

/** By the rules that the default branch has now: those of when it was planned may have been laxer. */
async function refuseDeployment(
  parts: Parts,
  { repository, trigger }: Run,
  work: Job['plan']['work'],
  login: string,
): Promise<string | null> {
  if (work.kind !== 'deploy') return null;
  const { environment, rules = noRules } = work;
  const known = await environmentsNow(parts, repository);
  if (typeof known === 'string') return known;
  const now = known.find(({ name }) => name === environment)?.rules;
  const refusal = await refusePerson(parts, repository, environment, (now ?? rules).allow, login);
  if (refusal !== null || work.mode === 'rollback') return refusal;
  const where = `The pipeline file of ${quoted(repository.defaultBranch)}`;
  if (now === undefined) return `${where} has no environment ${quoted(environment)} any more.`;
  if (JSON.stringify(now) === JSON.stringify(rules)) return null;
  return `The rules of ${quoted(environment)} have changed since this deployment was planned. Ask for it anew: ${quoted(`/deploy ${environment} ${trigger.sha}`)}.`;
}

/** A sentence if the file has mistakes. */
async function environmentsNow(parts: Parts, repository: Repository): Promise<readonly EnvironmentSpec[] | string> {
  try {
    return await knownEnvironments(parts, repository);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
}

/** Starts the jobs over, and every job behind them that did not succeed. With no jobs: plans the run anew. */
export async function restart(
  parts: Parts,
  runId: string,
  jobs: readonly Job[],
  why: string,
  wake: Wake,
): Promise<string> {
  return (await begin(parts, runId, jobs, { why, without: new Map() }, wake)).message;
}

/** `without`: jobs by key that stay as they are, each with the reason. */
async function begin(
  parts: Parts,
  runId: string,
  jobs: readonly Job[],
  {
    why,
    login,
    without,
  }: { readonly why: string; readonly login?: string; readonly without: ReadonlyMap<string, string> },
  wake: Wake,
): Promise<StartedOver> {
  const view = await parts.store.runs.view(runId);
  if (view === null) return { started: false, message: 'The run is gone.' };
  const wanted = withDependents(view.jobs, jobs).filter((job) => job.state === 'completed');
  const chosen = wanted.filter((job) => !without.has(job.plan.key));
  const left = wanted.filter((job) => without.has(job.plan.key)).map((job) => without.get(job.plan.key) ?? '');
  const not = (message: string): StartedOver => ({ started: false, message });
  if (isHeld(view.run)) return not(`Run ${runId} waits for a maintainer's approval; running it again doesn't give it.`);
  if (chosen.length === 0 && left.length > 0) return not(left.join(' '));
  if (chosen.length === 0 && (view.jobs.length > 0 || view.run.state !== 'completed')) {
    return not('Those jobs are under way already.');
  }
  await parts.store.runs.restart(
    runId,
    chosen.map((job) => job.id),
    why,
    parts.clock.now(),
    login,
  );
  parts.reporter.report(runId);
  void wake(runId);
  const what =
    chosen.length === 0 ? 'The run is planned anew.' : `Starts over: ${chosen.map((job) => job.plan.key).join(', ')}.`;
  return { started: true, message: [what, ...left].join(' ') };
}

/** The jobs, and the jobs that need them (directly or not) and didn't pass. */
function withDependents(all: readonly Job[], jobs: readonly Job[]): readonly Job[] {
  const keys = new Set(jobs.map((job) => job.plan.key));
  for (let size = -1; size !== keys.size; ) {
    size = keys.size;
    for (const job of all) {
      const behind = job.plan.needs.some((key) => keys.has(key));
      if (behind && job.outcome?.kind !== 'success' && job.plan.skip === null) keys.add(job.plan.key);
    }
  }
  return all.filter((job) => keys.has(job.plan.key));
}
