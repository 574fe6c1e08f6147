import type { StepsProgress, StepsWorkload, Strategy } from '#src/model/delivery.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { besideName } from '#src/model/steps.ts';
import type { RolloutResult } from './rollout.ts';
import { unitsOf } from './rollout-book.ts';
import { deadlineSince, realTime } from './rollout-time.ts';
import { messageOf, nameOf } from './rollout-words.ts';
import type { StepsRequest } from './steps.ts';
import { openStepsBook, type Stepping } from './steps-book.ts';
import { runPhase } from './steps-moves.ts';
import { ask, type Turn } from './steps-turn.ts';

/**
 * After a plain rollout of workloads that are usually rolled by steps: what an earlier rollout, which nobody could take back,
 * left beside them still serves its own version. It goes, once the workloads have all the pods that they had before it; as
 * long as it doesn't, the rollout is no success. Throws only the reason of `leave`.
 */
export async function clearLeft(
  given: StepsRequest,
  done: RolloutResult,
  isMeant: (target: RolloutTarget) => boolean = () => true,
): Promise<RolloutResult> {
  if (done.outcome.kind !== 'success') return done;
  const { clock, leave, timeoutMs, time = realTime, items, job } = given;
  const begin: StepsProgress = {
    attempt: job.attempt,
    step: 0,
    since: clock.now(),
    phase: 'aborting',
    workloads: [],
    changes: done.changes,
    notes: {},
    said: [],
  };
  const request = { ...given, time, begun: done.changes, report: () => {}, save: async () => {} };
  const deadline = deadlineSince(begin.since, timeoutMs, clock, time);
  const stepping: Stepping = { ...request, book: openStepsBook(request, begin) };
  try {
    const workloads: StepsWorkload[] = [];
    for (const { target, places } of unitsOf(items.map((it) => it.target))) {
      if (!isMeant(target) || (target.kind !== 'deployment' && target.kind !== 'deploymentconfig')) continue;
      const images = Object.fromEntries(
        places.map((at) => [items[at]?.target.container ?? '', items[at]?.image ?? '']),
      );
      for (const kind of ['canary', 'blue-green'] as const) {
        const left = await leftBeside(stepping, { signal: leave, deadline }, target, kind);
        if (left !== null) workloads.push({ ...left, images });
      }
    }
    if (workloads.length === 0) return done;
    const book = openStepsBook(request, { ...begin, workloads });
    const { result } = await runPhase({ ...stepping, book });
    if (result.kind === 'failed') return unclear(done, result.failure.reason);
    const names = workloads.map(({ target }) => nameOf(target)).join(', ');
    return { ...done, summary: `${done.summary} What an earlier rollout left beside ${names} is gone.` };
  } catch (error) {
    leave.throwIfAborted();
    return unclear(done, messageOf(error));
  }
}

/** What stands beside the workload, and what that had before it; null: nothing, or nothing of Slipway's. */
async function leftBeside(
  stepping: Stepping,
  turn: Pick<Turn, 'signal' | 'deadline'>,
  target: RolloutTarget,
  kind: Strategy['kind'],
): Promise<Omit<StepsWorkload, 'images'> | null> {
  const { parts } = stepping;
  const beside = besideName(target.name, kind);
  const state = await ask(stepping, turn, target, async () => {
    return await parts.canaries.state(target, beside, turn.signal).catch((error: unknown) => {
      // Who may not look at it, or has nothing set up for it, never made one.
      if (error instanceof UserError || (error instanceof PlatformError && error.retry === 'never')) return null;
      throw error;
    });
  });
  if (state === null) return null;
  if (kind === 'blue-green') await refuseGreen(stepping, turn, nameOf({ ...target, name: beside }));
  const { replicas, autoscaled } = await ask(stepping, turn, target, () => parts.canaries.scaleOf(target, turn.signal));
  if (replicas === 0) await ask(stepping, turn, target, () => parts.canaries.remove(target, beside, turn.signal));
  return replicas === 0 ? null : { target, replicas, autoscaled, beside };
}

/** What a Service leads to may not go; where it led before isn't known any more, and of a rollback not even which it is. */
async function refuseGreen(stepping: Stepping, turn: Pick<Turn, 'signal' | 'deadline'>, name: string): Promise<void> {
  const { strategy } = stepping;
  if (strategy.kind !== 'blue-green') {
    throw new UserError(
      `${name} is there, and a Service may lead to it. Set the Service's selector to the stable pods, then remove it by hand.`,
    );
  }
  const { service } = strategy;
  const at = { ...service, cluster: stepping.items[0]?.target.cluster ?? null };
  const now = await ask(stepping, turn, null, () => stepping.parts.canaries.selector(at, turn.signal));
  if (!Object.values(now).some((it) => it.endsWith('-slipway-green'))) return;
  throw new UserError(
    `The Service ${service.namespace}/${service.name} still selects the green pods of an earlier rollout (${JSON.stringify(now)}). Set its selector to the stable pods: kubectl edit service/${service.name} -n ${service.namespace}`,
  );
}

function unclear(done: RolloutResult, why: string): RolloutResult {
  const reason = `The workloads run what they should, but what an earlier rollout left beside them still serves: ${why}`;
  return { ...done, outcome: { kind: 'broken', reason } };
}
