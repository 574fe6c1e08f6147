import { codeSpan } from '#src/model/harmless.ts';
import type { Run } from '#src/model/run.ts';
import type { Parts } from '#src/engine/parts.ts';

/** Deployments of an environment among which the tag is looked for. */
const looked = 100;

/**
 * Why what a tag or a release deploys by itself to this environment isn't deployed: the tag named another commit when
 * Slipway saw it before. Null if it didn't, or if somebody asked for the tag by name.
 */
export async function movedTag(
  parts: Pick<Parts, 'store'>,
  { trigger, repository, id }: Run,
  environment: string,
): Promise<string | null> {
  const byRelease = trigger.kind === 'deploy' && trigger.via === 'release' && trigger.mode !== 'rollback';
  const tag = trigger.kind === 'tag' || byRelease ? trigger.tag : undefined;
  if (tag === undefined) return null;
  const [runs, deployments] = await Promise.all([
    // runKey of a tag's runs.
    parts.store.runs.ofKey(repository.id, `refs/tags/${tag}`),
    parts.store.deployments.list(repository.id, environment, looked),
  ]);
  // Ids are in the order of time: of two commits the later is the one that moved the tag.
  const other =
    runs.find((run) => run.id < id && run.trigger.sha !== trigger.sha)?.trigger.sha ??
    deployments.find((it) => it.runId < id && it.details.tag === tag && it.sha !== trigger.sha)?.sha;
  if (other === undefined) return null;
  return `The tag ${codeSpan(tag)} was moved: it named ${other} when Slipway saw it before, and names ${trigger.sha} now. If that is meant, deploy it by name: \`/deploy ${environment} ${tag.replaceAll('`', '')}\`.`;
}
