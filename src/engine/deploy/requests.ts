import { type DeployMode, noRules } from '#src/model/deploy-rules.ts';
import { rollbackTarget } from '#src/model/deploy/rollback-target.ts';
import { imageJobs } from '#src/model/environment.ts';
import type { DeployTrigger } from '#src/model/event.ts';
import { quoted } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec, RolloutTarget } from '#src/model/pipeline.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { list } from '#src/model/suggest.ts';
import type { Run } from '#src/model/run.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { allowedNow, environmentCalled, guess, knownEnvironments, nameAmong } from './environment.ts';
import { refuseNow, type Wish } from './gate.ts';
import { pushRefusals, refusalsOf } from './refusals.ts';

/** Who asks for a deployment, and by what. `operator`: the server's own command line, which needs no role on GitHub. */
export interface Asker {
  readonly login: string;
  readonly via: 'command' | 'button' | 'api';
  readonly operator?: boolean;
}

/** `message`: Markdown for whoever asked. */
export type Requested =
  | { readonly kind: 'accepted'; readonly runId: string; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string };

export interface DeployAsk {
  readonly repository: Repository;
  readonly environment: string;
  readonly by: Asker;
  readonly commit: {
    readonly sha: string;
    /** Fully qualified ref from which the commit can be fetched. */
    readonly ref: string;
    /** '' if the commit was named by a tag or a SHA. */
    readonly branch: string;
    readonly tag?: string;
    readonly title: string;
  };
  /** The pull request where it is asked for, or null. */
  readonly number: number | null;
  /** Makes each request one deployment: with the same it is made once. */
  readonly request: string;
  readonly params?: Readonly<Record<string, string>>;
}

export interface RollbackAsk {
  readonly repository: Repository;
  readonly environment: string;
  /** How many healthy deployments back, a SHA or a tag; null: the last healthy one. */
  readonly to: string | null;
  readonly by: Asker;
  readonly number: number | null;
  readonly request: string;
  /** A maintainer goes over the lock. */
  readonly overLock: boolean;
}

export interface PromoteAsk {
  readonly repository: Repository;
  readonly from: string;
  readonly to: string;
  readonly by: Asker;
  readonly number: number | null;
  readonly request: string;
}

type Wake = (runId: string) => Promise<void>;

/** Deploys a commit to an environment, or says why not; audited either way. Throws PlatformError if that can't be found out. */
export async function requestDeploy(parts: Parts, ask: DeployAsk, wake: Wake): Promise<Requested> {
  const { repository, commit, number, request, params } = ask;
  return await settled(parts, { ...ask, mode: 'deploy', subject: ask.environment }, wake, async () => {
    const spec = environmentCalled(await knownEnvironments(parts, repository), ask.environment, repository);
    const images = await builtImages(parts, repository, commit.sha, spec);
    const pushes = await pushRefusals(parts, repository, commit, { jobs: imageJobs(spec), built: images });
    const refusals = [...refusalsOf(parts, repository, spec), ...pushes];
    await refuse(parts, wishOf(ask, spec, { mode: 'deploy', sha: commit.sha, images, refusals }));
    return {
      ...triggerOf(ask, 'deploy', spec.name),
      sha: commit.sha,
      ref: commit.ref,
      branch: commit.branch,
      title: commit.title,
      number,
      request,
      ...(commit.tag === undefined ? {} : { tag: commit.tag }),
      ...(params === undefined || Object.keys(params).length === 0 ? {} : { params }),
    };
  });
}

/** Deployments among which the one to restore is looked for. */
const remembered = 200;

/**
 * Restores the digests of an earlier healthy deployment. As requestDeploy. Everything is known from the store: a rollback
 * waits neither for git, but for a moment to learn who may, nor for what is deployed there now, which ends.
 */
export async function requestRollback(parts: Parts, ask: RollbackAsk, wake: Wake): Promise<Requested> {
  const { repository, number, request, overLock } = ask;
  const { deployments } = parts.store;
  return await settled(parts, { ...ask, mode: 'rollback', subject: ask.environment }, wake, async () => {
    const known = await deployments.environments(repository.id);
    const environment = nameAmong(known, ask.environment);
    if (environment === null || environment.startsWith('preview/')) {
      const names = known.filter((name) => !name.startsWith('preview/'));
      throw new UserError(
        `Nothing was deployed to an environment ${quoted(ask.environment)} before. ${names.length === 0 ? '' : guess(ask.environment, names).replace('It has', 'There is')}`.trim(),
      );
    }
    const [history, now] = await Promise.all([
      deployments.list(repository.id, environment, remembered),
      allowedNow(parts, repository, environment),
    ]);
    const target = rollbackTarget(history, ask.to);
    if (target.kind === 'none') throw new UserError(target.message);
    const { record } = target;
    const { rollout, images } = restored(record);
    const { allow = null } = now ?? (history[0] ?? record).details;
    const work = (await parts.store.runs.job(record.jobId))?.plan.work;
    const refusals = refusalsOf(parts, repository, {
      rollout,
      gitops: work?.kind === 'deploy' ? (work.gitops ?? null) : null,
    });
    const what = { mode: 'rollback', sha: record.sha, images, refusals } as const;
    const wish = wishOf(ask, { name: environment, allow }, what);
    await refuse(parts, overLock ? { ...wish, overLock } : wish);
    await refuseSecond(parts, repository, environment, ask.to);
    await endOthers(parts, repository, environment, ask, wake);
    return {
      ...triggerOf(ask, 'rollback', environment),
      ...(await commitOf(parts, record, repository)),
      number,
      request,
      restore: { deployment: record.id, images, rollout, allow },
      ...(overLock ? { overLock } : {}),
    };
  });
}

