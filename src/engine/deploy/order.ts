import type { DeployFacts } from '#src/model/deploy/decide.ts';
import type { OrderFact, There } from '#src/model/deploy/order.ts';
import { sameName } from '#src/model/deploy/locks.ts';
import type { Unknown } from '#src/model/deploy/words.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { environmentOf, healthOf } from './where.ts';

export interface OrderQuestion {
  readonly repository: Repository;
  readonly sha: string;
  /** Environments that come before. */
  readonly after: readonly string[];
  /** What is to be deployed, by image job. */
  readonly images: Readonly<Record<string, string>>;
  /** The deploy job that asks, or null. */
  readonly jobId: string | null;
}

/** What the environments that come before run now, as their clusters say. Throws PlatformError only if the store fails. */
export async function orderFacts(parts: Parts, question: OrderQuestion): Promise<DeployFacts['order']> {
  const { store } = parts;
  const { repository, after } = question;
  const deploying = await store.runs.deploying(repository.id);
  return await Promise.all(
    [...new Set(after)].map(async (environment): Promise<OrderFact> => {
      const theirs = deploying.filter(({ job }) => sameName(environmentOf(job) ?? '', environment));
      const coming = theirs.some(({ run, job }) => run.trigger.sha === question.sha && job.id !== question.jobId);
      const changing = theirs.some(({ job }) => job.state === 'running');
      const last = await store.deployments.lastHealthy(repository.id, environment, null);
      if (last?.state !== 'success') return { environment, coming, there: null };
      return { environment, coming, there: await thereOf(parts, last, question.images, changing) };
    }),
  );
}

async function thereOf(
  parts: Parts,
  current: DeploymentRecord,
  wanted: Readonly<Record<string, string>>,
  changing: boolean,
): Promise<There> {
  const { sha, details } = current;
  const trouble = await troubleOf(parts, current, changing);
  return { sha, tag: details.tag ?? null, images: details.images ?? rolledOut(current, wanted), trouble };
}

async function troubleOf(parts: Parts, current: DeploymentRecord, changing: boolean): Promise<string | null | Unknown> {
  // Whatever brings it from there to a cluster isn't seen from here.
  if (current.details.gitops) return null;
  if (changing) return 'another deployment to it is under way.';
  // Each workload is given up after a few seconds.
  const health = await healthOf(parts, { current, spec: null, changing }, new AbortController().signal);
  const message = `${health.message.replace(/\.$/, '')}.`;
  if (health.kind === 'unknown') return { unknown: message };
  return health.kind === 'healthy' ? null : message;
}

/** A record of an older version has no names of image jobs: what is wanted and was rolled out there is meant. */
function rolledOut(
  { changes }: DeploymentRecord,
  wanted: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(wanted).filter(([, image]) => changes.some((it) => it.after === image)));
}
