import type { Cancellation, Job, Run } from './run.ts';

/** A run whose end is to be asked for. */
export interface Ending {
  readonly runId: string;
  readonly cancellation: Cancellation;
}

/**
 * The runs of a pull request that are pointless by now: those of older commits that haven't ended. `runs` may hold
 * others, and `arrived` may itself be the older one: deliveries come in any order. What somebody asked for (`/deploy`)
 * goes on, and so does what was pushed to the default branch.
 */
export function superseded(runs: readonly Run[], arrived: Run): readonly Ending[] {
  const number = arrived.pullRequest;
  if (number === null || !builds(arrived)) return [];
  const rivals = rivalsOf(runs, arrived);
  const newest = newestOf(runs, arrived);
  const reason = `Cancelled: a newer commit, ${newest.trigger.sha.slice(0, 7)}, was pushed to #${number}.`;
  return [...rivals, arrived]
    .filter((run) => run.state !== 'completed' && run.trigger.sha !== newest.trigger.sha)
    .map((run) => ({ runId: run.id, cancellation: { reason, by: 'slipway' } }));
}

/** Of the runs of the same pull request, `arrived` among them, the one whose commit was pushed last. */
export function newestOf(runs: readonly Run[], arrived: Run): Run {
  return rivalsOf(runs, arrived).reduce((best, run) => (isOlder(best, run) ? run : best), arrived);
}

function rivalsOf(runs: readonly Run[], arrived: Run): readonly Run[] {
  const number = arrived.pullRequest;
  if (number === null || !builds(arrived)) return [];
  return runs.filter((run) => isRunOf(run, arrived.repository.id, number) && run.id !== arrived.id);
}

/**
 * The runs that the closing of a pull request ends; as `superseded`, not what somebody asked for, and not what was pushed
 * before there was one: anybody may open one from a branch, and close it. `at`: when it was
 * closed (see Trigger.at); what was pushed after that, because it was opened again, goes on.
 */
export function endedByClosing(
  runs: readonly Run[],
  closed: { readonly repository: { readonly id: number }; readonly number: number; readonly at?: number },
): readonly Ending[] {
  const { repository, number, at = Number.POSITIVE_INFINITY } = closed;
  const reason = `Cancelled: pull request #${number} was closed.`;
  return runs
    .filter((run) => run.state !== 'completed' && isRunOf(run, repository.id, number))
    .filter((run) => run.trigger.kind === 'pull_request')
    .filter((run) => (run.trigger.at ?? 0) <= at)
    .map((run) => ({ runId: run.id, cancellation: { reason, by: 'slipway' } }));
}

/** That a person asked for the end, by a command or a button. `actor` is the login. */
export function cancelledBy(actor: string): Cancellation {
  return { reason: `Cancelled by @${actor}.`, by: 'person' };
}

/** A deployment under way is ended by a person alone (then it goes back): half a rollout helps nobody. */
export function mayCancel(job: Job, cancellation: Cancellation): boolean {
  return job.plan.work.kind !== 'deploy' || job.state !== 'running' || cancellation.by === 'person';
}

function isRunOf(run: Run, repositoryId: number, number: number): boolean {
  return run.repository.id === repositoryId && run.pullRequest === number && builds(run);
}

/** True for a run that was made for a commit of a pull request, and for nothing else. */
function builds({ trigger, repository }: Run): boolean {
  if (trigger.kind === 'pull_request') return trigger.fork || trigger.branch !== repository.defaultBranch;
  return trigger.kind === 'push' && trigger.branch !== repository.defaultBranch;
}

/** By GitHub's clock, where it tells; then by ours. Ids are in the order of time within one millisecond. */
function isOlder(run: Run, other: Run): boolean {
  const said = (run.trigger.at ?? 0) - (other.trigger.at ?? 0);
  if (run.trigger.at !== undefined && other.trigger.at !== undefined && said !== 0) return said < 0;
  return run.createdAt < other.createdAt || (run.createdAt === other.createdAt && run.id < other.id);
}
