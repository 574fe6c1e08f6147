import { isAutomatic } from '#src/model/deploy/decide.ts';
import { refuseSomebody } from '#src/model/deploy/people.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from '#src/engine/parts.ts';
import { askerOf } from './asker.ts';
import { viaOf } from './facts.ts';
import { somebodyOf } from './permission.ts';

/**
 * Why a job may not have its environment's secrets, or null: they are for what deploys there, and so for whoever may deploy
 * there now, by the same rules. Throws PlatformError if GitHub or the store fails.
 */
export async function refuseSecrets(parts: Parts, run: Run, job: Job): Promise<string | null> {
  const { work } = job.plan;
  const environment = work.kind === 'script' ? work.environment : undefined;
  if (environment === undefined) return null;
  const { repository, trigger } = run;
  const { login, again } = askerOf(run, job);
  const automatic = isAutomatic(viaOf(trigger)) && !again;
  const people = {
    environment: automatic ? null : await allowOf(parts, run, environment),
    operator: parts.policy.deployers(repository, environment),
  };
  if (automatic && people.operator === null) return null;
  if (trigger.kind === 'deploy' && trigger.operator === true && !again) return null;
  const who = await somebodyOf(parts, repository, login, [people.environment, people.operator]);
  return refuseSomebody(people, who, environment, { asked: !automatic });
}

/** As the run's deployment there was planned. */
async function allowOf({ store }: Pick<Parts, 'store'>, run: Run, environment: string) {
  const works = ((await store.runs.view(run.id))?.jobs ?? []).map(({ plan }) => plan.work);
  const deploys = works.find((work) => work.kind === 'deploy' && work.environment === environment);
  return deploys?.kind === 'deploy' ? (deploys.rules?.allow ?? null) : null;
}
