import { UserError } from '#src/model/outcome.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import type { Job } from '#src/model/run.ts';
import { auditOnce } from './deploy/audited.ts';
import type { Parts } from './parts.ts';
import type { DeploymentRecord, PreviewProgress } from './store-deployments.ts';

/** A preview's records are looked through so far back. */
const depth = 50;
/** A removal is given up after this, and tried again later. */
const patienceMs = 5 * 60_000;
/** How often GitHub is asked whether a pull request is closed, of which that wasn't heard. */
const askMs = 30 * 60_000;

/**
 * Removes the previews of a pull request; `why` is a sentence. What is to be removed is stored when it resolves; the
 * removal itself goes on, and is tried again by `expirePreviews` if it fails. `ending`: a job that may still count as at work,
 * and does nothing more. Answers whether there was one.
 */
async function removePreviews(
  parts: Parts,
  repository: Repository,
  number: number,
  why: string,
  ending: string | null = null,
): Promise<boolean> {
  const environment = environmentOf(number);
  const standing = await standingOf(parts, repository.id, environment);
  const now = parts.clock.now();
  for (const record of standing) {
    const { expiresAt } = record.details.preview;
    const preview = { ...record.details.preview, ...(expiresAt > now ? { expiresAt: now, why } : {}) };
    await parts.store.deployments.save({ ...record, details: { ...record.details, preview } });
  }
  if (standing.length > 0) {
    void removeAll(parts, repository.id, environment, why, ending).catch((error: unknown) => {
      parts.log.error({ err: error, repository: fullName(repository), number }, 'a preview could not be removed yet');
    });
  }
  return standing.length > 0;
}

/** As `removePreviews`, if GitHub says that the pull request is closed. Throws PlatformError if it doesn't answer. */
export async function removeIfClosed(
  parts: Parts,
  repository: Repository,
  number: number,
  ending: string | null = null,
): Promise<boolean> {
  if ((await standingOf(parts, repository.id, environmentOf(number))).length === 0) return false;
  const pull = await parts.forge.pullRequest(repository, number);
  return pull.state === 'closed' && (await removePreviews(parts, repository, number, closedWords(number), ending));
}

/** The run's preview job, if what it made was removed: whoever comes back to its commit wants it again. */
export async function removedPreview(parts: Parts, runId: string): Promise<Job | null> {
  const view = await parts.store.runs.view(runId);
  const job = view?.jobs.find(({ plan, state }) => plan.work.kind === 'preview' && state === 'completed');
  if (!job) return null;
  const record = await parts.store.deployments.ofJob(job.id);
  return record?.details.preview?.removedAt === undefined ? null : job;
}

/** Removes previews whose time is over, or whose pull request was closed. To be called now and then, by one server. */
export async function expirePreviews(parts: Parts): Promise<void> {
  for (const record of await parts.store.deployments.previews()) {
    const { preview } = record.details;
    if (preview === undefined) continue;
    try {
      const why = await overOf(parts, record, preview);
      if (why !== null) await removeAll(parts, record.repositoryId, record.environment, why);
    } catch (error) {
      parts.log.error(
        { err: error, preview: record.environment },
        'a preview could not be removed; trying again later',
      );
    }
  }
}

const asked = new WeakMap<Parts['store'], Map<string, number>>();

/** Why it is over, or null. */
async function overOf(parts: Parts, record: DeploymentRecord, preview: PreviewProgress): Promise<string | null> {
  const now = parts.clock.now();
  if (preview.expiresAt <= now) return preview.why ?? 'Its time was over.';
  const known = asked.get(parts.store) ?? new Map<string, number>();
  asked.set(parts.store, known);
  if (now - (known.get(record.id) ?? record.updatedAt) < askMs) return null;
  known.set(record.id, now);
  const run = await parts.store.runs.get(record.runId);
  if (run === null) return null;
  const pull = await parts.forge.pullRequest(run.repository, preview.number);
  return pull.state === 'closed' ? closedWords(preview.number) : null;
}

/** All that stands of a preview. While one of its jobs is at work nothing is done: that job looks when it ends. */
async function removeAll(
  parts: Parts,
  repositoryId: number,
  environment: string,
  why: string,
  ending: string | null = null,
): Promise<void> {
  const busy = await parts.store.runs.deploying(repositoryId);
  const atWork = busy.some(
    ({ job: { id, state, plan } }) =>
      state === 'running' && id !== ending && plan.work.kind === 'preview' && plan.work.environment === environment,
  );
  if (atWork) return;
  // Usually one: the operator may have changed where previews go.
  const places = Map.groupBy(
    await standingOf(parts, repositoryId, environment),
    ({ details: { preview } }) => `${preview.cluster} ${preview.namespace}`,
  );
  for (const records of places.values()) await remove(parts, records, why);
}

/** One namespace, of which the records tell. */
async function remove(parts: Parts, records: readonly Standing[], why: string): Promise<void> {
  const [newest] = records;
  if (!newest) return;
  const { repository, environment } = newest;
  const { cluster, namespace, number } = newest.details.preview;
  const [owner = '', name = ''] = repository.split('/');
  const audit = { actor: 'slipway', action: 'remove preview', subject: `${environment} ${namespace} (${newest.id})` };
  let said = `Removed. ${why}`;
  try {
    await parts.previews.remove({ cluster, namespace, repository, number }, AbortSignal.timeout(patienceMs));
    await auditOnce(parts, { owner, name }, { ...audit, decision: 'allowed', reason: why });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    await auditOnce(parts, { owner, name }, { ...audit, decision: 'refused', reason });
    if (!(error instanceof UserError)) throw error;
    // It isn't Slipway's, or its cluster isn't known any more: no later try would end otherwise.
    said = `Not removed: ${reason}`;
  }
  for (const { id, runId } of records) {
    await parts.store.deployments.retire(id, said, parts.clock.now());
    parts.reporter.report(runId);
  }
}

function environmentOf(number: number): string {
  return `preview/pr-${number}`;
}

function closedWords(number: number): string {
  return `Pull request #${number} was closed.`;
}

type Standing = DeploymentRecord & { readonly details: { readonly preview: PreviewProgress } };

async function standingOf(parts: Parts, repositoryId: number, environment: string): Promise<readonly Standing[]> {
  const records = await parts.store.deployments.list(repositoryId, environment, depth);
  return records.filter(
    (it): it is Standing => it.details.preview !== undefined && it.details.preview.removedAt === undefined,
  );
}
