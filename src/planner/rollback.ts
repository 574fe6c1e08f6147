import { environmentGroup } from '#src/model/concurrency.ts';
import { noRules } from '#src/model/deploy-rules.ts';
import type { DeployTrigger } from '#src/model/event.ts';
import type { Plan, PlannedJob } from '#src/model/plan.ts';

const TIMEOUT_MINUTES = 10;
const STABLE_SECONDS = 5;

/**
 * The plan of a rollback: one job, made of what was deployed then. No pipeline file has a say: it may be the mistake.
 * `before` is the deployment's own job, as it was planned then, or null if it isn't known any more.
 */
export function rollbackPlan(trigger: DeployTrigger, before: PlannedJob | null): Plan {
  const { environment, restore } = trigger;
  const then = before?.work.kind === 'deploy' ? before.work : null;
  const job: PlannedJob = {
    key: `deploy ${environment}`,
    id: `deploy:${environment}`,
    needs: [],
    if: null,
    matrix: {},
    skip: null,
    continueOnError: false,
    timeoutMinutes: before?.timeoutMinutes ?? TIMEOUT_MINUTES,
    retries: 0,
    // What waits to be deployed would undo it.
    concurrency: { group: environmentGroup(environment), cancelInProgress: false, queue: 'single' },
    priority: 2,
    work: {
      kind: 'deploy',
      environment,
      url: then?.url ?? null,
      rollout: restore?.rollout ?? then?.rollout ?? [],
      mode: 'rollback',
      rules: { ...noRules, allow: restore?.allow ?? null },
      stableSeconds: then?.stableSeconds ?? STABLE_SECONDS,
      atOnce: then?.atOnce ?? false,
      strategy: null,
      gitops: then?.gitops ?? null,
      images: restore?.images ?? {},
      ...(restore && { restores: restore.deployment }),
      ...(trigger.overLock && { overLock: true }),
    },
  };
  return { jobs: [job], concurrency: null };
}
