import { type Ending, endedByClosing, newestOf, superseded } from '#src/model/cancel.ts';
import { type PullRequestClosed, type PushTrigger, runKey, type Trigger } from '#src/model/event.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { pressed } from './commands/buttons.ts';
import type { Told } from './commands/context.ts';
import { comment } from './commands/index.ts';
import { releaseClosed } from './deploy/locks.ts';
import type { Parts } from './parts.ts';
import type { Intake } from './ports.ts';
import { cancelRun } from './cancel.ts';
import { removedPreview, removeIfClosed } from './previews.ts';
import { released } from './releases.ts';
import { rerun, restart } from './rerun.ts';

/**
 * Makes of an event what is to be done and stores it. Resolves with a sentence on what came of it; throws only
 * when it must be tried again.
 */
export function createIntake(parts: Parts, wake: Wake): Intake {
  return async (event, later) => {
    switch (event.kind) {
      case 'trigger':
        return await trigger(parts, event.repository, event.trigger, wake);
      case 'comment':
        return await answered(await comment(parts, event, wake), later);
      case 'rerun':
        return await rerun(parts, event, wake);
      case 'button':
        return await answered(await pressed(parts, event, wake), later);
      case 'pull_request_closed':
        return await closed(parts, event, wake);
      case 'release':
        return await released(parts, event, wake);
      case 'installation':
        return `Installation ${event.installationId} of ${event.account}: ${event.change}.`;
      case 'ignored':
        return event.reason;
    }
  };
}

type Wake = (runId: string) => Promise<void>;

async function answered({ result, tell }: Told, later: Parameters<Intake>[1]): Promise<string> {
  if (tell !== null && later !== undefined) later(tell);
  else await tell?.();
  return result;
}

/** One head commit of a branch makes one run, whether its push or its pull request arrives first. */
async function trigger(parts: Parts, repository: Repository, given: Trigger, wake: Wake): Promise<string> {
  const wanted = given.kind === 'push' ? await asPullRequest(parts, repository, given) : asPush(repository, given);
  const pullRequest = numberOf(given) ?? numberOf(wanted);
  if (pullRequest !== null) await recordHead(parts, repository, given, pullRequest);
  if (given.kind === 'pull_request' && wanted.kind === 'push')
    return await noted(parts, repository, wanted, given.number);
  const { run, said } = await take(parts, repository, wanted, pullRequest, wake);
  if (wanted.kind !== 'pull_request' || run.trigger.kind !== 'push') return said;
  // It was planned as a push, before there was a pull request.
  const added = await take(parts, repository, { ...wanted, added: true }, pullRequest, wake);
  return `${said} What pull requests add: ${added.said}`;
}

/** The run of the trigger, made or known, with what its arrival means to the pull request's others; and a sentence. */
async function take(
  parts: Parts,
  repository: Repository,
  wanted: Trigger,
  pullRequest: number | null,
  wake: Wake,
): Promise<{ readonly run: Run; readonly said: string }> {
  const { run, created } = await parts.store.runs.create({
    repository,
    trigger: wanted,
    pullRequest,
    at: parts.clock.now(),
  });
  if (!created && pullRequest !== null && run.pullRequest === null) {
    await parts.store.runs.setPullRequest(run.id, pullRequest);
  }
  const later = !created && wanted.at !== undefined && wanted.at > (run.trigger.at ?? 0);
  // As of now: a commit may be pushed again after others.
  const arrived: Run = {
    ...run,
    pullRequest: pullRequest ?? run.pullRequest,
    trigger: later ? { ...run.trigger, at: wanted.at ?? 0 } : run.trigger,
  };
  const rivals = wanted.kind === 'deploy' ? [] : await rivalsOf(parts, arrived);
  const again = later && (await comesAgain(parts, arrived, rivals, wake));
  if (parts.limits.cancelSuperseded) await end(parts, superseded(rivals, arrived), wake);
  // Last: until then, whoever does this again after a crash must find the commit to be pushed again.
  if (later) await parts.store.runs.pushedAgain(run.id, wanted.at ?? 0);
  if (created) {
    parts.log.info(
      { run: run.id, repository: fullName(repository), event: wanted.kind, sha: wanted.sha },
      'run created',
    );
  }
  void wake(run.id);
  const preview = created || again || wanted.kind !== 'pull_request' ? null : await removedPreview(parts, run.id);
  if (preview !== null) {
    const said = await restart(parts, run.id, [preview], 'the pull request is worked on again', wake);
    return { run, said };
  }
  if (again) return { run, said: `Run ${run.id} starts over: its commit is the head again.` };
  return { run, said: created ? `Run ${run.id}.` : `Known already as run ${run.id}.` };
}

/**
 * A commit whose run Slipway cancelled, because a newer one came or its pull request was closed, and that is pushed again:
 * somebody went back to it. True if it starts over; throws as long as its jobs are still being stopped.
 */
