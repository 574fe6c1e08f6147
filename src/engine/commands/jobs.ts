import { cancelledBy } from '#src/model/cancel.ts';
import { isAdded } from '#src/model/event.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { reasonOf, UserError } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { nearest } from '#src/model/suggest.ts';
import { cancelRun } from '#src/engine/cancel.ts';
import { refuseCancel } from '#src/engine/deploy/permission.ts';
import { didFail, startOver } from '#src/engine/rerun.ts';
import { movedText } from './commit.ts';
import { type Answer, type Context, done, type Handler, writing } from './context.ts';

/** `/cancel` ends what runs for the pull request, deployments too: a person asks, and a rollout goes back. */
export const cancel: Handler<'cancel'> = async (context) => {
  const { parts, event, wake } = context;
  const role = await writing(context, 'cancel');
  // What was pushed after the comment was written isn't what was meant.
  const all = (await parts.store.runs.unfinishedOfPullRequest(event.repository.id, event.number)).filter(
    (run) => run.createdAt <= event.at + 1_000,
  );
  const runs: Run[] = [];
  const refusals = new Set<string>();
  for (const run of all) {
    const refusal = await refuseCancel(parts, run, event.actor);
    if (refusal === null) runs.push(run);
    else refusals.add(refusal);
  }
  const refused = [...refusals].join(' ');
  if (runs.length === 0 && refused !== '') throw new UserError(refused);
  if (runs.length === 0) {
    // A server that was killed over its answer has done it already.
    const newest = await parts.store.runs.ofPullRequest(event.repository.id, event.number);
    const before = newest?.cancel?.reason === cancelledBy(event.actor).reason;
    if (!before) throw new UserError('Nothing runs for this pull request.');
  }
  for (const run of runs) await cancelRun(parts, run.id, cancelledBy(event.actor), wake);
  await audit(context, 'cancel command', `#${event.number}`, `GitHub reports "${role}".`);
  const said = runs.length === 0 ? 'Cancelled before.' : `Cancelled ${runs.map((run) => run.id).join(', ')}.`;
  return done(said, refused === '' ? null : refused);
};

/** `/retry [JOB]`: what failed in the newest run of the head in which something did, or the job that is named. */
export const retry: Handler<'retry'> = async (context, { job }) => {
  await writing(context, 'run jobs again');
  const views = await runsOfHead(context, job === null ? '/retry' : `/retry ${job}`);
  if (job !== null) {
    const { view, jobs } = called(views, job);
    const failed = jobs.filter(didFail);
    if (failed.length === 0) throw new UserError(notFailed(jobs));
    return await again(context, view, failed);
  }
  const view = views.find((it) => it.jobs.some(didFail) || (it.jobs.length === 0 && it.run.state === 'completed'));
  if (view === undefined) {
    const going = views.some((it) => it.run.state !== 'completed');
    throw new UserError(going ? 'Nothing has failed yet.' : 'Nothing failed: there is nothing to retry.');
  }
  return await again(context, view, view.jobs.filter(didFail));
};

function notFailed(jobs: readonly Job[]): string {
  const [job] = jobs;
  const name = quoted(job?.plan.key ?? '');
  if (jobs.some((it) => it.state !== 'completed')) return `${name} is under way.`;
  return `${name} didn't fail. To run it all the same: ${quoted(`/run ${job?.plan.key ?? ''}`)}.`;
}

/** `/run JOB` */
export const runJob: Handler<'run'> = async (context, { job }) => {
  await writing(context, 'run jobs again');
  const { view, jobs } = called(await runsOfHead(context, `/run ${job}`), job);
  const deployed = jobs.find(({ plan }) => plan.work.kind === 'deploy');
  if (deployed !== undefined) {
    const { work } = deployed.plan;
    const environment = work.kind === 'deploy' ? work.environment : '';
    throw new UserError(`${quoted(deployed.plan.key)} is a deployment: ask for it by \`/deploy ${environment}\`.`);
  }
  const skipped = jobs.filter(({ plan, outcome }) => plan.skip !== null || outcome?.kind === 'skipped');
  const [first] = skipped;
  if (first !== undefined && skipped.length === jobs.length) {
    const why = first.plan.skip ?? (first.outcome === null ? '' : reasonOf(first.outcome));
    throw new UserError(`${quoted(first.plan.key)} doesn't run for this commit. ${why}`.trim());
  }
  const over = jobs.filter((it) => it.state === 'completed' && !skipped.includes(it));
  if (over.length === 0) throw new UserError(`${quoted(jobs[0]?.plan.key ?? job)} is under way.`);
  return await again(context, view, over);
};

/** Runs of the head that the comment was written about, newest first; what a pull request added to one comes last. */
async function runsOfHead(context: Context, command: string): Promise<readonly RunView[]> {
  const { parts, event } = context;
  const head = await context.head();
  if (head.kind === 'moved') {
    throw new UserError(`${movedText(head)} If that commit's jobs are meant, comment ${quoted(command)} again.`);
  }
  const { sha } = head;
  const runs = await parts.store.runs.ofCommit(event.repository.id, sha);
  const views = await Promise.all(
    runs
      .filter((run) => run.pullRequest === event.number || run.trigger.kind !== 'deploy')
      .map((run) => parts.store.runs.view(run.id)),
  );
  const known = views.filter((view) => view !== null);
  const [added, own] = [true, false].map((is) => known.filter(({ run }) => isAdded(run.trigger) === is));
  const found = [...(own ?? []), ...(added ?? []).filter(({ jobs }) => jobs.length > 0)];
  if (found.length === 0) throw new UserError(`No run of the head \`${sha}\` is known.`);
  return found;
}

/** The jobs of that key or id, in the newest run that has any. */
function called(views: readonly RunView[], name: string): { readonly view: RunView; readonly jobs: readonly Job[] } {
  const same = (word: string): boolean => word.toLowerCase() === name.toLowerCase();
  for (const view of views) {
    const byKey = view.jobs.filter(({ plan }) => same(plan.key));
    const jobs = byKey.length > 0 ? byKey : view.jobs.filter(({ plan }) => same(plan.id));
    if (jobs.length > 0) return { view, jobs };
  }
  const keys = [...new Set(views.flatMap((view) => view.jobs.map(({ plan }) => plan.key)))];
  const meant = nearest(name, keys);
  const hint =
    meant === null
      ? `There is: ${keys.slice(0, 30).map(quoted).join(', ') || 'none'}.`
      : `Did you mean ${quoted(meant)}?`;
  throw new UserError(`The head's runs have no job ${quoted(name)}. ${hint}`);
}

async function again(context: Context, { run }: RunView, jobs: readonly Job[]): Promise<Answer> {
  const { parts, event, wake } = context;
  const { started, message } = await startOver(parts, run.id, jobs, event.actor, wake);
  if (!started) throw new UserError(message);
  const subject = `run ${run.id}: ${jobs.map(({ plan }) => plan.key).join(', ')}`;
  await audit(context, 'retry command', subject, `GitHub reports "${await context.role()}".`);
  return done(message);
}

async function audit({ parts, event }: Context, action: string, subject: string, reason: string): Promise<void> {
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: event.actor,
    action,
    repository: fullName(event.repository),
    subject,
    decision: 'allowed',
    reason,
  });
}
