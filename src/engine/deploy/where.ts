import { environmentGroup, isPreview } from '#src/model/concurrency.ts';
import { locksOn } from '#src/model/deploy/locks.ts';
import { UserError } from '#src/model/outcome.ts';
import type { EnvironmentSpec, RolloutTarget } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { type Health, workloadHealth, worstHealth } from '#src/model/workload-health.ts';
import { environmentsOf } from '#src/engine/load-plan.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { DeploymentRecord, Lock } from '#src/engine/store-deployments.ts';

export { whereText } from './where-text.ts';

/** What is where, and what comes next there. */
export interface EnvironmentStatus {
  readonly environment: string;
  /** As the default branch's file has it; null: it names it no more, or can't be read. */
  readonly spec: EnvironmentSpec | null;
  /** The last that succeeded, if it is still what the environment has. */
  readonly current: DeploymentRecord | null;
  /** The deployment whose turn it is. */
  readonly running: { readonly run: Run; readonly job: Job } | null;
  /** In the order of their turns; `position` 1 is next, null: it doesn't stand in the line yet (it waits for its needs, or approval). */
  readonly queue: readonly { readonly run: Run; readonly job: Job; readonly position: number | null }[];
  /** The environment's, else the repository's. */
  readonly lock: Lock | null;
  readonly health: Health;
}

type WhereParts = Pick<Parts, 'source' | 'store' | 'cluster' | 'clock' | 'log'>;

const inspectMs = 5_000;
const fileMs = 10_000;

/**
 * Each environment of the default branch's file and each to which something is deployed (previews too), in the file's
 * order, previews last. What a cluster doesn't tell within 5 s is unknown. Not `live`: neither the file nor a cluster is asked.
 * `specs`: what the file has, if that is known.
 * Throws PlatformError only if the store fails.
 */
export async function whereIs(
  parts: WhereParts,
  repository: Repository,
  signal: AbortSignal,
  { live = true, specs: known }: { readonly live?: boolean; readonly specs?: readonly EnvironmentSpec[] } = {},
): Promise<readonly EnvironmentStatus[]> {
  const { store } = parts;
  const [specs, names, previews, deploying, locks] = await Promise.all([
    known ?? (live ? specsOf(parts, repository, signal) : []),
    store.deployments.environments(repository.id),
    store.deployments.previews(),
    store.runs.deploying(repository.id),
    store.locks.of(repository.id),
  ]);
  const named = new Map<string, { name: string; spec: EnvironmentSpec | null }>();
  const there = [
    // Of those that ever were, only a few are there.
    ...names.filter((name) => !isPreview(name)),
    ...previews.filter((one) => one.repositoryId === repository.id).map((one) => one.environment),
    ...deploying.flatMap(({ job }) => environmentOf(job) ?? []),
  ];
  for (const name of there) named.set(name.toLowerCase(), { name, spec: null });
  for (const spec of specs) named.set(spec.name.toLowerCase(), { name: spec.name, spec });

  const all = await Promise.all(
    [...named].map(async ([key, { name, spec }]): Promise<EnvironmentStatus | null> => {
      const theirs = deploying.filter(({ job }) => environmentOf(job)?.toLowerCase() === key);
      const [last, line] = await Promise.all([
        store.deployments.lastHealthy(repository.id, name, null),
        store.groups.line(repository.id, environmentGroup(name)),
      ]);
      const current = last?.state === 'success' ? last : null;
      // A preview that was removed isn't anywhere.
      if (isPreview(name) && current === null && theirs.length === 0) return null;
      const holder = line.find((entry) => entry.holds)?.holder;
      const running =
        theirs.find(({ job }) => `job:${job.id}` === holder) ??
        theirs.find(({ job }) => job.state === 'running') ??
        null;
      const waiting = line.filter((entry) => !entry.holds).map((entry) => entry.holder);
      const queue = theirs
        .filter((one) => one !== running)
        .map((one) => {
          const index = waiting.indexOf(`job:${one.job.id}`);
          return { ...one, position: index === -1 ? null : index + 1 };
        })
        .sort((a, b) => (a.position ?? Infinity) - (b.position ?? Infinity) || 0);
      const health = live
        ? await healthOf(parts, { current, spec, changing: running !== null }, signal)
        : ({ kind: 'unknown', message: '' } as const);
      return { environment: name, spec, current, running, queue, lock: locksOn(locks, name)[0] ?? null, health };
    }),
  );
  return all.filter((status) => status !== null).sort(inOrder(specs.map(({ name }) => name)));
}

