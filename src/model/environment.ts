import type { EnvironmentSpec } from './pipeline.ts';

/** Ids of the image jobs whose images go to the environment, each once. */
export function imageJobs(environment: Pick<EnvironmentSpec, 'rollout' | 'gitops'>): readonly string[] {
  const { rollout, gitops } = environment;
  return [...new Set([...rollout.map((target) => target.image), ...(gitops?.changes ?? []).map((c) => c.image)])];
}
