import { EvaluationError } from '#src/model/evaluate.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { stepsOf } from '#src/model/steps.ts';

interface Check {
  readonly key: string;
  /** Id of the job. */
  readonly job: string;
  readonly environment: string;
}

/** The steps of the environments' rollouts that are jobs, each with the key of its job: `smoke (production, step 2)`. */
export function checksOf(environments: readonly EnvironmentSpec[]): readonly Check[] {
  return environments.flatMap(({ name, strategy }) =>
    (strategy ? stepsOf(strategy) : []).flatMap((step, index) =>
      step.kind === 'job'
        ? [{ key: `${step.job} (${name}, step ${index + 1})`, job: step.job, environment: name }]
        : [],
    ),
  );
}

/**
 * A planned job for each of those steps: it waits for the deployment to come to it, whatever its `if` says of other
 * events, and nothing waits for it. `all` are the jobs of the pipeline. Throws EvaluationError where the job isn't there:
 * environments and jobs may come from different commits.
 */
export function checkJobs(environments: readonly EnvironmentSpec[], all: readonly PlannedJob[]): readonly PlannedJob[] {
  return checksOf(environments).map(({ key, job, environment }) => {
    const instances = all.filter((candidate) => candidate.id === job && candidate.work.kind === 'script');
    const [instance, another] = instances;
    if (instance === undefined || another !== undefined) {
      const why = instance === undefined ? "doesn't have" : 'runs several times';
      throw new EvaluationError(
        `The rollout to "${environment}" is checked by the job "${job}", which the pipeline file of this commit ${why}.`,
      );
    }
    // In no group of its own: waiting for one would hold up a rollout that is half done.
    return { ...instance, key, if: null, skip: null, concurrency: null, priority: 2, heldBy: `deploy ${environment}` };
  });
}
