import type { StepsProgress } from '#src/model/delivery.ts';
import { maskText } from '#src/model/mask.ts';
import { type Outcome, reasonOf } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import { workloadKey } from '#src/model/rollout-report.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Job, Run } from '#src/model/run.ts';
import { audit, type Decision, decide } from './deploy/decision.ts';
import { withHistory } from './deploy/history.ts';
import { holdLine } from './deploy/line.ts';
import { type Deployment, openDeployment } from './deploy/record.ts';
import { createTelling, type Telling } from './deploy/telling.ts';
import { LostJob, outcomeOf } from './errors.ts';
import { deployByCommit } from './gitops.ts';
import { hiddenInRun } from './job-secrets.ts';
import { maskOutcome } from './masked.ts';
import type { Parts } from './parts.ts';
import { type RolloutItem, type RolloutRequest, rollOut } from './rollout.ts';
import { realTime, type RolloutTime } from './rollout-time.ts';
import { nameOf } from './rollout-words.ts';
import { rollBySteps, type StepsRequest } from './steps.ts';
import { clearLeft } from './steps-left.ts';
import { type Completion, trackJob } from './track.ts';

/**
 * Brings what the job deploys to where the environment says: rolls workloads to digests, at once or by steps, or commits
 * them to another repository; with a deployment record and an audit record. Nothing is touched unless everything is allowed
 * and every image is there. Called again for the same attempt, it goes on where another process left it. `signal` cancels,
 * and what was patched goes back; `stop` leaves everything as it is, by throwing. Throws LostJob if the job is another
 * server's meanwhile. `time` is for tests.
 */
export async function runDeploy(
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  signal: AbortSignal,
  stop: AbortSignal,
  time: RolloutTime = realTime,
): Promise<Completion> {
  const lost = new AbortController();
  const lose = (): void => lost.abort(new LostJob());
  const leave = AbortSignal.any([stop, lost.signal]);
  const track = await trackJob(parts, job, ['roll out'], () => {}, lose);
  try {
    const deployment = await openDeployment(parts, run, job, work, { leave, time, lose });
    // What a cluster says may hold what a job had: its own log and words are masked like a job's.
    track.hide(await hiddenInRun(parts, run));
    const hide = (text: string): string => maskText(text, track.hidden);
    const say = (message: string): void => {
      track.say(message);
      deployment.tell(hide(message));
    };
    const telling = createTelling(
      deployment.begun ?? [],
      () => track.hidden,
      () => deployment.report(telling.markdown()),
      deployment.begun ? (job.report ?? '') : '',
    );
    track.listener.step({ kind: 'started', index: 0, at: parts.clock.now() });
    const log = (message: string): void => track.say(message);
    const doubts: string[] = [];
    const context = { deployment, telling, signal, leave, time, say, log, hide, doubts };
    const outcome = maskOutcome(await attempt(parts, run, job, work, context), track.hidden);
    const doubt = doubts.length === 0 ? '' : `, but not verified: ${doubts.join(', ')}`;
    say(outcome.kind === 'success' ? `Deployed to ${work.environment}${doubt}.` : reasonOf(outcome));
    const exitCode = outcome.kind === 'success' ? 0 : 1;
    track.listener.step({ kind: 'finished', index: 0, at: parts.clock.now(), exitCode });
    await deployment.end(outcome, doubt);
    return { outcome, report: telling.markdown() };
  } finally {
    // What the cluster runs doesn't depend on the log.
    await track.close().catch((error: unknown) => parts.log.error({ err: error, job: job.id }, 'log is not whole'));
  }
}

interface Context {
  readonly deployment: Deployment;
  readonly telling: Telling;
  readonly signal: AbortSignal;
  readonly leave: AbortSignal;
  readonly time: RolloutTime;
  readonly say: (message: string) => void;
  /** Only into the log. */
  readonly log: (message: string) => void;
  /** Masks what may hold a secret before it is stored. */
  readonly hide: (text: string) => string;
  /** Why a success says less than it seems to: `shop/api has 0 replicas`. */
  readonly doubts: string[];
}

/** Throws only if the deployment is left as it is. */
async function attempt(parts: Parts, run: Run, job: Job, work: DeployWork, context: Context): Promise<Outcome> {
  const { deployment, leave, signal } = context;
  try {
    const resumed = resumedOf(deployment, work);
    const mine = await holdLine(parts, run, job, context);
    if (!mine && !resumed)
      return { kind: 'cancelled', reason: signal.reason instanceof Error ? signal.reason.message : '' };
    if (resumed) context.log('Slipway goes on with this deployment where another process left it.');
    // What was allowed and has begun is seen through: half of it would be worse than either end.
    const decision = resumed ?? (await decide(parts, run, work));
    if (!resumed) await audit(parts, run, job, work, decision);
    if (decision.kind === 'refused') return { kind: 'failure', reason: decision.reason };
    if (!resumed) await deployment.save({ images: decision.images });
    return await deploy(parts, run, job, work, decision.images, context);
  } catch (error) {
    if (error instanceof LostJob) throw error;
    leave.throwIfAborted();
    parts.log.error({ err: error, run: run.id, job: job.plan.key }, 'deployment broke');
    return outcomeOf(error);
  }
}

