import { type Outcome, PlatformError, success, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { refusal, type WorkloadState } from '#src/model/rollout.ts';
import type { Patched, RolloutChange } from '#src/model/rollout-change.ts';
import type { Clock, Cluster } from './ports.ts';
import { type Book, openBook, type Unit, unitsOf } from './rollout-book.ts';
import { type Answer, isHealthy, setAndFollow } from './rollout-move.ts';
import { deadlineSince, persist, realTime, type RolloutTime } from './rollout-time.ts';
import { messageOf, nameOf, notBack, outcomeOfEnd, short, withTail } from './rollout-words.ts';

export interface RolloutItem {
  readonly target: RolloutTarget;
  /** What it shall run: `repository@sha256:...`. */
  readonly image: string;
  /** What ran before an earlier attempt that may have left `image` there; null or absent if there was none. */
  readonly before?: string | null;
  /** The last image of which Slipway knows that it was healthy there; null or absent if there is none. */
  readonly lastHealthy?: string | null;
}

export interface RolloutRequest {
  /** Several of one workload (its containers) are one patch. */
  readonly items: readonly RolloutItem[];
  /** What another process stored of this rollout by `onChange`; null: it begins. */
  readonly begun: readonly RolloutChange[] | null;
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** For each workload, and again for each that is put back; from the first start, also in another process. */
  readonly timeoutMs: number;
  /** How long a workload must stay complete before that counts; up to the timeout. Absent: 0. */
  readonly stableMs?: number;
  /** All workloads at the same time, in place of one after the other. */
  readonly atOnce?: boolean;
  /** Told when something changed: `shop/api: 1 of 2 updated, 1 available`. At most 140 characters. */
  readonly onProgress: (message: string) => void;
  /** Told what is seen of a workload, whenever that changed. */
  readonly onState?: (target: RolloutTarget, state: WorkloadState) => void;
  /** Awaited before each patch and after each step. Stores; what it throws ends the rollout where it is. */
  readonly onChange: (changes: readonly RolloutChange[]) => Promise<void>;
  /** The last lines of the failing container. May hold what the application logged: only for the log, never for titles. */
  readonly onLines: (lines: string, target: RolloutTarget) => void;
  /** What the cluster warned of about a workload that failed, newest first. As `onLines`. */
  readonly onEvents?: (events: readonly string[], target: RolloutTarget) => void;
  /** Aborted when somebody cancels: what was patched is put back. */
  readonly signal: AbortSignal;
  /** Aborted when the server stops or the job is another's: everything is left as it is. */
  readonly leave: AbortSignal;
  readonly time?: RolloutTime;
}

export interface RolloutResult {
  readonly outcome: Outcome;
  /** Of the workloads that were to be changed. After a failure they run `before` again, unless the reason says otherwise. */
  readonly changes: readonly RolloutChange[];
  /** A sentence on what runs now. */
  readonly summary: string;
}

/**
 * Moves workloads to images, one after the other or all at once, and sees each through. All are inspected before the first
 * is patched, so nothing changes if any is wrong. When one fails, those already patched go back, in reverse order, and
 * that is followed too. Each step is stored before it is taken: a rollout that was `begun` goes on where it was, in the
 * same direction. The platform's failure is the outcome `broken`; it throws only the reason of `leave` and what
 * `onChange` throws.
 */
export async function rollOut(given: RolloutRequest): Promise<RolloutResult> {
  const request = { ...given, time: given.time ?? realTime };
  const planned = request.begun ?? (await planRollout(request));
  if ('outcome' in planned) return { outcome: planned.outcome, changes: [], summary: 'Nothing was changed.' };
  const targets = request.items.map(({ target }) => target);
  const units = unitsOf(targets);
  const book = openBook(targets, planned, request.onChange);
  if (request.begun === null) await request.onChange(planned);

  const halt = new AbortController();
  await eachUnit(request, units, async (unit) => {
    if (book.failure() || book.first(unit).phase === 'done') return;
    const stop = (): void => halt.abort(new Error('Another workload of this deployment failed.'));
    await rollForward(request, book, unit, halt.signal).catch((error: unknown) => {
      stop();
      throw error;
    });
    if (book.failure()) stop();
  });
  const failure = book.failure();
  if (failure) await eachUnit(request, units.toReversed(), (unit) => putBack(request, book, unit));
  const said = book.all().flatMap((it) => (it.said === undefined ? [] : [it.said]));
  if (!failure) return { outcome: success, changes: book.all(), summary: said.join('; ') };
  const summary = said.toReversed().join(' ');
  const outcome = failure.kind === 'success' || summary === '' ? failure : withTail(failure, summary);
  return { outcome, changes: book.all(), summary };
}

type Request = RolloutRequest & { readonly time: RolloutTime };

/** In order or at once. What one throws is thrown when all have ended. */
async function eachUnit(request: Request, units: readonly Unit[], act: (unit: Unit) => Promise<void>): Promise<void> {
  if (request.atOnce !== true) {
    for (const unit of units) await act(unit);
    return;
  }
  const ended = await Promise.allSettled(units.map(act));
  const failed = ended.find((it) => it.status === 'rejected');
  if (failed) throw failed.reason;
}

/** What `rollOut` would begin with (as `begun`), or why it wouldn't. Changes nothing. */
export async function planRollout(
  request: RolloutRequest,
): Promise<readonly RolloutChange[] | { readonly outcome: Outcome }> {
  const { items, cluster, clock, leave, time = realTime, timeoutMs, onProgress } = request;
  const signal = AbortSignal.any([request.signal, leave]);
  const deadline = deadlineSince(clock.now(), timeoutMs, clock, time);
  const inspect = (target: RolloutTarget) => async (): Promise<WorkloadState | Error> => {
    return await cluster.inspect(target, signal).catch((error: unknown) => {
      // A mistake in the operator's files doesn't pass while nothing else has begun.
      if (error instanceof PlatformError && error.retry === 'never') return error;
      throw error;
    });
  };
  const results = await Promise.allSettled(
    items.map(({ target }) =>
      persist(inspect(target), { deadline, time, signal }, (it) => onProgress(short(`${nameOf(target)}: ${it}`))),
    ),
  );
  leave.throwIfAborted();
  if (signal.aborted) return { outcome: { kind: 'cancelled', reason: messageOf(signal.reason) } };
  const changes: RolloutChange[] = [];
  const wrong = new Set<string>();
  for (const [index, result] of results.entries()) {
    const item = items[index];
    if (!item) continue;
    const state = result.status === 'fulfilled' ? result.value : result.reason;
    if (state instanceof UserError) wrong.add(state.message);
    else if (result.status === 'rejected' || state instanceof Error) {
      return { outcome: { kind: 'broken', reason: messageOf(state) } };
    } else {
      const refused = refusal(result.value as WorkloadState);
      if (refused) wrong.add(refused);
      else changes.push(planned(item, result.value as WorkloadState));
    }
  }
  return wrong.size > 0 ? { outcome: { kind: 'failure', reason: [...wrong].join('\n') } } : changes;
}

/** Goes back to the image from before, unless that wasn't healthy itself and Slipway knows one that was. */
function planned({ target, ...item }: RolloutItem, state: WorkloadState): RolloutChange {
  const earlier = state.image === item.image ? (item.before ?? null) : null;
  const before = earlier ?? state.image;
  const wasHealthy = earlier !== null || isHealthy(state);
  const back = wasHealthy ? before : (item.lastHealthy ?? before);
  return {
    workload: `${target.namespace}/${target.name}`,
    container: target.container,
    kind: target.kind,
    cluster: target.cluster,
    before,
    after: item.image,
    phase: 'planned',
    back: back === item.image ? null : back,
  };
}

async function rollForward(request: Request, book: Book, unit: Unit, halt: AbortSignal): Promise<void> {
  const { clock, timeoutMs } = request;
  if (book.first(unit).phase !== 'forward') {
    await book.note(unit, { shared: { phase: 'forward', since: clock.now() } });
  }
  const containers = book.of(unit);
  const changes = containers.some(({ change }) => change.before !== change.after);
  const ended = await setAndFollow(request, book, {
    unit,
    images: byContainer(containers, ({ after }) => after),
    instead: byContainer(containers, ({ before }) => [before]),
    known: answerOf(containers, ({ set }) => set),
    stableMs: changes ? Math.min(request.stableMs ?? 0, timeoutMs) : 0,
    into: 'set',
    saying: 'setting the image',
    signal: AbortSignal.any([request.signal, request.leave]),
    halt,
  });
  if (ended.kind === 'complete') {
    await book.note(unit, { shared: { phase: 'done' }, once: { said: ended.message } });
    return;
  }
  // Another workload failed, and that is noted: this one goes back with it.
  if (ended.kind === 'cancelled' && halt.aborted && !request.signal.aborted) return;
  if (ended.kind === 'failed' && ended.cause !== 'superseded') await tellWhy(request, unit.target);
  request.leave.throwIfAborted();
  // Somebody else changed it, or the patch was refused: then it isn't ours to put back.
  const superseded = ended.kind === 'failed' && ended.cause === 'superseded';
  const refused = ended.kind === 'error' && ended.error instanceof UserError && book.first(unit).set === undefined;
  await book.note(unit, {
    once: { failed: outcomeOfEnd(unit.target, ended) },
    shared: superseded || refused ? { phase: 'ended' } : {},
  });
}

/** Puts a patched workload back. Has time of its own: also when cancelled. */
async function putBack(request: Request, book: Book, unit: Unit): Promise<void> {
  const { phase } = book.first(unit);
  if (phase !== 'forward' && phase !== 'done' && phase !== 'back') return;
  const name = nameOf(unit.target);
  const containers = book.of(unit).filter(({ change }) => (change.back ?? null) !== null);
  if (containers.length === 0) {
    const said = `${name} ran this image before already, and there is no other to go back to.`;
    await book.note(unit, { shared: { phase: 'ended' }, once: { said } });
    return;
  }
  if (phase !== 'back') await book.note(unit, { shared: { phase: 'back', since: request.clock.now() } });
  const images = byContainer(containers, ({ back }) => back ?? '');
  const named = [...new Set(Object.values(images))].join(', ');
  const ended = await setAndFollow(request, book, {
    unit,
    images,
    instead: byContainer(containers, ({ after, set }) => [after, set?.image ?? after]),
    known: answerOf(containers, ({ backSet }) => backSet),
    stableMs: 0,
    into: 'backSet',
    saying: `going back to ${named}`,
    signal: request.leave,
    halt: new AbortController().signal,
  });
  const said =
    ended.kind === 'complete' ? `${name} runs ${shortened(named)} again.` : notBack(unit.target, named, ended);
  await book.note(unit, { shared: { phase: 'ended' }, once: { said } });
}

/** Enough of each digest to know it: this is the title of a check run. The log has all of it. */
function shortened(images: string): string {
  return images.replaceAll(/(@sha256:[0-9a-f]{12})[0-9a-f]{52}/g, '$1');
}

type Containers = ReturnType<Book['of']>;

function byContainer<T>(containers: Containers, value: (change: RolloutChange) => T): Readonly<Record<string, T>> {
  return Object.fromEntries(containers.map(({ container, change }) => [container, value(change)]));
}

/** What the patch answered, if that is known of all. */
function answerOf(containers: Containers, read: (change: RolloutChange) => Patched | undefined): Answer | null {
  const answers = containers.map(({ change }) => read(change));
  const generation = answers[0]?.generation;
  if (generation === undefined || answers.includes(undefined)) return null;
  return { generation, images: byContainer(containers, (change) => read(change)?.image ?? '') };
}

/** Best effort: a rollout's outcome doesn't depend on its log. */
async function tellWhy(request: Request, target: RolloutTarget): Promise<void> {
  const { cluster } = request;
  const signal = AbortSignal.any([request.signal, request.leave, AbortSignal.timeout(10_000)]);
  const [lines, events] = await Promise.all([
    cluster.lastLines(target, 30, signal).catch(() => ''),
    cluster.events(target, signal).catch(() => []),
  ]);
  if (events.length > 0) request.onEvents?.(events, target);
  if (lines !== '') request.onLines(lines, target);
}
