import { UserError } from '#src/model/outcome.ts';
import type { HostAccess } from '#src/model/pipeline.ts';
import type { ScriptWork } from '#src/model/plan.ts';
import type { Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import type { Parts } from './parts.ts';
import type { JobDocker, JobRequest } from './ports.ts';

const NONE: HostAccess = { privileged: false, network: 'private', devices: [], volumes: [] };

/** What a job has of the host and of engines, as the operator allows it. UserError where it asks for more. */
export function accessFor(
  { policy }: Pick<Parts, 'policy'>,
  run: Run,
  work: ScriptWork,
): Pick<JobRequest, 'access' | 'runtime' | 'docker'> {
  const { repository } = run;
  const asked = work.access ?? NONE;
  const strange = isStrange(run);
  const refusal = strange ? refuseStranger(asked) : policy.refuseAccess(repository, asked);
  if (refusal !== null) throw new UserError(refusal);
  const cutOff = strange && policy.strangers(repository).network === 'none';
  if (cutOff && work.services.length > 0) {
    throw new UserError(
      "The job has services, which it reaches by a network, and the operator's file gives strangers' jobs none.",
    );
  }
  return {
    access: cutOff ? { ...asked, network: 'none' } : asked,
    runtime: policy.runtime(repository),
    docker: work.docker === true ? dockerFor({ policy }, run, strange) : null,
  };
}

function dockerFor({ policy }: Pick<Parts, 'policy'>, { repository }: Run, strange: boolean): JobDocker {
  const refusal = policy.refuseDocker(repository);
  if (refusal !== null) throw new UserError(refusal);
  return {
    refusePush: (image) => (strange ? "A stranger's commit pushes no images." : policy.refusePush(repository, image)),
    mayUse: (registry) => !strange && policy.lendsRegistry(repository, registry),
  };
}

function refuseStranger({ privileged, network, devices, volumes }: HostAccess): string | null {
  const asked = [
    ...(privileged ? ['privileged: true'] : []),
    ...(network === 'host' ? ['network: host'] : []),
    ...(devices.length > 0 ? ['devices'] : []),
    ...(volumes.length > 0 ? ['volumes'] : []),
  ];
  if (asked.length === 0) return null;
  return `The job asks for ${asked.join(', ')}: a stranger's commit gets nothing of the host. Somebody with write permission can push it to a branch of this repository.`;
}