/** What was decided by another process that began to change the world by it, or null. */
function resumedOf({ begun, details }: Deployment, work: DeployWork): Extract<Decision, { kind: 'allowed' }> | null {
  if (begun === null && details.steps === undefined && details.gitops === undefined) return null;
  // Records of older versions have the images with their changes only.
  const rolled = work.rollout.flatMap(({ image }, place) => {
    const after = begun?.[place]?.after;
    return after === undefined ? [] : [[image, after] as const];
  });
  return { kind: 'allowed', images: { ...Object.fromEntries(rolled), ...details.images } };
}

async function deploy(
  parts: Parts,
  run: Run,
  job: Job,
  work: DeployWork,
  images: Readonly<Record<string, string>>,
  context: Context,
): Promise<Outcome> {
  const { deployment, telling, signal, leave, time, say, log } = context;
  const timeoutMs = job.plan.timeoutMinutes * 60_000;
  if (work.gitops) {
    const progress = deployment.details.gitops ?? null;
    const save = (gitops: NonNullable<typeof progress>): Promise<void> => deployment.save({ gitops });
    const { gitops: spec } = work;
    const report = (markdown: string): void => telling.steps(markdown);
    const world = { parts, run, job, work, say, report, signal, leave, time, timeoutMs };
    return await deployByCommit({ ...world, spec, images, progress, save });
  }
  const items: readonly RolloutItem[] = work.rollout.map((target) => ({ target, image: images[target.image] ?? '' }));
  const { begun } = deployment;
  const request: RolloutRequest = {
    items: begun ? items : await withHistory(parts, deployment.record(), items),
    begun,
    cluster: parts.cluster,
    clock: parts.clock,
    timeoutMs,
    stableMs: (work.stableSeconds ?? 0) * 1000,
    atOnce: work.atOnce ?? false,
    onProgress: say,
    onState: (target, state) => telling.state(target, state),
    async onChange(changes) {
      telling.changes(changes);
      await deployment.change(changes.map((it) => maskedChange(it, context.hide)));
    },
    onLines(lines, target) {
      log(`Last lines of the failing container of ${nameOf(target)}:\n${lines}`);
      telling.lines(lines, target);
    },
    onEvents(events, target) {
      log(`What the cluster says of ${nameOf(target)}:\n${events.join('\n')}`);
      telling.events(events, target);
    },
    signal,
    leave,
    time,
  };
  const result = await bring(request, parts, run, job, work, context);
  log(result.summary);
  const idle = result.changes.filter((it) => it.said?.endsWith('not verified: 0 replicas'));
  context.doubts.push(...idle.map((it) => `${workloadKey(it.cluster, it.workload)} has 0 replicas`));
  return result.outcome;
}

/** A rollback takes no steps: what runs is known to be bad. What is left of that beside it goes too. */
async function bring(request: RolloutRequest, parts: Parts, run: Run, job: Job, work: DeployWork, context: Context) {
  const { strategy = null } = work;
  const { deployment, telling } = context;
  const progress = deployment.details.steps ?? null;
  const isBack = work.mode === 'rollback';
  if (strategy === null && !isBack) return await rollOut(request);
  const stepsRequest: StepsRequest = {
    ...request,
    parts,
    run,
    job,
    work,
    strategy: strategy ?? { kind: 'canary', steps: [] },
    progress,
    save: (steps) => deployment.save({ steps: maskedSteps(steps, context.hide) }),
    gate: (gate) => deployment.gate(gate),
    report: (markdown) => telling.steps(markdown),
  };
  return work.mode === 'rollback'
    ? await clearLeft(stepsRequest, await rollOut(request))
    : await rollBySteps(stepsRequest);
}

/** What the cluster said is part of these sentences. */
function maskedChange(change: RolloutChange, hide: Context['hide']): RolloutChange {
  const { said, failed } = change;
  return {
    ...change,
    ...(said === undefined ? {} : { said: hide(said) }),
    ...(failed && 'reason' in failed ? { failed: { ...failed, reason: hide(failed.reason) } } : {}),
  };
}

function maskedSteps(steps: StepsProgress, hide: Context['hide']): StepsProgress {
  const { said, notes, changes, failed } = steps;
  return {
    ...steps,
    said: said.map(hide),
    notes: Object.fromEntries(Object.entries(notes).map(([step, note]) => [step, hide(note)])),
    changes: changes.map((it) => maskedChange(it, hide)),
    ...(failed ? { failed: { ...failed, reason: hide(failed.reason) } } : {}),
  };
}
