import { isStrange } from '#src/model/trust.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import type { ArchiveRef } from './ports.ts';

/** Archives of the jobs that this one needs: of this run, or of an earlier run if this one left them out. */
export async function inputsOf(parts: Parts, run: Run, job: Job): Promise<readonly ArchiveRef[]> {
  if (job.plan.needs.length === 0) return [];
  const own = await parts.store.runs.view(run.id);
  const left = job.plan.needs.some((key) => own?.jobs.every((other) => other.plan.key !== key));
  const views = [...(own ? [own] : []), ...(left ? await trustedRuns(parts, run) : [])];
  const archives: ArchiveRef[] = [];
  for (const key of job.plan.needs) {
    const need = views
      .flatMap((view) => view.jobs)
      .find((other) => other.plan.key === key && other.outcome?.kind === 'success');
    const archive = need ? await parts.store.runs.artifacts(need.id) : null;
    if (archive !== null) archives.push(archive);
  }
  return archives;
}

/** Runs of the same commit whose results may be used again, newest first: never those of strangers. */
export async function trustedRuns(parts: Parts, run: Run): Promise<readonly RunView[]> {
  const runs = await parts.store.runs.ofCommit(run.repository.id, run.trigger.sha);
  const trusted = runs.filter((other) => other.id !== run.id && !isStrange(other));
  const views = await Promise.all(trusted.map((other) => parts.store.runs.view(other.id)));
  return views.filter((view) => view !== null);
}
