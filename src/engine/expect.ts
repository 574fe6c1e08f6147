import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import type { Parts } from './parts.ts';

/** More would take the engine's time from the container that is needed first. */
const maxImages = 2;

/**
 * Tells the executor which images the run will probably begin with: those of the repository's run before it. Its
 * containers then start while the commit is being fetched and planned. Only speed is at stake.
 */
export async function expectJobs(parts: Parts, run: Run): Promise<void> {
  const newest = await parts.store.runs.list({ repository: fullName(run.repository), limit: 10 });
  // A stranger's file may name any image, and ours may hold what strangers may not have.
  const like = newest.filter((other) => other.state !== 'pending' && isStrange(other) === isStrange(run));
  const before = like.find((other) => other.id !== run.id);
  const view = before ? await parts.store.runs.view(before.id) : null;
  const images = new Set<string>();
  for (const { plan } of view?.jobs ?? []) {
    if (plan.work.kind !== 'script' || plan.skip !== null || plan.needs.length > 0) continue;
    // Beside services a job has a network of its own, which no container can join in advance.
    if (plan.work.services.length === 0) images.add(plan.work.image);
  }
  for (const image of [...images].slice(0, maxImages)) parts.executor.expect(image);
}
