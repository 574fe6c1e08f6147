import type { GitOpsSpec, RolloutStep, Strategy } from '#src/model/delivery.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import { stepsOf } from '#src/model/steps.ts';
import { imagesPushed } from '#src/engine/load-plan.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { Commit } from '#src/engine/ports.ts';

/** What a deployment reaches out to: workloads or a repository elsewhere, and what its steps ask. */
export interface Touched {
  readonly rollout: readonly RolloutTarget[];
  readonly gitops?: GitOpsSpec | null;
  readonly strategy?: Strategy | null;
}

/**
 * Why the operator's file doesn't allow it, a sentence each, which says what an operator adds. An address that isn't filled
 * in yet is judged once it is.
 */
export function refusalsOf(
  { policy }: Pick<Parts, 'policy'>,
  repository: Repository,
  { rollout, gitops, strategy }: Touched,
): readonly string[] {
  const places = gitops
    ? [policy.refuseGitOps(repository, gitops.repository)]
    : rollout.map((target) => policy.refuseRollout(repository, target));
  const steps = strategy ? stepsOf(strategy) : [];
  const asked = steps.map((step) => refuseStep(policy, repository, step));
  return [...new Set([...places, ...asked].filter((refusal) => refusal !== null))];
}

function refuseStep(policy: Parts['policy'], repository: Repository, step: RolloutStep): string | null {
  if (step.kind === 'prometheus') return policy.refuseMetrics(repository, step.server);
  if (step.kind !== 'probe') return null;
  const origin = /^[^/]*\/\/[^/?#]*/.exec(step.url)?.[0] ?? step.url;
  return origin.includes('${{') ? null : policy.refuseProbe(repository, step.url);
}

/** Longer nobody who asks waits for the commit's own file, milliseconds: the run reads it anyway. */
const soonMs = 10_000;

/**
 * Why images that the commit has to have built first may not be pushed, as refusalsOf. `built`: by image job, what is there.
 * What can't be read in time is left to the run. Never fails.
 */
export async function pushRefusals(
  parts: Pick<Parts, 'policy' | 'source' | 'log'>,
  repository: Repository,
  commit: Commit,
  wanted: { readonly jobs: readonly string[]; readonly built: Readonly<Record<string, string>> },
): Promise<readonly string[]> {
  const missing = wanted.jobs.filter((job) => !Object.hasOwn(wanted.built, job));
  if (missing.length === 0) return [];
  const pushed = await imagesPushed(parts, repository, commit, AbortSignal.timeout(soonMs)).catch((error: unknown) => {
    parts.log.warn({ err: error }, 'what a deployment would push could not be found out yet');
    return {};
  });
  const refusals = Object.entries(pushed).flatMap(([job, image]) => {
    return missing.includes(job) ? (parts.policy.refusePush(repository, image) ?? []) : [];
  });
  return [...new Set(refusals)];
}