/** Deploys to `to` the digests that are healthy in `from` now. As requestDeploy. */
export async function requestPromote(parts: Parts, ask: PromoteAsk, wake: Wake): Promise<Requested> {
  const { repository, number, request } = ask;
  const subject = `${ask.from} to ${ask.to}`;
  return await settled(parts, { ...ask, environment: ask.to, mode: 'promote', subject }, wake, async () => {
    const environments = await knownEnvironments(parts, repository);
    const from = environmentCalled(environments, ask.from, repository);
    const to = environmentCalled(environments, ask.to, repository);
    if (from === to) throw new UserError(`${quoted(from.name)} is promoted to another environment, not to itself.`);
    const record = await parts.store.deployments.lastHealthy(repository.id, from.name, null);
    if (record?.state !== 'success') {
      throw new UserError(
        `Nothing healthy runs in ${quoted(from.name)} by Slipway now, so there is nothing to promote.`,
      );
    }
    const images = record.details.images ?? {};
    const missing = imageJobs(to).filter((image) => !Object.hasOwn(images, image));
    if (missing.length > 0) {
      const names = list(missing.map(quoted));
      throw new UserError(
        `${quoted(to.name)} rolls out ${names}, of which no image was deployed to ${quoted(from.name)}. Deploy the commit by itself: \`/deploy ${to.name} ${record.sha}\`.`,
      );
    }
    const refusals = refusalsOf(parts, repository, to);
    await refuse(parts, wishOf(ask, to, { mode: 'promote', sha: record.sha, images, refusals }));
    return {
      ...triggerOf(ask, 'promote', to.name),
      ...(await commitOf(parts, record, repository)),
      number,
      request,
      restore: { deployment: record.id, images },
    };
  });
}

