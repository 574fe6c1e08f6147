import type { Strategy } from '#src/model/delivery.ts';
import { approvalText } from '#src/model/deploy/approvals.ts';
import { judgeChecks } from '#src/model/deploy/checks.ts';
import { lockInTheWay, lockText } from '#src/model/deploy/locks.ts';
import { judgeOrder } from '#src/model/deploy/order.ts';
import { isOpen, nextOpening, openingText, windowsText } from '#src/model/deploy/windows.ts';
import { list, quoted } from '#src/model/deploy/words.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import { suggestion } from '#src/model/suggest.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { Comparison } from '#src/engine/ports-forge.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { refusePerson } from './permission.ts';
import { refusalsOf } from './refusals.ts';
import { type EnvironmentStatus, whereIs } from './where.ts';

export { planText } from './plan-text.ts';

/** What a deployment of a commit to an environment would change, and what stands before it. */
export interface DeployPlan {
  readonly repository: Repository;
  readonly environment: string;
  readonly sha: string;
  readonly tag: string | null;
  /** Why nothing can be said of it, a sentence; then the rest is empty. */
  readonly problem: string | null;
  readonly current: DeploymentRecord | null;
  readonly images: readonly PlannedImage[];
  /** Fields of files elsewhere that would be set, sentences; [] where workloads are patched. */
  readonly files: readonly string[];
  /** From what is there to this commit; null: nothing is there, or GitHub doesn't tell. */
  readonly commits: Comparison | null;
  readonly conditions: readonly Condition[];
  readonly strategy: Strategy | null;
  /** Deployments that have their turn before it. */
  readonly before: number;
}

export interface PlannedImage {
  /** `namespace/name`. */
  readonly workload: string;
  readonly container: string;
  readonly cluster: string | null;
  /** Id of the image job. */
  readonly job: string;
  /** Null: nothing is known of what runs. */
  readonly now: string | null;
  /** Why the cluster didn't tell what runs, a sentence with the workload's name, or null: it did. */
  readonly why: string | null;
  /** Null: it isn't built yet. */
  readonly next: string | null;
}

/** Something that must hold. met null: isn't known, or comes once it is asked for. */
export interface Condition {
  readonly what: 'operator' | 'permission' | 'lock' | 'order' | 'checks' | 'window' | 'approvals';
  readonly met: boolean | null;
  /** A sentence. */
  readonly text: string;
}

export interface PlanRequest {
  readonly repository: Repository;
  /** Null: each that the default branch's file names. */
  readonly environment: string | null;
  readonly sha: string;
  /** '' if there is none. */
  readonly branch: string;
  readonly tag?: string;
  /** Who would deploy; null: nobody asks yet. */
  readonly by: string | null;
}

/**
 * A plan for the environment, or for all of the default branch's file. What GitHub or a cluster doesn't tell is told to
 * be unknown. Throws PlatformError if the store fails.
 */
export async function planFor(parts: Parts, request: PlanRequest, signal: AbortSignal): Promise<readonly DeployPlan[]> {
  const { repository, environment } = request;
  const statuses = await whereIs(parts, repository, signal);
  const planned = statuses.flatMap(({ spec }) => spec ?? []);
  if (environment === null) {
    return Promise.all(planned.map((spec) => planOne(parts, request, spec, statuses, signal)));
  }
  const spec = planned.find(({ name }) => name.toLowerCase() === environment.toLowerCase());
  if (spec !== undefined) return [await planOne(parts, request, spec, statuses, signal)];
  const names = planned.map(({ name }) => name);
  const choice = suggestion(environment, names) || `${repository.defaultBranch} has none.`;
  return [{ ...nothing(request, environment), problem: `There is no environment "${environment}". ${choice}` }];
}

function nothing({ repository, sha, tag }: PlanRequest, environment: string): DeployPlan {
  return {
    repository,
    environment,
    sha,
    tag: tag ?? null,
    problem: null,
    current: null,
    images: [],
    files: [],
    commits: null,
    conditions: [],
    strategy: null,
    before: 0,
  };
}

async function planOne(
  parts: Parts,
  request: PlanRequest,
  spec: EnvironmentSpec,
  statuses: readonly EnvironmentStatus[],
  signal: AbortSignal,
): Promise<DeployPlan> {
  const { repository, sha } = request;
  const status = statuses.find(({ environment }) => environment === spec.name);
  const current = status?.current ?? null;
  const built = await builtImages(parts, request, spec);
  const [images, commits, conditions] = await Promise.all([
    imagesOf(parts, spec, current, built, signal),
    current === null ? null : parts.forge.compare(repository, current.sha, sha).catch(() => null),
    conditionsOf(parts, request, spec, statuses, built),
  ]);
  const { gitops } = spec;
  return {
    ...nothing(request, spec.name),
    current,
    images: gitops ? [] : images,
    files: (gitops?.changes ?? []).map(
      ({ file, field, image }) =>
        `${field} in ${file} of ${gitops?.repository ?? ''} becomes ${built[image] ?? `what the job ${image} builds`}`,
    ),
    commits,
    conditions,
    strategy: spec.strategy,
    before: (status?.running ? 1 : 0) + (status?.queue.filter(({ position }) => position !== null).length ?? 0),
  };
}

/** By image job: what is recorded for the commit. */
async function builtImages(
  parts: Parts,
  { repository, sha }: PlanRequest,
  spec: EnvironmentSpec,
): Promise<Readonly<Record<string, string>>> {
  const jobs = [...new Set([...spec.rollout, ...(spec.gitops?.changes ?? [])].map((target) => target.image))];
  const found = await Promise.all(jobs.map((job) => parts.store.images.find(repository.id, sha, job)));
  return Object.fromEntries(found.flatMap((record) => (record ? [[record.job, record.image]] : [])));
}

