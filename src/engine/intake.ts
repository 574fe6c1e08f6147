import type { Event, PushTrigger, Trigger } from '#src/model/event.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { comment } from './comment.ts';
import { expectJobs } from './expect.ts';
import type { Parts } from './parts.ts';
import { pressed, rerun } from './rerun.ts';

/**
 * Makes of an event what is to be done and stores it. Resolves with a sentence on what came of it; throws only
 * when it must be tried again.
 */
export function createIntake(parts: Parts, wake: (runId: string) => Promise<void>): (event: Event) => Promise<string> {
  return async (event) => {
    switch (event.kind) {
      case 'trigger':
        return await trigger(parts, event.repository, event.trigger, wake);
      case 'comment':
        return await comment(parts, event, wake);
      case 'rerun':
        return await rerun(parts, event, wake);
      case 'button':
        return await pressed(parts, event, wake);
      case 'pull_request_closed':
        return `Pull request #${event.number} was closed.`;
      case 'installation':
        return `Installation ${event.installationId} of ${event.account}: ${event.change}.`;
      case 'ignored':
        return event.reason;
    }
  };
}

/** One head commit of a branch makes one run, whether its push or its pull request arrives first. */
async function trigger(
  parts: Parts,
  repository: Repository,
  given: Trigger,
  wake: (runId: string) => Promise<void>,
): Promise<string> {
  const wanted = given.kind === 'push' ? await asPullRequest(parts, repository, given) : given;
  const pullRequest = wanted.kind === 'pull_request' || wanted.kind === 'deploy' ? wanted.number : null;
  const { run, created } = await parts.store.runs.create({
    repository,
    trigger: wanted,
    pullRequest,
    at: parts.clock.now(),
  });
  if (!created && pullRequest !== null && run.pullRequest === null) {
    await parts.store.runs.setPullRequest(run.id, pullRequest);
  }
  if (created) {
    parts.log.info(
      { run: run.id, repository: fullName(repository), event: wanted.kind, sha: wanted.sha },
      'run created',
    );
  }
  void wake(run.id);
  if (created) {
    void expectJobs(parts, run).catch((error: unknown) => {
      parts.log.warn({ err: error, run: run.id }, 'could not look up what a run will begin with');
    });
  }
  return created ? `Run ${run.id}.` : `Known already as run ${run.id}.`;
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
  };
}