/** Makes the run, once for each request, and the audit record of what was decided. */
async function settled(
  parts: Parts,
  ask: {
    readonly repository: Repository;
    readonly environment: string;
    readonly by: Asker;
    readonly number: number | null;
    readonly request: string;
    readonly mode: DeployMode;
    readonly subject: string;
  },
  wake: Wake,
  decide: () => Promise<DeployTrigger>,
): Promise<Requested> {
  const { repository, by, number, mode, subject } = ask;
  const before = await askedBefore(parts, ask);
  if (before !== null) return before;
  const audit = async (decision: 'allowed' | 'refused', reason: string): Promise<void> =>
    await parts.store.audit.append({
      at: parts.clock.now(),
      actor: by.login,
      action: `${mode} ${by.via}`,
      repository: fullName(repository),
      subject,
      decision,
      reason,
    });
  let trigger: DeployTrigger;
  try {
    trigger = await decide();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    await audit('refused', error.message);
    return { kind: 'refused', message: error.message };
  }
  const { run, created } = await parts.store.runs.create({
    repository,
    trigger,
    pullRequest: number,
    at: parts.clock.now(),
  });
  void wake(run.id);
  if (created) {
    const over = trigger.overLock ? ' The lock, if there is one, is gone over.' : '';
    await audit('allowed', `Asked for ${number === null ? `by ${by.via}` : `in #${number}`}: ${trigger.sha}.${over}`);
    parts.log.info({ run: run.id, environment: trigger.environment, mode, by: by.login }, 'a deployment was asked for');
  }
  return accepted(parts, run);
}

function accepted(parts: Parts, run: Run): Requested {
  const { trigger } = run;
  const environment = trigger.kind === 'deploy' ? trigger.environment : '';
  const verb = trigger.kind === 'deploy' && trigger.mode === 'rollback' ? 'Rolls back' : 'Deploys to';
  const message = `${verb} ${quoted(environment)}: \`${trigger.sha.slice(0, 12)}\`, [run ${run.id}](${parts.runUrl(run)}).`;
  return { kind: 'accepted', runId: run.id, message };
}

/** What the same request was answered before, if it made a run: maybe of another commit, because things have changed since. */
export async function askedBefore(
  parts: Parts,
  ask: Pick<DeployAsk, 'repository' | 'environment' | 'request'>,
): Promise<Requested | null> {
  // runKey of its run.
  const [run] = await parts.store.runs.ofKey(
    ask.repository.id,
    `deploy/${ask.environment.toLowerCase()}/${ask.request}`,
  );
  return run === undefined ? null : accepted(parts, run);
}

function wishOf(
  ask: { readonly repository: Repository; readonly by: Asker },
  environment: EnvironmentSpec | { readonly name: string; readonly allow: Wish['rules']['allow'] },
  what: Pick<Wish, 'mode' | 'sha' | 'images' | 'refusals'>,
): Wish {
  const { by, repository } = ask;
  const rules = 'rules' in environment ? environment.rules : { ...noRules, allow: environment.allow };
  const { login, via, operator } = by;
  const jobs = 'rollout' in environment ? imageJobs(environment) : undefined;
  const wish = { ...what, repository, environment: environment.name, rules, login, via, ...(jobs ? { jobs } : {}) };
  return operator === true ? { ...wish, operator } : wish;
}

/** UserError if it can't be deployed now. */
async function refuse(parts: Parts, wish: Wish): Promise<void> {
  const refusal = await refuseNow(parts, wish);
  if (refusal !== null) throw new UserError(refusal);
}

function triggerOf({ by }: { readonly by: Asker }, mode: DeployMode, environment: string) {
  const { login: actor, via, operator } = by;
  const trigger = { kind: 'deploy', environment, actor, mode, via } as const;
  return operator === true ? { ...trigger, operator } : trigger;
}

/** The commit of an earlier deployment, for the run that repeats its digests. */
async function commitOf(
  parts: Parts,
  { runId, sha, details }: DeploymentRecord,
  repository: Repository,
): Promise<Pick<DeployTrigger, 'sha' | 'ref' | 'branch' | 'tag' | 'title'>> {
  const { branch = '', tag, number, title = '' } = details;
  // Runs are kept for a time.
  const run = await parts.store.runs.get(runId);
  const named = tag !== undefined ? `refs/tags/${tag}` : branch !== '' ? `refs/heads/${branch}` : null;
  const pull = typeof number === 'number' ? `refs/pull/${number}/head` : null;
  const ref = run?.trigger.ref ?? named ?? pull ?? `refs/heads/${repository.defaultBranch}`;
  return { sha, ref, branch, title, ...(tag === undefined ? {} : { tag }) };
}

/** Digests by image job of the commit, as far as they are built. */
async function builtImages(
  parts: Parts,
  repository: Repository,
  sha: string,
  environment: EnvironmentSpec,
): Promise<Readonly<Record<string, string>>> {
  const found = await Promise.all(
    imageJobs(environment).map((job) => parts.store.images.find(repository.id, sha, job)),
  );
  return Object.fromEntries(found.flatMap((image) => (image === null ? [] : [[image.job, image.image]])));
}

/** What the deployment rolled out. A record of an older version has only what became of the workloads. */
function restored({ details, changes, environment }: DeploymentRecord): {
  readonly rollout: readonly RolloutTarget[];
  readonly images: Readonly<Record<string, string>>;
} {
  if (details.rollout !== undefined && details.images !== undefined) {
    return { rollout: details.rollout, images: details.images };
  }
  const images: Record<string, string> = {};
  const rollout = changes.map(({ workload, container, kind, cluster, after }, index) => {
    const [namespace, name] = workload.split('/');
    if (container === undefined || kind === undefined || namespace === undefined || name === undefined) {
      throw new UserError(
        `An older version of Slipway made that deployment to ${quoted(environment)}, and didn't write down what of it can be restored. Deploy the commit again.`,
      );
    }
    const image = `image-${index + 1}`;
    images[image] = after;
    return { kind, cluster: cluster ?? null, namespace, name, container, image };
  });
  return { rollout, images };
}

/**
 * Two people see the same trouble: the second "back" must not lead to what the first one leaves, which is the last healthy one
 * until the other is. Steps back aren't sure either then. UserError if so.
 */
async function refuseSecond(
  parts: Parts,
  repository: Repository,
  environment: string,
  to: string | null,
): Promise<void> {
  if (to !== null && !/^\d{1,3}$/.test(to)) return;
  const others = await parts.store.runs.deploying(repository.id);
  const first = others.find(
    ({ run, job }) =>
      run.trigger.kind === 'deploy' &&
      run.trigger.mode === 'rollback' &&
      job.cancel === null &&
      job.plan.work.kind === 'deploy' &&
      job.plan.work.environment === environment,
  );
  if (first === undefined) return;
  const { sha, actor } = first.run.trigger;
  throw new UserError(
    `${quoted(environment)} is being rolled back already, to ${sha.slice(0, 7)}, as @${actor} asked: [run ${first.run.id}](${parts.runUrl(first.run)}). To go elsewhere, name the commit or tag: \`/rollback ${environment} SHA\`.`,
  );
}

/** What is deployed to the environment, or waits for it, ends: a rollback that waits helps nobody. */
async function endOthers(
  parts: Parts,
  repository: Repository,
  environment: string,
  { by }: RollbackAsk,
  wake: Wake,
): Promise<void> {
  const reason = `Cancelled by @${by.login}, who rolls ${environment} back.`;
  const others = await parts.store.runs.deploying(repository.id);
  await Promise.all(
    others
      .filter(({ job }) => job.plan.work.kind === 'deploy' && job.plan.work.environment === environment)
      .map(async ({ run, job }) => {
        await parts.store.runs.cancelJob(job.id, { reason, by: 'person' });
        parts.store.signals.send('run', run.id);
        void wake(run.id);
      }),
  );
}
