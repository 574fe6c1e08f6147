import type { DeployTrigger, ReleaseEvent } from '#src/model/event.ts';
import { fullName } from '#src/model/repository.ts';
import { UserError } from '#src/model/outcome.ts';
import { releaseEnvironments } from '#src/planner/deploy.ts';
import { knownEnvironments } from './deploy/environment.ts';
import type { Parts } from './parts.ts';

const deadlineMs = 120_000;

/** A release that was published is deployed to each environment that says so, by its tag's commit, once. */
export async function released(
  parts: Parts,
  event: ReleaseEvent,
  wake: (runId: string) => Promise<void>,
): Promise<string> {
  const { repository, releaseId, tag, name, actor } = event;
  if (event.prerelease)
    return `Release ${tag} is a pre-release, which deploys nowhere: a pattern of tags deploys those.`;
  const found = await knownEnvironments(parts, repository).catch((error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    return error.message;
  });
  // The pushes to the default branch show its mistakes.
  if (typeof found === 'string') return found;
  const environments = releaseEnvironments(found);
  if (environments.length === 0) return 'No environment is deployed to by releases.';
  const ref = `refs/tags/${tag}`;
  const sha = await parts.source.resolve(repository, ref, AbortSignal.timeout(deadlineMs));
  if (sha === null) return `${ref} names no commit.`;
  const answers: string[] = [];
  for (const { name: environment } of environments) {
    const trigger: DeployTrigger = {
      kind: 'deploy',
      environment,
      sha,
      ref,
      branch: '',
      tag,
      actor,
      title: name === '' ? tag : name,
      mode: 'deploy',
      via: 'release',
      number: null,
      request: `release:${releaseId}`,
    };
    const { run, created } = await parts.store.runs.create({
      repository,
      trigger,
      pullRequest: null,
      at: parts.clock.now(),
    });
    if (created) parts.log.info({ run: run.id, repository: fullName(repository), environment, tag }, 'run created');
    void wake(run.id);
    answers.push(`Run ${run.id} deploys to ${environment}.`);
  }
  return answers.join(' ');
}