async function comesAgain(parts: Parts, run: Run, rivals: readonly Run[], wake: Wake): Promise<boolean> {
  if (run.cancel?.by !== 'slipway' || newestOf(rivals, run).trigger.sha !== run.trigger.sha) return false;
  if (run.state !== 'completed') {
    throw new PlatformError(
      `Run ${run.id} is being cancelled, and its commit is the head again: it waits for the end.`,
    );
  }
  const jobs = (await parts.store.runs.view(run.id))?.jobs ?? [];
  const ended = jobs.filter((job) => job.outcome?.kind === 'cancelled');
  if (jobs.length > 0 && ended.length === 0) return false;
  await restart(parts, run.id, ended, 'its commit is the head again', wake);
  return true;
}

/** Runs of the same pull request that may be older or newer: all unfinished ones, and the branch's last. */
async function rivalsOf(parts: Parts, { trigger, repository, pullRequest }: Run): Promise<readonly Run[]> {
  if (pullRequest === null) return [];
  const branch = trigger.kind === 'pull_request' && !trigger.fork ? trigger.branch : null;
  const [unfinished, newest] = await Promise.all([
    parts.store.runs.unfinishedOfPullRequest(repository.id, pullRequest),
    // Of a late delivery the newer commit's run may be over already.
    branch === null ? [] : parts.store.runs.list({ repository: fullName(repository), branch, limit: 10 }),
  ]);
  return [...new Map([...newest, ...unfinished].map((run) => [run.id, run])).values()];
}

/** What still runs for a pull request that was closed is pointless, but for what somebody asked for. */
async function closed(parts: Parts, event: PullRequestClosed, wake: Wake): Promise<string> {
  const runs = await parts.store.runs.unfinishedOfPullRequest(event.repository.id, event.number);
  const ended = endedByClosing(runs, event);
  await end(parts, ended, wake);
  await releaseClosed(parts, event.repository, event.number, wake);
  await removeIfClosed(parts, event.repository, event.number);
  const count = ended.length === 1 ? 'a run was' : `${ended.length} runs were`;
  return `Pull request #${event.number} was closed${ended.length > 0 ? `; ${count} cancelled` : ''}.`;
}

async function end(parts: Parts, endings: readonly Ending[], wake: Wake): Promise<void> {
  for (const { runId, cancellation } of endings) await cancelRun(parts, runId, cancellation, wake);
}

/**
 * The default branch is built by its pushes, whichever event comes first: a pull request from it, which anybody may open,
 * must neither hold them up nor keep them from deploying.
 */
function asPush(repository: Repository, given: Trigger): Trigger {
  if (given.kind !== 'pull_request' || given.fork || given.branch !== repository.defaultBranch) return given;
  const { sha, branch, actor, title, at } = given;
  return { kind: 'push', sha, branch, ref: `refs/heads/${branch}`, actor, title, ...(at === undefined ? {} : { at }) };
}

/** Nothing that deploys begins, or begins anew, because somebody opens a pull request: it is shown the branch's run, if any. */
async function noted(parts: Parts, repository: Repository, push: PushTrigger, number: number): Promise<string> {
  const { runs } = parts.store;
  if (!(await runs.exists(repository.id, push.sha, runKey(push))))
    return `${push.branch} is built by its pushes alone.`;
  const { run } = await runs.create({ repository, trigger: push, pullRequest: number, at: parts.clock.now() });
  if (run.pullRequest === null) await runs.setPullRequest(run.id, number);
  return `Known already as run ${run.id}.`;
}

/** Commands in comments are about the head that the pull request had when they were written. */
async function recordHead(parts: Parts, repository: Repository, given: Trigger, number: number): Promise<void> {
  if (given.kind !== 'pull_request' && given.kind !== 'push') return;
  const { sha, at = null } = given;
  await parts.store.heads.record({ repositoryId: repository.id, number, sha, at, receivedAt: parts.clock.now() });
}

function numberOf(trigger: Trigger): number | null {
  return trigger.kind === 'pull_request' || trigger.kind === 'deploy' ? trigger.number : null;
}

/** A push to a branch with an open pull request is that pull request's: which event comes first must not matter. */
async function asPullRequest(parts: Parts, repository: Repository, push: PushTrigger): Promise<Trigger> {
  if (push.branch === repository.defaultBranch) return push;
  const open = await parts.forge.openPullRequest(repository, push.branch).catch((error: unknown) => {
    parts.log.warn({ err: error, repository: fullName(repository) }, 'could not ask for the pull request of a push');
    return null;
  });
  if (open === null || open.fork) return push;
  return {
    kind: 'pull_request',
    sha: push.sha,
    ref: push.ref,
    actor: push.actor,
    title: open.title,
    number: open.number,
    branch: push.branch,
    base: open.base,
    fork: false,
    author: { login: open.author, bot: open.bot ?? false },
    ...(push.at === undefined ? {} : { at: push.at }),
  };
}
