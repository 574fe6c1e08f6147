import { WORKSPACE } from '#src/model/workspace.ts';
import type { Trigger } from '#src/model/event.ts';
import type { Job, Run } from '#src/model/run.ts';
import { fullName } from '#src/model/repository.ts';

/**
 * The variables that Slipway gives to a job. They are data from outside (a branch may be called anything): shells
 * must quote them. What the event doesn't have is left out. docs/pipeline.md lists them.
 */
export function jobEnvironment(given: {
  readonly run: Run;
  readonly job: Job;
  /** Address of the run's page; '' where there is none. */
  readonly url: string;
}): Readonly<Record<string, string>> {
  const { run, job, url } = given;
  const { trigger, repository } = run;
  const number = 'number' in trigger ? trigger.number : run.pullRequest;
  const all = {
    CI: 'true',
    SLIPWAY: 'true',
    SLIPWAY_EVENT: trigger.kind,
    SLIPWAY_BRANCH: 'branch' in trigger ? trigger.branch : '',
    SLIPWAY_TAG: ('tag' in trigger ? trigger.tag : undefined) ?? '',
    SLIPWAY_SHA: trigger.sha,
    SLIPWAY_REPOSITORY: fullName(repository),
    SLIPWAY_PULL_REQUEST: number === null ? '' : String(number),
    SLIPWAY_BASE_BRANCH: 'base' in trigger ? trigger.base : '',
    SLIPWAY_ACTOR: trigger.actor,
    SLIPWAY_RUN_ID: run.id,
    SLIPWAY_RUN_URL: url,
    SLIPWAY_JOB_ID: job.id,
    SLIPWAY_JOB: job.plan.key,
    SLIPWAY_ATTEMPT: String(job.attempt),
    SLIPWAY_WORKSPACE: WORKSPACE,
    ...paramsOf(trigger),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
}

/** What was given with `/deploy ENV -- key=value`: `SLIPWAY_PARAM_KEY`. */
function paramsOf(trigger: Trigger): Readonly<Record<string, string>> {
  const params = Object.entries((trigger.kind === 'deploy' ? trigger.params : undefined) ?? {});
  return Object.fromEntries(
    params.map(([key, value]) => [`SLIPWAY_PARAM_${key.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`, value]),
  );
}
