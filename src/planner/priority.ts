import type { PlannedJob } from '#src/model/plan.ts';

/** The jobs with their priorities: 2 for a deployment and the checks between its steps, 1 for what one waits for however far, 0 for the rest. */
export function withPriorities(jobs: readonly PlannedJob[]): readonly PlannedJob[] {
  const deploys = jobs.filter((job) => job.work.kind === 'deploy');
  const awaited = new Set(deploys.filter((job) => job.skip === null).flatMap((job) => job.needs));
  const byKey = new Map(jobs.map((job) => [job.key, job]));
  for (const key of awaited) {
    for (const need of byKey.get(key)?.needs ?? []) awaited.add(need);
  }
  return jobs.map((job) => {
    const priority = job.work.kind === 'deploy' || job.heldBy !== undefined ? 2 : awaited.has(job.key) ? 1 : 0;
    return { ...job, priority };
  });
}
