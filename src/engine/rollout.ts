import { type Outcome, PlatformError, success, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { isComplete, refusal, type WorkloadState } from '#src/model/rollout.ts';
import type { Patched, RolloutChange } from '#src/model/rollout-change.ts';
import type { Clock, Cluster } from './ports.ts';
import { type Followed, follow } from './rollout-follow.ts';
import { deadlineSince, persist, realTime, type RolloutTime, Unreached } from './rollout-time.ts';

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
  readonly items: readonly RolloutItem[];
  /** What another process stored of this rollout by `onChange`; null: it begins. */
  readonly begun: readonly RolloutChange[] | null;
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** For each workload, and again for each that is put back; from the first start, also in another process. */
  readonly timeoutMs: number;
  /** Told when something changed: `shop/api: 1 of 2 updated, 1 available`. At most 140 characters. */
  readonly onProgress: (message: string) => void;
  /** Awaited before each patch and after each step. Stores; what it throws ends the rollout where it is. */
  readonly onChange: (changes: readonly RolloutChange[]) => Promise<void>;
  /** The last lines of the failing container. May hold what the application logged: only for the log, never for titles. */
  readonly onLines: (lines: string) => void;
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
 * Moves workloads to images, one after the other, and sees each through. All are inspected before the first is
 * patched, so nothing changes if any is wrong. When one fails, those already patched go back, in reverse order, and
 * that is followed too. Each step is stored before it is taken: a rollout that was `begun` goes on where it was, in the
 * same direction. The platform's failure is the outcome `broken`; it throws only the reason of `leave` and what
 * `onChange` throws.
 */
export async function rollOut(given: RolloutRequest): Promise<RolloutResult> {
  const request = { ...given, time: given.time ?? realTime };
  const planned = request.begun ?? (await plan(request));
  if ('outcome' in planned) return { outcome: planned.outcome, changes: [], summary: 'Nothing was changed.' };
  const book = openBook(planned, request.onChange);
  if (request.begun === null) await request.onChange(planned);

  for (const [index, item] of request.items.entries()) {
    if (book.failure()) break;
    if (book.at(index).phase !== 'done') await rollForward(request, book, index, item);
  }
  const failure = book.failure();
  if (failure) await putBack(request, book);
  const said = book.all().flatMap((it) => (it.said === undefined ? [] : [it.said]));
  if (!failure) return { outcome: success, changes: book.all(), summary: said.join('; ') };
  const summary = said.toReversed().join(' ');
  const outcome = failure.kind === 'success' || summary === '' ? failure : withTail(failure, summary);
  return { outcome, changes: book.all(), summary };
}

type Request = RolloutRequest & { readonly time: RolloutTime };

/** How the rollout of one workload ended. */
type Ended = Followed | { readonly kind: 'error'; readonly error: unknown };

interface Book {
  all(): readonly RolloutChange[];
  at(index: number): RolloutChange;
  note(index: number, more: Partial<RolloutChange>): Promise<void>;
  failure(): Outcome | null;
}

function openBook(planned: readonly RolloutChange[], store: RolloutRequest['onChange']): Book {
  let changes = planned;
  return {
    all: () => changes,
    at(index) {
      const change = changes[index];
      if (!change) throw new Error(`The stored rollout has no workload ${index}.`);
      return change;
    },
    async note(index, more) {
      changes = changes.map((it, i) => (i === index ? { ...it, ...more } : it));
      await store(changes);
    },
    failure: () => changes.find((it) => it.failed)?.failed ?? null,
  };
}

async function plan(request: Request): Promise<readonly RolloutChange[] | { readonly outcome: Outcome }> {
  const { items, cluster, clock, leave, time, timeoutMs, onProgress } = request;
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
  const wrong: string[] = [];
  for (const [index, result] of results.entries()) {
    const item = items[index];
    if (!item) continue;
    const state = result.status === 'fulfilled' ? result.value : result.reason;
    if (state instanceof UserError) wrong.push(state.message);
    else if (result.status === 'rejected' || state instanceof Error) {
      return { outcome: { kind: 'broken', reason: messageOf(state) } };
    } else {
      const refused = refusal(result.value as WorkloadState);
      if (refused) wrong.push(refused);
      else changes.push(planned(item, result.value as WorkloadState));
    }
  }
  return wrong.length > 0 ? { outcome: { kind: 'failure', reason: wrong.join('\n') } } : changes;
}

/** Goes back to the image from before, unless that wasn't healthy itself and Slipway knows one that was. */
function planned(item: RolloutItem, state: WorkloadState): RolloutChange {
  const earlier = state.image === item.image ? (item.before ?? null) : null;
  const before = earlier ?? state.image;
  const wasHealthy = earlier !== null || isComplete(state, state.generation);
  const back = wasHealthy ? before : (item.lastHealthy ?? before);
  return {
    workload: nameOf(item.target),
    before,
    after: item.image,
    phase: 'planned',
    back: back === item.image ? null : back,
  };
}

async function rollForward(request: Request, book: Book, index: number, item: RolloutItem): Promise<void> {
  if (book.at(index).phase !== 'forward') await book.note(index, { phase: 'forward', since: request.clock.now() });
  const { before, after, set } = book.at(index);
  const signal = AbortSignal.any([request.signal, request.leave]);
  const ended = await setAndFollow(request, book, index, item.target, {
    image: after,
    instead: [before],
    known: set,
    noted: (answer, since) => ({ set: answer, since }),
    saying: 'setting the image',
    signal,
  });
  if (ended.kind === 'complete') {
    await book.note(index, { phase: 'done', said: ended.message });
    return;
  }
  if (ended.kind === 'failed' && ended.cause !== 'superseded') await tellLines(request, item.target);
  request.leave.throwIfAborted();
  // Somebody else changed it, or the patch was refused: then it isn't ours to put back.
  const superseded = ended.kind === 'failed' && ended.cause === 'superseded';
  const refused = ended.kind === 'error' && ended.error instanceof UserError && book.at(index).set === undefined;
  await book.note(index, {
    failed: outcomeOf(item.target, ended),
    ...(superseded || refused ? { phase: 'ended' } : {}),
  });
}

/** Puts the patched workloads back, last first. Has time of its own: also when cancelled. */
async function putBack(request: Request, book: Book): Promise<void> {
  for (const [index, item] of [...request.items.entries()].toReversed()) {
    const { phase, back = null, after, set } = book.at(index);
    if (phase !== 'forward' && phase !== 'done' && phase !== 'back') continue;
    const name = nameOf(item.target);
    if (back === null) {
      const said = `${name} ran this image before already, and there is no other to go back to.`;
      await book.note(index, { phase: 'ended', said });
      continue;
    }
    if (phase !== 'back') await book.note(index, { phase: 'back', since: request.clock.now() });
    const ended = await setAndFollow(request, book, index, item.target, {
      image: back,
      instead: [after, set?.image ?? after],
      known: book.at(index).backSet,
      noted: (answer, since) => ({ backSet: answer, since }),
      saying: `going back to ${back}`,
      signal: request.leave,
    });
    const said = ended.kind === 'complete' ? `${name} runs ${back} again.` : notBack(item.target, back, ended);
    await book.note(index, { phase: 'ended', said });
  }
}

interface Move {
  readonly image: string;
  /** What may run there now: anything else is somebody else's. */
  readonly instead: readonly (string | null)[];
  /** What the patch answered another process. */
  readonly known: Patched | undefined;
  readonly noted: (answer: Patched, since: number) => Partial<RolloutChange>;
  readonly saying: string;
  readonly signal: AbortSignal;
}

async function setAndFollow(
  request: Request,
  book: Book,
  index: number,
  target: RolloutTarget,
  move: Move,
): Promise<Ended> {
  const { cluster, clock, time, timeoutMs, leave } = request;
  const { signal, image } = move;
  const name = nameOf(target);
  const onProgress = (message: string): void => request.onProgress(short(message));
  const tell = (message: string): void => onProgress(`${name}: ${message}`);
  let answer: Patched | undefined = move.known;
  let storing = false;
  try {
    let deadline = deadlineSince(book.at(index).since ?? clock.now(), timeoutMs, clock, time);
    if (answer === undefined) {
      tell(move.saying);
      const until = { deadline, time, signal };
      const state = await persist(() => cluster.inspect(target, signal), until, tell);
      if (state.image !== image && !move.instead.includes(state.image)) return theirs(target, state);
      answer = { generation: state.generation, image };
      let { since = clock.now() } = book.at(index);
      if (state.image !== image) {
        // The time limit is the rollout's, which begins now; an outage before it has had a limit of its own.
        since = clock.now();
        deadline = deadlineSince(since, timeoutMs, clock, time);
        answer = await persist(() => cluster.setImage(target, image, signal), { deadline, time, signal }, tell);
      }
      storing = true;
      await book.note(index, move.noted(answer, since));
      storing = false;
    }
    const ended = await follow({ cluster, time, target, signal, deadline, set: answer, onProgress });
    leave.throwIfAborted();
    return ended;
  } catch (error) {
    if (storing) throw error;
    leave.throwIfAborted();
    if (signal.aborted) return { kind: 'cancelled', reason: messageOf(signal.reason) };
    return { kind: 'error', error };
  }
}

function theirs(target: RolloutTarget, state: WorkloadState): Ended {
  const reason = `${nameOf(target)}: somebody else set the image to ${state.image} while this rollout was under way. It was left as it is now.`;
  return { kind: 'failed', cause: 'superseded', reason };
}

function notBack({ kind, namespace, name }: RolloutTarget, image: string, back: Exclude<Ended, { kind: 'complete' }>) {
  const why = back.kind === 'error' ? messageOf(back.error) : back.reason;
  const unknown = back.kind === 'error' && back.error instanceof Unreached;
  const hint =
    kind === 'statefulset' && !unknown
      ? ` A StatefulSet doesn't replace a broken pod by itself: delete it by hand (kubectl delete pod -n ${namespace} ...).`
      : '';
  const known = unknown ? ' So it is unknown what it runs.' : '';
  return `GOING BACK FAILED: ${namespace}/${name} was to run ${image} again, but: ${why}${known} Look at it now.${hint}`;
}

function outcomeOf(target: RolloutTarget, ended: Exclude<Ended, { kind: 'complete' }>): Outcome {
  if (ended.kind === 'cancelled') return { kind: 'cancelled', reason: ended.reason };
  if (ended.kind === 'failed') {
    return { kind: ended.cause === 'deadline' ? 'timed_out' : 'failure', reason: ended.reason };
  }
  const { error } = ended;
  if (error instanceof UserError) return { kind: 'failure', reason: error.message };
  if (!(error instanceof Unreached)) return { kind: 'broken', reason: messageOf(error) };
  return { kind: 'broken', reason: `${nameOf(target)}: it is unknown how the rollout went. ${error.message}` };
}

function withTail<T extends { readonly reason: string }>(outcome: T, tail: string): T {
  return { ...outcome, reason: `${outcome.reason} ${tail}` };
}

/** Best effort: a rollout's outcome doesn't depend on its log. */
async function tellLines(request: Request, target: RolloutTarget): Promise<void> {
  const signal = AbortSignal.any([request.signal, request.leave, AbortSignal.timeout(10_000)]);
  const lines = await request.cluster.lastLines(target, 30, signal).catch(() => '');
  if (lines !== '') request.onLines(lines);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function nameOf(target: RolloutTarget): string {
  return `${target.namespace}/${target.name}`;
}

/** GitHub cuts the description of a deployment status at 140 characters. */
function short(message: string): string {
  return message.length > 140 ? `${message.slice(0, 139)}…` : message;
}
