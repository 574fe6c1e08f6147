import type { DeployWork, PreviewWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Store } from '#src/engine/store.ts';
import type { Approval, DeploymentRecord } from '#src/engine/store-deployments.ts';

/**
 * A deployment's record, null as long as it hasn't begun; the images that it rolls out as far as they are known, by
 * workload and container or, where there are none, by image job; and who approved it. Throws PlatformError if the store fails.
 */
export async function deployedOf(
  store: Pick<Store, 'deployments' | 'images' | 'approvals'>,
  run: Run,
  job: Job,
): Promise<Deployed> {
  const { work } = job.plan;
  if (work.kind !== 'deploy' && work.kind !== 'preview') return { record: null, images: {}, approvals: [] };
  const record = await store.deployments.ofJob(job.id);
  const approvals = await store.approvals.of(job.id, job.attempt);
  const images = await imagesOf(store, run, work, record);
  if (record !== null) return { record, approvals, images };
  return { record, approvals, images, now: await nowOf(store, run, work) };
}

/** What the environment's last healthy deployment left there. */
async function nowOf(
  { deployments }: Pick<Store, 'deployments'>,
  { repository }: Run,
  { environment }: DeployWork | PreviewWork,
): Promise<Readonly<Record<string, string>>> {
  const last = await deployments.lastHealthy(repository.id, environment, null);
  return last?.state === 'success' ? placesOf(last) : {};
}

interface Deployed {
  readonly record: DeploymentRecord | null;
  readonly images: Readonly<Record<string, string>>;
  readonly approvals: readonly Approval[];
  /** What runs there as long as it hasn't begun, by the same keys, as far as it is known. */
  readonly now?: Readonly<Record<string, string>>;
}

function placesOf({ changes }: DeploymentRecord): Readonly<Record<string, string>> {
  const entries = changes
    .filter(({ after }) => after !== '')
    .map(({ cluster, workload, container, after }) => [placeOf(cluster ?? null, workload, container ?? null), after]);
  return Object.fromEntries(entries);
}

async function imagesOf(
  store: Pick<Store, 'images'>,
  run: Run,
  work: DeployWork | PreviewWork,
  record: DeploymentRecord | null,
): Promise<Readonly<Record<string, string>>> {
  const places = record === null ? {} : placesOf(record);
  if (Object.keys(places).length > 0) return places;
  const byJob = await imagesByJob(store, run, work, record);
  if (work.kind === 'preview' || work.rollout.length === 0) return byJob;
  const entries = work.rollout.flatMap(({ cluster, namespace, name, container, image }) => {
    const found = byJob[image];
    return found === undefined ? [] : [[placeOf(cluster, `${namespace}/${name}`, container), found]];
  });
  return Object.fromEntries(entries);
}

async function imagesByJob(
  store: Pick<Store, 'images'>,
  run: Run,
  work: DeployWork | PreviewWork,
  record: DeploymentRecord | null,
): Promise<Record<string, string>> {
  const named = { ...(work.kind === 'deploy' ? work.images : {}), ...record?.details.images };
  const found: Record<string, string> = {};
  for (const job of jobsOf(work)) {
    const image = named[job] ?? (await store.images.find(run.repository.id, run.trigger.sha, job))?.image;
    if (image !== undefined) found[job] = image;
  }
  return found;
}

/** Ids of the image jobs whose images are deployed. */
function jobsOf(work: DeployWork | PreviewWork): ReadonlySet<string> {
  if (work.kind === 'preview') return new Set(Object.values(work.images));
  return new Set([...work.rollout, ...(work.gitops?.changes ?? [])].map(({ image }) => image));
}

/** `shop/api/server`, with the cluster before it unless it is the default one. */
function placeOf(cluster: string | null, workload: string, container: string | null): string {
  return `${cluster === null ? '' : `${cluster}:`}${workload}${container === null ? '' : `/${container}`}`;
}
