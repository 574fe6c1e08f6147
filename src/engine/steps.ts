import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import { type Outcome, success } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import { type RolloutRequest, type RolloutResult, rollOut } from './rollout.ts';
import { realTime } from './rollout-time.ts';
import { nameOf } from './rollout-words.ts';
import { openStepsBook, type Stepping } from './steps-book.ts';
import { clearLeft } from './steps-left.ts';
import { runPhase } from './steps-moves.ts';
import { planSteps } from './steps-plan.ts';

/** A rollout by steps, beside what a plain one is given: `begun` and `onChange` are those of the stable workloads. */
export interface StepsRequest extends RolloutRequest {
  readonly parts: Parts;
  readonly run: Run;
  readonly job: Job;
  readonly work: DeployWork;
  readonly strategy: Strategy;
  /** What another process stored of this attempt by `save`; null: it begins. */
  readonly progress: StepsProgress | null;
  /** Awaited before each move. What it throws ends the rollout where it is. */
  readonly save: (progress: StepsProgress) => Promise<void>;
  /** Shows what it waits for; null: nothing. Awaited; throws as `save`. */
  readonly gate: (gate: JobGate | null) => Promise<void>;
  /** Shows the steps, pods and checks, in Markdown; returns at once. */
  readonly report: (markdown: string) => void;
}

/**
 * Rolls out by steps: new pods beside the old ones take a growing share (or, blue/green, the Service), with pauses,
 * approvals and checks between; then the stable workloads are rolled and what stood beside goes. What fails, or is
 * cancelled, goes back: all stable pods are there again with the old images, and nothing beside them. Every phase is stored
 * before it begins, so that another process goes on from there in the same direction. Answers and throws as `rollOut`.
 */
export async function rollBySteps(given: StepsRequest): Promise<RolloutResult> {
  const request = { ...given, time: given.time ?? realTime };
  const planned = request.progress ?? (await planSteps(request));
  if ('outcome' in planned) return { outcome: planned.outcome, changes: [], summary: 'Nothing was changed.' };
  const book = openStepsBook(request, planned);
  if (request.progress === null) {
    await request.onChange(planned.changes);
    await book.store();
  }
  const stepping: Stepping = { ...request, book, onChange: (changes) => book.change(changes) };
  if (planned.workloads.every((it) => it.replicas === 0)) {
    const result = await rollOut({ ...stepping, begun: book.changes() });
    return await clearLeft(given, { ...result, summary: [result.summary, ...planned.said].join(' ') });
  }
  for (;;) {
    const { phase } = book.now();
    if (phase === 'done' || phase === 'ended') break;
    const { result, said } = await runPhase(stepping);
    await book.go(result, said);
  }
  const result = { outcome: outcomeOf(book.now()), changes: book.changes(), summary: book.now().said.join(' ') };
  const plain = planned.workloads.filter((it) => it.replicas === 0).map(({ target }) => nameOf(target));
  return await clearLeft(given, result, (target) => plain.includes(nameOf(target)));
}

function outcomeOf({ phase, failed, said }: StepsProgress): Outcome {
  if (phase === 'done') return success;
  const { kind, reason } = failed ?? { kind: 'broken' as const, reason: 'The rollout ended.' };
  return { kind, reason: [reason, ...said.filter((it) => !reason.includes(it))].join(' ') };
}
