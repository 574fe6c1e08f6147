import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import type { ArchiveRef } from './ports.ts';

/** Archives of the jobs that this one needs: of this run, or of an earlier run of the same commit. */
export async function inputsOf(parts: Parts, run: Run, job: Job): Promise<readonly ArchiveRef[]> {
  const archives = await Promise.all(
    job.plan.needs.map((key) => parts.store.runs.artifacts(run.repository.id, run.trigger.sha, key)),
  );
  return archives.filter((archive) => archive !== null);
}
