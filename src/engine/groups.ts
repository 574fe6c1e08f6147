import { environmentGroup, placeOf, type Settled, settleGroup } from '#src/model/concurrency.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { Concurrency } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';

type Wake = (runId: string) => Promise<void>;

/** True if the run has its concurrency group, or needs none. Otherwise it is noted what it waits for. */
export async function mayGo(parts: Parts, run: Run, wake: Wake): Promise<boolean> {
  if (run.concurrency === null) return true;
  const { goes, note } = await standInLine(parts, run, `run:${run.id}`, run.concurrency, wake);
  if (run.note !== note) await parts.store.runs.note(run.id, note);
  return goes;
}

/** As `mayGo`, for a job that waits for nothing else. An outcome: it would wait for ever. */
export async function mayQueue(parts: Parts, run: Run, job: Job, wake: Wake): Promise<boolean | Outcome> {
  const wanted = groupOf(job);
  if (wanted === null) return true;
  const { goes, note, cancel } = await standInLine(parts, run, `job:${job.id}`, wanted, wake);
  if (goes) return true;
  const other = cancel.length === 0 ? await waitsInCircle(parts, run.id) : null;
  if (other !== null) {
    const reason = `This job waits for ${placeOf(wanted.group)}, which is run ${other}'s, and that waits for a group that this run has: neither would ever end. Give the jobs groups that no whole run has.`;
    return { kind: 'failure', reason };
  }
  if (job.note !== note) await parts.store.runs.noteJob(job.id, note);
  return false;
}

/** How many runs are followed from one that waits for another. */
const longestCircle = 50;

/** A run for which jobs of this one wait and that waits, maybe by way of others, for this one; null if there is none. */
async function waitsInCircle(parts: Parts, runId: string): Promise<string | null> {
  for (const first of await parts.store.groups.heldUpBy(runId)) {
    const seen = new Set([first]);
    for (const id of seen) {
      if (id === runId) return first;
      if (seen.size > longestCircle) break;
      for (const next of await parts.store.groups.heldUpBy(id)) seen.add(next);
    }
  }
  return null;
}

/** A run or job that is over makes room; whoever is next goes on. */
export async function leaveGroups(parts: Parts, holder: string, wake: Wake): Promise<void> {
  for (const runId of await parts.store.groups.leave(holder)) void wake(runId);
}

/** The group that the job takes its turn in, or null. Deployments always have one: older versions' plans don't say. */
export function groupOf({ plan: { concurrency, work } }: Pick<Job, 'plan'>): Concurrency | null {
  if (concurrency !== null) return concurrency;
  if (work.kind !== 'deploy' && work.kind !== 'preview') return null;
  return { group: environmentGroup(work.environment), cancelInProgress: false, queue: 'max' };
}

/** Stands in the line, and asks for the end of those whose place it takes. `place`: the group as people call it. */
export async function standInLine(
  parts: Parts,
  run: Run,
  holder: string,
  wanted: Concurrency,
  wake: Wake,
  place = placeOf(wanted.group),
): Promise<Settled> {
  const line = await parts.store.groups.enter(run.repository.id, wanted.group, holder, run.id);
  const settled = settleGroup(line, wanted, holder, place);
  for (const { holder: other, reason } of settled.cancel) {
    const [kind, id = ''] = other.split(':');
    const cancellation = { reason, by: 'slipway' } as const;
    if (kind === 'run') await parts.store.runs.cancel(id, cancellation);
    else await parts.store.runs.cancelJob(id, cancellation);
    const runId = line.find((entry) => entry.holder === other)?.runId;
    if (runId === undefined) continue;
    parts.store.signals.send('run', runId);
    void wake(runId);
  }
  return settled;
}
