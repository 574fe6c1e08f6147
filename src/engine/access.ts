import { UserError } from '#src/model/outcome.ts';
import type { HostAccess } from '#src/model/pipeline.ts';
import type { ScriptWork } from '#src/model/plan.ts';
import type { Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import type { Parts } from './parts.ts';
import type { JobDocker, JobRequest } from './ports.ts';

const NONE: HostAccess = { privileged: false, network: 'private', devices: [], volumes: [] };

/** For the log of a job or build that the operator's file keeps from the network; null if it doesn't. */
export function cutOffNote({ policy }: Pick<Parts, 'policy'>, run: Run): string | null {
  if (!isStrange(run) || policy.strangers(run.repository).network !== 'none') return null;
  return "Slipway: this job has no network (a stranger's commit; the operator's file says so).";
}

/** What a job has of the host and of engines, as the operator allows it. UserError where it asks for more. */
export function accessFor(
  { policy }: Pick<Parts, 'policy'>,
  run: Run,
  work: ScriptWork,
): Pick<JobRequest, 'access' | 'runtime' | 'docker'> {
  const { repository } = run;
  const asked = work.access ?? NONE;
  const strange = isStrange(run);
  const refusals = [
    strange ? refuseStranger(asked) : policy.refuseAccess(repository, asked),
    work.docker === true ? policy.refuseDocker(repository) : null,
  ].filter((refusal) => refusal !== null);
  if (refusals.length > 0) throw new UserError(refusals.join(' '));
  const cutOff = cutOffNote({ policy }, run) !== null;
  if (cutOff && work.services.length > 0) {
    throw new UserError(
      "The job has services, which it reaches by a network, and this job has none (a stranger's commit; the operator's file says so, by network: none under strangers). It can run after the merge.",
    );
  }
  return {
    access: cutOff ? { ...asked, network: 'none' } : asked,
    runtime: policy.runtime(repository),
    docker: work.docker === true ? dockerFor({ policy }, run, strange) : null,
  };
}

function dockerFor({ policy }: Pick<Parts, 'policy'>, { repository }: Run, strange: boolean): JobDocker {
  return {
    refusePush: (image) => (strange ? "A stranger's commit pushes no images." : policy.refusePush(repository, image)),
    mayUse: (registry) => !strange && policy.lendsRegistry(repository, registry),
  };
}

function refuseStranger({ privileged, network, devices, volumes }: HostAccess): string | null {
  const asked = [
    ...(privileged ? ['privileged containers (`privileged: true`)'] : []),
    ...(network === 'host' ? ["the host's network (`network: host`)"] : []),
    ...(devices.length > 0 ? ["the host's devices (`devices`)"] : []),
    ...(volumes.length > 0 ? ["the host's folders (`volumes`)"] : []),
  ];
  if (asked.length === 0) return null;
  // No advice to push it to a branch: that would give it what only the merge, after a review, should.
  return `A stranger's commit may not have ${asked.join(', ')}. It can run after the merge, if the operator's file allows it.`;
}
