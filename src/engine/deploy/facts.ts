import { type DeployFacts, type DeployVia, isAutomatic, skipsRules, type TagFact } from '#src/model/deploy/decide.ts';
import type { PeopleRules, Somebody } from '#src/model/deploy/people.ts';
import { isUnknown, type Unknown } from '#src/model/deploy/words.ts';
import { type DeployMode, noRules } from '#src/model/deploy-rules.ts';
import type { Trigger } from '#src/model/event.ts';
import { reasonOf } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { isStrange } from '#src/model/trust.ts';
import { outcomeOf } from '#src/engine/errors.ts';
import type { Parts } from '#src/engine/parts.ts';
import { authorsOf, startGate } from './approvals.ts';
import { askerOf } from './asker.ts';
import { earlierCommit } from './moved-tag.ts';
import { orderFacts } from './order.ts';
import { somebodyOf } from './permission.ts';
import { refusalsOf } from './refusals.ts';

/**
 * What the decision about a deploy job depends on, as it is now. Only what its rules need is asked for. What GitHub, git or
 * a cluster don't tell is unknown; throws PlatformError only if the store fails.
 */
export async function factsOf(parts: Parts, run: Run, job: Job, work: DeployWork): Promise<DeployFacts> {
  const { store, policy } = parts;
  const { repository, trigger } = run;
  const { environment } = work;
  const mode = modeOf(run, work);
  const asker = askerOf(run, job);
  // Who runs it again has neither the first one's locks nor their word.
  const operator = !asker.again && trigger.kind === 'deploy' && trigger.operator === true;
  const rules = skipsRules(mode) ? { ...noRules, allow: work.rules?.allow ?? null } : (work.rules ?? noRules);
  const people = { environment: rules.allow, operator: policy.deployers(repository, environment) };
  const [images, told, said, locks, person, checks, authors, tag] = await Promise.all([
    imagesOf(parts, run, work),
    rules.protect.length === 0 ? [] : succeeded(parts, run),
    rules.approvals === null ? [] : store.approvals.of(job.id, job.attempt),
    store.locks.of(repository.id),
    personOf(parts, run, people, asker, operator),
    known(parts, async () => (rules.protect.length === 0 ? [] : await parts.forge.checks(repository, trigger.sha))),
    known(parts, async () => (rules.approvals === null ? [] : await authorsOf(parts, run, job))),
    mode === 'deploy' ? tagFact(parts, run, environment) : null,
  ]);
  const order =
    rules.after.length > 0
      ? await orderFacts(parts, { repository, sha: trigger.sha, after: rules.after, images, jobId: job.id })
      : [];
  return {
    now: parts.clock.now(),
    environment,
    mode,
    via: viaOf(trigger),
    sha: trigger.sha,
    // Pull requests deploy to their previews alone.
    strange: isStrange(run) || trigger.kind === 'pull_request' || trigger.kind === 'merge_group',
    actor: asker.login,
    again: asker.again,
    operator,
    person,
    people,
    refusals: refusalsOf(parts, repository, skipsRules(mode) ? { ...work, strategy: null } : work),
    tag,
    jobs: imageJobs(work),
    images,
    protect: rules.protect,
    checks,
    told,
    pendingSince: job.gate?.pendingSince ?? null,
    windows: rules.windows,
    approval: rules.approvals,
    said: said.filter((it) => it.gate === startGate),
    authors: isUnknown(authors) || !asker.again ? authors : [trigger.actor, ...authors],
    order,
    locks,
    overLock: !asker.again && (work.overLock === true || (trigger.kind === 'deploy' && trigger.overLock === true)),
  };
}

/** Who asked for it or caused it. Where no rule looks at them, GitHub isn't asked. */
async function personOf(
  parts: Parts,
  { repository, trigger }: Run,
  people: PeopleRules,
  { login, again }: ReturnType<typeof askerOf>,
  operator: boolean,
): Promise<Somebody | Unknown> {
  // The operator's word stands above every role.
  if (operator) return { login, role: 'admin', teams: [] };
  if (isAutomatic(viaOf(trigger)) && !again && people.operator === null) return { login, role: 'none', teams: [] };
  return await known(parts, async () => {
    return await somebodyOf(parts, repository, login, [people.environment, people.operator]);
  });
}

/** What the work answers, or why it is unknown: it failed. */
async function known<T>(parts: Pick<Parts, 'log'>, work: () => Promise<T>): Promise<T | Unknown> {
  try {
    return await work();
  } catch (error) {
    parts.log.warn({ err: error }, 'what a deployment depends on could not be found out');
    return { unknown: reasonOf(outcomeOf(error)) };
  }
}

export function modeOf({ trigger }: Pick<Run, 'trigger'>, work: DeployWork): DeployMode {
  return work.mode ?? (trigger.kind === 'deploy' ? trigger.mode : undefined) ?? 'deploy';
}

export function viaOf(trigger: Trigger): DeployVia {
  if (trigger.kind === 'deploy') return trigger.via ?? 'command';
  return trigger.kind === 'tag' ? 'tag' : 'push';
}

/** Ids of the image jobs whose images it brings. */
function imageJobs({ rollout, gitops }: DeployWork): readonly string[] {
  return [...new Set([...rollout, ...(gitops?.changes ?? [])].map(({ image }) => image))];
}

/** Digests by image job: those that were named, otherwise those recorded for the commit. */
async function imagesOf(
  { store }: Pick<Parts, 'store'>,
  { repository, trigger }: Run,
  work: DeployWork,
): Promise<Readonly<Record<string, string>>> {
  const found = await Promise.all(
    imageJobs(work).map(async (job): Promise<[string, string | undefined]> => {
      const named = work.images !== undefined && Object.hasOwn(work.images, job) ? work.images[job] : undefined;
      return [job, named ?? (await store.images.find(repository.id, trigger.sha, job))?.image];
    }),
  );
  return Object.fromEntries(found.flatMap(([job, image]) => (image === undefined ? [] : [[job, image]])));
}

/** Names of this run's jobs that succeeded: checks of that name are Slipway's, and GitHub may hear of them late. */
async function succeeded({ store }: Pick<Parts, 'store'>, run: Run): Promise<readonly string[]> {
  const jobs = (await store.runs.view(run.id))?.jobs ?? [];
  return jobs.filter((job) => job.outcome?.kind === 'success').map((job) => job.plan.key);
}

const gitMs = 60_000;

async function tagFact(parts: Parts, run: Run, environment: string): Promise<TagFact | null> {
  const { trigger, repository } = run;
  const name = trigger.kind === 'tag' || trigger.kind === 'deploy' ? trigger.tag : undefined;
  if (name === undefined) return null;
  const [now, before] = await Promise.all([
    known(parts, async () => {
      const signal = AbortSignal.timeout(gitMs);
      return await parts.source.resolve(repository, `refs/tags/${name}`, signal);
    }),
    earlierCommit(parts, run, name, environment),
  ]);
  return { name, now, before };
}
