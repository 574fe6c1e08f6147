import { type Arrival, arrive } from '#src/model/deploy/arrival.ts';
import { isAutomatic, skipsRules } from '#src/model/deploy/decide.ts';
import { lockInTheWay, sameName } from '#src/model/deploy/locks.ts';
import { isOpen } from '#src/model/deploy/windows.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import { type Outcome, reasonOf } from '#src/model/outcome.ts';
import type { Concurrency, DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { groupOf, leaveGroups, standInLine } from '#src/engine/groups.ts';
import type { Parts } from '#src/engine/parts.ts';
import { askerOf } from './asker.ts';
import { audit } from './decision.ts';
import { modeOf, viaOf } from './facts.ts';
import { type GateAnswer, passGate } from './gate.ts';

type Wake = (runId: string) => Promise<void>;

/** What becomes of a job that waits for nothing of its own run any more. */
export type Queued =
  | { readonly kind: 'go' }
  /** `again`: to be looked at again after so many milliseconds; null: once something happens. */
  | { readonly kind: 'wait'; readonly again: number | null }
  | { readonly kind: 'end'; readonly outcome: Outcome };

/** Longer pauses are made of several: a timer takes no more than 24 days, and clocks are changed. */
const longestPauseMs = 60 * 60_000;

/**
 * Takes a deploy job through its gates and its environment's line; it is noted what it waits for. What may not begin yet
 * stands in no line, so that it keeps nobody up: the owner of a lock, say. Called again, or by two servers, it goes on.
 */
export async function queueDeploy(parts: Parts, run: Run, job: Job, work: DeployWork, wake: Wake): Promise<Queued> {
  const holder = `job:${job.id}`;
  const wanted = groupOf(job);
  const stopped = async (answer: Exclude<GateAnswer, { kind: 'go' }>): Promise<Queued> => {
    await leaveGroups(parts, holder, wake);
    if (answer.kind === 'end') return await refused(parts, run, job, work, answer.outcome);
    await note(parts, job, answer.note, answer.gate);
    return { kind: 'wait', again: answer.again === null ? null : Math.min(answer.again, longestPauseMs) };
  };

  const entering = await passGate(parts, run, job, work, 'enter');
  if (entering.kind === 'end' || wanted === null) return entering.kind === 'go' ? entering : await stopped(entering);
  const arrival = await arrivalOf(parts, run, job, work, wanted);
  if (arrival.outdatedBy !== null) {
    const reason = `Cancelled: the newer run ${arrival.outdatedBy} took its place in ${placeOf(work)}.`;
    return await stopped({ kind: 'end', outcome: { kind: 'cancelled', reason } });
  }
  await replace(parts, run, work, arrival, wake);
  if (entering.kind === 'wait') return await stopped(entering);

  for (const other of arrival.before) {
    await parts.store.groups.enter(run.repository.id, wanted.group, `job:${other.jobId}`, other.runId);
    void wake(other.runId);
  }
  const settled = await standInLine(parts, run, holder, wanted, wake, placeOf(work));
  if (!settled.goes) {
    await note(parts, job, settled.note, { kind: 'queue', position: settled.position });
    return { kind: 'wait', again: null };
  }
  const beginning = await passGate(parts, run, job, work, 'begin');
  return beginning.kind === 'go' ? beginning : await stopped(beginning);
}

/** Notes it, unless it is noted: everything that changes is told. */
async function note(parts: Parts, job: Job, text: string | null, gate: JobGate): Promise<void> {
  const same = job.note === text && JSON.stringify(job.gate) === JSON.stringify(gate);
  if (!same) await parts.store.runs.noteJob(job.id, text, gate);
}

async function refused(parts: Parts, run: Run, job: Job, work: DeployWork, outcome: Outcome): Promise<Queued> {
  // What others ended is written down with what they did.
  if (outcome.kind === 'failure') await audit(parts, run, job, work, { kind: 'refused', reason: outcome.reason });
  parts.log.info({ run: run.id, job: job.id, why: reasonOf(outcome) }, 'a deployment does not begin');
  return { kind: 'end', outcome };
}

/** What else is deployed to the environment, and what it means to them that this one has come. */
async function arrivalOf(parts: Parts, run: Run, job: Job, work: DeployWork, wanted: Concurrency): Promise<Arrival> {
  const { store } = parts;
  const [deploying, locks] = await Promise.all([
    store.runs.deploying(run.repository.id),
    store.locks.of(run.repository.id),
  ]);
  const now = parts.clock.now();
  const all = deploying.flatMap(({ run: other, job: theirs }) => {
    const { work: its } = theirs.plan;
    if (its.kind !== 'deploy' || !sameName(its.environment, work.environment)) return [];
    const login = isAutomatic(viaOf(other.trigger)) ? null : askerOf(other, theirs).login;
    const locked = lockInTheWay(locks, its.environment, { login, overLock: false, role: null }) !== null;
    const open = skipsRules(modeOf(other, its)) || isOpen(its.rules?.windows ?? [], now);
    const gate = theirs.gate?.kind ?? null;
    return [{ jobId: theirs.id, runId: other.id, state: theirs.state, gate, free: !locked && open }];
  });
  const yields = !skipsRules(modeOf(run, work));
  return arrive(all, job.id, { newest: wanted.queue === 'single', yields });
}

async function replace(parts: Parts, run: Run, work: DeployWork, arrival: Arrival, wake: Wake): Promise<void> {
  const reason = `Cancelled: the newer run ${run.id} took its place in ${placeOf(work)}.`;
  for (const jobId of arrival.replaced) {
    const asked = await parts.store.runs.cancelJob(jobId, { reason, by: 'slipway' });
    const other = asked ? await parts.store.runs.job(jobId) : null;
    if (other === null) continue;
    parts.store.signals.send('run', other.runId);
    void wake(other.runId);
  }
}

function placeOf({ environment }: DeployWork): string {
  return `the queue of ${environment}`;
}
