import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';

/** More would take the engine's time from the container that is needed first. */
const maxImages = 2;

/**
 * Tells the executor which images the run will probably begin with: those of the repository's run before it. Its
 * containers then start while the commit is being fetched and planned. Only speed is at stake.
 */
export async function expectJobs(parts: Parts, run: Run): Promise<void> {
  const newest = await parts.store.runs.list({ repository: fullName(run.repository), limit: 2 });
  const before = newest.find((other) => other.id !== run.id);
  const view = before ? await parts.store.runs.view(before.id) : null;
  const images = new Set<string>();
  for (const { plan } of view?.jobs ?? []) {
    if (plan.work.kind !== 'script' || plan.skip !== null || plan.needs.length > 0) continue;
    // Beside services a job has a network of its own, which no container can join in advance.
    if (plan.work.services.length === 0) images.add(plan.work.image);
  }
  for (const image of [...images].slice(0, maxImages)) parts.executor.expect(image);
}
