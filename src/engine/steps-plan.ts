import type { StepsProgress, StepsWorkload } from '#src/model/delivery.ts';
import { type Outcome, PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { besideName, firstPhase, otherSelector, stepsOf } from '#src/model/steps.ts';
import { findCheckJobs } from './checks.ts';
import { planRollout } from './rollout.ts';
import { type Unit, unitsOf } from './rollout-book.ts';
import { deadlineSince, persist, type RolloutTime } from './rollout-time.ts';
import { messageOf, nameOf, short } from './rollout-words.ts';
import type { StepsRequest } from './steps.ts';

type Request = StepsRequest & { readonly time: RolloutTime };

/** What a rollout by steps begins with, or why it doesn't. Everything that can be wrong is found before anything changes. */
export async function planSteps(request: Request): Promise<StepsProgress | { readonly outcome: Outcome }> {
  const { items, leave } = request;
  const units = unitsOf(items.map(({ target }) => target));
  const refused = await refusal(request, units);
  if (refused !== null) return { outcome: { kind: 'failure', reason: refused } };
  const changes = await planRollout(request);
  if ('outcome' in changes) return changes;
  try {
    return await scaled(request, units, changes);
  } catch (error) {
    leave.throwIfAborted();
    if (request.signal.aborted) return { outcome: { kind: 'cancelled', reason: messageOf(request.signal.reason) } };
    const kind = error instanceof UserError ? 'failure' : 'broken';
    return { outcome: { kind, reason: messageOf(error) } };
  }
}

/** Why this can't be rolled out by these steps, in one sentence; null if it can. */
async function refusal(request: Request, units: readonly Unit[]): Promise<string | null> {
  const { strategy, parts, run, job, work } = request;
  for (const { target } of units) {
    if (target.kind === 'rollout') {
      return `${nameOf(target)} is an Argo Rollout, which has steps of its own: take steps out of the environment, or put them into the Rollout's spec.strategy.`;
    }
    if (target.kind === 'statefulset' || target.kind === 'daemonset') {
      return `${nameOf(target)} is a ${target.kind}, of which there can't be two beside each other: only Deployments and DeploymentConfigs are rolled out by steps. Take it out of the environment's rollout, or the steps.`;
    }
    if (strategy.kind === 'blue-green' && target.namespace !== strategy.service.namespace) {
      return `${nameOf(target)} isn't in the namespace of the Service ${strategy.service.namespace}/${strategy.service.name}, so that one can't be switched to its pods.`;
    }
  }
  if (strategy.kind === 'blue-green' && new Set(units.map(({ target }) => target.cluster)).size > 1) {
    return 'Workloads of several clusters have no Service in common: blue-green takes those of one.';
  }
  for (const [index, step] of stepsOf(strategy).entries()) {
    if (step.kind === 'probe') {
      const refused = parts.policy.refuseProbe(run.repository, step.url);
      if (refused !== null) return refused;
    }
    if (step.kind === 'prometheus') {
      const refused = parts.policy.refuseMetrics(run.repository, step.server);
      if (refused !== null) return refused;
    }
    if (step.kind === 'job') {
      const jobs = await findCheckJobs(request, index + 1);
      if (jobs.length === 0) {
        return `The check "${step.job}" of step ${index + 1} isn't in this run, so ${work.environment} can't be deployed by "${job.plan.key}". Ask for the deployment again.`;
      }
    }
  }
  return null;
}

async function scaled(
  request: Request,
  units: readonly Unit[],
  changes: readonly RolloutChange[],
): Promise<StepsProgress> {
  const { parts, clock, time, timeoutMs, strategy, items, job, onProgress } = request;
  const signal = AbortSignal.any([request.signal, request.leave]);
  const until = { deadline: deadlineSince(clock.now(), timeoutMs, clock, time), time, signal };
  const ask = <T>(what: () => Promise<T>): Promise<T> => {
    return persist(
      async () => {
        return await what().catch((error: unknown) => {
          // A mistake in the operator's files doesn't pass while nothing else has begun.
          if (error instanceof PlatformError && error.retry === 'never')
            throw new Error(error.message, { cause: error });
          throw error;
        });
      },
      until,
      (it) => onProgress(short(it)),
    );
  };
  const said: string[] = [];
  const workloads = await Promise.all(
    units.map(async ({ target, places }): Promise<StepsWorkload> => {
      const images = Object.fromEntries(
        places.map((at) => [items[at]?.target.container ?? '', items[at]?.image ?? '']),
      );
      const { replicas, autoscaled } = await ask(() => parts.canaries.scaleOf(target, signal));
      if (autoscaled && strategy.kind === 'blue-green') {
        throw new UserError(
          `An autoscaler decides on the replicas of ${nameOf(target)}, or Slipway may not see whether one does (list horizontalpodautoscalers): while the Service leads to the green pods it would take away the idle stable ones, which are to serve again at the end. Use steps in place of blue-green.`,
        );
      }
      const isSame = places.every((at) => changes[at]?.before === changes[at]?.after);
      if (replicas === 0) said.push(`${nameOf(target)} has 0 replicas, so it was rolled without steps.`);
      else if (isSame) said.push(`${nameOf(target)} runs these images already, so it was rolled without steps.`);
      const now = await ask(() => parts.canaries.state(target, target.name, signal));
      const dead = now?.available === 0 && replicas > 0 ? ({ dead: true } as const) : {};
      const beside = besideName(target.name, strategy.kind);
      return { target, images, replicas: isSame ? 0 : replicas, autoscaled, ...dead, beside };
    }),
  );
  const progress: StepsProgress = {
    attempt: job.attempt,
    step: 0,
    since: clock.now(),
    phase: firstPhase(strategy),
    workloads,
    changes,
    notes: {},
    said: said.toSorted(),
  };
  if (strategy.kind === 'canary') return progress;
  const service = { ...strategy.service, cluster: units[0]?.target.cluster ?? null };
  const from = await ask(() => parts.canaries.selector(service, signal));
  const name = `${service.namespace}/${service.name}`;
  if (Object.keys(from).length === 0) {
    throw new UserError(`The Service ${name} has no selector, so it can't be switched from some pods to others.`);
  }
  if (Object.values(from).some((it) => it.endsWith('-slipway-green'))) {
    throw new UserError(
      `The Service ${name} still selects the green pods of an earlier rollout (${JSON.stringify(from)}). Set its selector back to the stable pods first: kubectl edit service/${service.name} -n ${service.namespace}`,
    );
  }
  return { ...progress, selector: { from, to: otherSelector(from) } };
}
