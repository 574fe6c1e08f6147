import { isAdded } from '#src/model/event.ts';
import type { Outcome } from '#src/model/outcome.ts';
import { type Job, passed, type Run, type RunView } from '#src/model/run.ts';
import { keyAtPush } from '#src/planner/pull-request.ts';
import type { Queued } from './deploy/queue.ts';
import type { Parts } from './parts.ts';
import { restart } from './rerun.ts';

/** Woken by the push's run; should that have been missed, it looks by itself. */
const lookMs = 15_000;

/**
 * Whether an image job that a pull request added may begin: not before the push's run is done with the same image, so that
 * nothing is built side by side, and only if that run didn't fail at it. All other jobs go.
 */
export async function afterPush(parts: Parts, run: Run, job: Job): Promise<Queued> {
  if (!isAdded(run.trigger) || job.plan.work.kind !== 'image') return { kind: 'go' };
  const answer = verdictOf(job, await pushOf(parts, run));
  if (answer.kind !== 'wait') return answer;
  if (job.note !== answer.note) await parts.store.runs.noteJob(job.id, answer.note);
  return { kind: 'wait', again: lookMs };
}

/**
 * To be called when a push's run has moved on: what a pull request added to it goes on, too. Once it is `over`, what had to
 * be left out because it failed is made up for, if somebody has run that again.
 */
export async function wakeAdded(
  parts: Parts,
  run: Run,
  over: boolean,
  wake: (runId: string) => Promise<void>,
): Promise<void> {
  const { trigger, repository, pullRequest } = run;
  if (trigger.kind !== 'push' || pullRequest === null || trigger.branch === repository.defaultBranch) return;
  const runs = await parts.store.runs.ofCommit(repository.id, trigger.sha);
  for (const added of runs.filter((it) => isAdded(it.trigger))) {
    if (added.state !== 'completed') void wake(added.id);
    else if (over && added.cancel === null) await makeUp(parts, added, wake);
  }
}

async function makeUp(parts: Parts, added: Run, wake: (runId: string) => Promise<void>): Promise<void> {
  const view = await parts.store.runs.view(added.id);
  const left = (view?.jobs ?? []).filter(
    ({ plan, outcome }) =>
      plan.work.kind === 'image' &&
      plan.skip === null &&
      (outcome?.kind === 'skipped' || outcome?.kind === 'cancelled'),
  );
  if (left.length === 0) return;
  const push = await pushOf(parts, added);
  const jobs = left.filter((job) => verdictOf(job, push).kind === 'go');
  if (jobs.length > 0) await restart(parts, added.id, jobs, 'what it needs succeeded', wake);
}

/** The run of the commit's own jobs, or null if it is forgotten. */
async function pushOf(parts: Parts, { trigger, repository }: Run): Promise<RunView | null> {
  if (!isAdded(trigger)) return null;
  const runs = await parts.store.runs.ofCommit(repository.id, trigger.sha);
  const push = runs.find((run) => run.trigger.kind === 'push' && run.trigger.branch === trigger.branch);
  return push ? await parts.store.runs.view(push.id) : null;
}

type Verdict =
  | { readonly kind: 'go' }
  | { readonly kind: 'wait'; readonly note: string }
  | { readonly kind: 'end'; readonly outcome: Outcome };

function verdictOf({ plan }: Job, push: RunView | null): Verdict {
  if (push === null) return skipped("The push's run isn't known any more: push the branch anew.");
  const { run, jobs } = push;
  const find = (key: string): Job | undefined => jobs.find((job) => job.plan.key === keyAtPush(key));
  const wait = (what: string): Verdict => ({ kind: 'wait', note: `Waits for ${what} of the push, run ${run.id}.` });
  const end = (what: string): Verdict => skipped(`${what} of the push, run ${run.id}.`);
  if (jobs.length === 0) return run.state === 'completed' ? end('Nothing ran in the run') : wait('the plan');
  const same = find(plan.key);
  if (same && same.state !== 'completed') return wait(`"${same.plan.key}"`);
  if (same && passed(same)) return { kind: 'go' };
  if (same?.outcome?.kind === 'cancelled') return { kind: 'end', outcome: same.outcome };
  // What no push runs may run for a pull request.
  if (same && same.plan.skip === null) return end(`"${same.plan.key}" didn't succeed in the run`);
  // Those of its own run are that run's to wait for.
  for (const key of plan.needs.filter((it) => it === keyAtPush(it))) {
    const need = find(key);
    if (need && need.state !== 'completed') return wait(`"${need.plan.key}"`);
    if (!need || !passed(need)) return end(`"${key}" didn't succeed in the run`);
  }
  return { kind: 'go' };
}

function skipped(reason: string): Verdict {
  return { kind: 'end', outcome: { kind: 'skipped', reason } };
}