/** As the file has them, then what it doesn't name, then previews; each by name. */
function inOrder(names: readonly string[]): (a: EnvironmentStatus, b: EnvironmentStatus) => number {
  const key = ({ environment, spec }: EnvironmentStatus) => {
    const place = spec === null ? names.length : names.indexOf(spec.name);
    return `${isPreview(environment) ? 1 : 0} ${`${place}`.padStart(6, '0')} ${environment.toLowerCase()}`;
  };
  return (a, b) => (key(a) < key(b) ? -1 : 1);
}

export function environmentOf(job: Job): string | null {
  const { work } = job.plan;
  return work.kind === 'deploy' || work.kind === 'preview' ? work.environment : null;
}

/** What the file has; nothing if it has mistakes, or GitHub is away: then what was deployed tells what there is. */
export async function specsOf(
  parts: Pick<Parts, 'source' | 'log'>,
  repository: Repository,
  signal: AbortSignal,
): Promise<readonly EnvironmentSpec[]> {
  try {
    const loaded = await environmentsOf(parts, repository, AbortSignal.any([signal, AbortSignal.timeout(fileMs)]));
    return loaded.kind === 'environments' ? loaded.environments : [];
  } catch (error) {
    signal.throwIfAborted();
    parts.log.warn({ err: error, repository: repository.id }, "environments are shown without the pipeline file's");
    return [];
  }
}

export async function healthOf(
  parts: WhereParts,
  status: Pick<EnvironmentStatus, 'current' | 'spec'> & { readonly changing: boolean },
  signal: AbortSignal,
): Promise<Health> {
  const { current, spec, changing } = status;
  if (current === null) return { kind: 'unknown', message: 'nothing was deployed there yet' };
  if (current.details.gitops || spec?.gitops) {
    return {
      kind: 'unknown',
      message: `it is deployed by commits in ${spec?.gitops?.repository ?? 'another repository'}`,
    };
  }
  const targets = targetsOf(current, spec);
  return worstHealth(
    await Promise.all(
      targets.map(async (target): Promise<Health> => {
        const deadline = AbortSignal.timeout(inspectMs);
        try {
          const state = await parts.cluster.inspect(target, AbortSignal.any([signal, deadline]));
          return workloadHealth(state, changing ? null : expectedOf(current, target));
        } catch (error) {
          signal.throwIfAborted();
          const name = `${target.namespace}/${target.name}`;
          if (deadline.aborted) return { kind: 'unknown', message: `${name}: the cluster didn't answer within 5 s` };
          const why = error instanceof UserError ? error.message : "the cluster couldn't be asked";
          return { kind: 'unknown', message: `${name}: ${why.replace(/\.$/, '')}` };
        }
      }),
    ),
  );
}

/** One target of each workload. */
function targetsOf(current: DeploymentRecord, spec: EnvironmentSpec | null): readonly RolloutTarget[] {
  const recorded = current.changes.flatMap(({ workload, kind, container, cluster = null }): RolloutTarget[] => {
    const [namespace, name] = workload.split('/');
    if (kind === undefined || container === undefined || namespace === undefined || name === undefined) return [];
    return [{ kind, cluster, namespace, name, container, image: '' }];
  });
  const all = current.details.rollout ?? (recorded.length > 0 ? recorded : (spec?.rollout ?? []));
  const key = (t: RolloutTarget) => `${t.cluster ?? ''} ${t.kind} ${t.namespace}/${t.name}`;
  return [...new Map(all.map((target) => [key(target), target])).values()];
}

/** Images by container as the cluster took them. */
function expectedOf(current: DeploymentRecord, target: RolloutTarget): Readonly<Record<string, string>> {
  return Object.fromEntries(
    current.changes
      .filter(
        ({ workload, kind = target.kind, cluster = target.cluster }) =>
          workload === `${target.namespace}/${target.name}` && kind === target.kind && cluster === target.cluster,
      )
      .flatMap(({ container, set, after }) => (container === undefined ? [] : [[container, set?.image ?? after]])),
  );
}