const inspectMs = 5_000;

async function imagesOf(
  parts: Parts,
  spec: EnvironmentSpec,
  current: DeploymentRecord | null,
  built: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<readonly PlannedImage[]> {
  return Promise.all(
    spec.rollout.map(async (target): Promise<PlannedImage> => {
      const workload = `${target.namespace}/${target.name}`;
      const deadline = AbortSignal.timeout(inspectMs);
      let why: string | null = null;
      const live = await parts.cluster.inspect(target, AbortSignal.any([signal, deadline])).catch((error: unknown) => {
        const said = error instanceof UserError || error instanceof PlatformError ? error.message : null;
        const reason =
          said ?? (deadline.aborted ? "the cluster didn't answer within 5 s." : "the cluster couldn't be asked.");
        why = `${workload}: ${reason}`;
        return null;
      });
      signal.throwIfAborted();
      const recorded = current?.changes.find(
        (change) =>
          change.workload === workload &&
          (change.container ?? target.container) === target.container &&
          (change.cluster ?? null) === target.cluster,
      );
      const running = live?.images[target.container] ?? null;
      return {
        workload,
        container: target.container,
        cluster: target.cluster,
        job: target.image,
        now: running ?? recorded?.after ?? null,
        why: running === null && why === null ? `${workload} has no container ${quoted(target.container)}.` : why,
        next: built[target.image] ?? null,
      };
    }),
  );
}

/** In the order in which they are met. What isn't asked of this environment is left out. */
async function conditionsOf(
  parts: Parts,
  { repository, sha, by }: PlanRequest,
  spec: EnvironmentSpec,
  statuses: readonly EnvironmentStatus[],
  built: Readonly<Record<string, string>>,
): Promise<readonly Condition[]> {
  const { store, forge, clock } = parts;
  const { name, rules, rollout } = spec;
  const conditions: Condition[] = [];
  for (const text of refusalsOf(parts, repository, spec)) conditions.push({ what: 'operator', met: false, text });
  if (by !== null) {
    const refused = await known(refusePerson(parts, repository, name, rules.allow, by));
    const unknown = `GitHub doesn't say now whether @${by} may deploy here.`;
    if (refused === undefined) conditions.push({ what: 'permission', met: null, text: unknown });
    else conditions.push({ what: 'permission', met: refused === null, text: refused ?? `@${by} may deploy here.` });
  }
  const held = lockInTheWay(await store.locks.of(repository.id), name, { login: by, overLock: false, role: null });
  if (held !== null) conditions.push({ what: 'lock', met: false, text: lockText(held, name) });
  if (rules.protect.length > 0) conditions.push(await checksOf(parts, repository, sha, rules.protect));
  if (rules.windows.length > 0) {
    const now = clock.now();
    const opens = isOpen(rules.windows, now) ? null : nextOpening(rules.windows, now);
    const next = opens === null ? '' : ` The next window opens ${openingText(rules.windows, opens)}.`;
    const text = `Deployments begin ${windowsText(rules.windows)} only.${next}`;
    conditions.push({ what: 'window', met: isOpen(rules.windows, now), text });
  }
  const jobs = new Set(rollout.map((target) => target.image));
  const wanted = Object.keys(built).length === jobs.size ? built : {};
  for (const before of rules.after) {
    conditions.push(orderOf(statuses, before, wanted, sha));
  }
  if (rules.approvals !== null) {
    const authors = (await known(forge.authors(repository, sha))) ?? [];
    const excluded = [...authors, ...(by === null ? [] : [by])];
    const nobody = { given: [], rejectedBy: null, enough: false };
    conditions.push({ what: 'approvals', met: null, text: approvalText(rules.approvals, nobody, excluded) });
  }
  return conditions;
}

async function checksOf(
  { forge }: Parts,
  repository: Repository,
  sha: string,
  protect: readonly string[],
): Promise<Condition> {
  const checks = await known(forge.checks(repository, sha));
  if (checks === undefined) {
    return {
      what: 'checks',
      met: null,
      text: `GitHub doesn't say now how these checks stand: ${list(protect.map(quoted))}.`,
    };
  }
  const { bad, pending } = judgeChecks(protect, checks, []);
  if (bad.length > 0) return { what: 'checks', met: false, text: bad.join(' ') };
  if (pending.length > 0) return { what: 'checks', met: null, text: `Not succeeded yet: ${pending.join(', ')}.` };
  return { what: 'checks', met: true, text: `Succeeded: ${list(protect.map(quoted))}.` };
}

function orderOf(
  statuses: readonly EnvironmentStatus[],
  before: string,
  wanted: Readonly<Record<string, string>>,
  sha: string,
): Condition {
  const status = statuses.find(({ environment }) => environment.toLowerCase() === before.toLowerCase());
  const current = status?.current ?? null;
  const { kind = 'unknown', message = '' } = status?.health ?? {};
  const trouble = kind === 'healthy' ? null : kind === 'unhealthy' ? `${message}.` : { unknown: `${message}.` };
  const verdict = judgeOrder(
    {
      environment: before,
      coming: false,
      there:
        current === null
          ? null
          : { sha: current.sha, tag: current.details.tag ?? null, images: current.details.images ?? {}, trouble },
    },
    wanted,
    sha,
  );
  if (verdict.kind === 'go') return { what: 'order', met: true, text: `${before} is healthy with these images.` };
  const met = verdict.kind === 'unknown' ? null : false;
  return { what: 'order', met, text: `It must be healthy in ${before} first. ${verdict.reason}` };
}

/** Undefined if GitHub doesn't tell. */
async function known<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch(() => undefined);
}
