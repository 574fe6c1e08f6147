import type { Run } from '#src/model/run.ts';
import type { Parts } from '#src/engine/parts.ts';

/** Deployments of an environment among which the tag is looked for. */
const looked = 100;

/** Another commit that this tag named when Slipway saw it before the run, or null. */
export async function earlierCommit(
  { store }: Pick<Parts, 'store'>,
  { trigger, repository, id }: Run,
  tag: string,
  environment: string,
): Promise<string | null> {
  const [runs, deployments] = await Promise.all([
    // runKey of a tag's runs.
    store.runs.ofKey(repository.id, `refs/tags/${tag}`),
    store.deployments.list(repository.id, environment, looked),
  ]);
  // Ids are in the order of time: of two commits the later is the one that moved the tag.
  const other =
    runs.find((run) => run.id < id && run.trigger.sha !== trigger.sha)?.trigger.sha ??
    deployments.find((it) => it.runId < id && it.details.tag === tag && it.sha !== trigger.sha)?.sha;
  return other ?? null;
}
