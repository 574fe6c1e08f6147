import { setTimeout as sleepFor } from 'node:timers/promises';
import { type Outcome, success, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { isComplete, refusal, type WorkloadState } from '#src/model/rollout.ts';
import type { Clock, Cluster } from './ports.ts';
import { type Followed, follow } from './rollout-follow.ts';

export interface RolloutItem {
  readonly target: RolloutTarget;
  /** What it shall run: `repository@sha256:...`. */
  readonly image: string;
  /** Image that an earlier attempt of this rollout recorded before it patched; null or absent on the first attempt. */
  readonly before?: string | null;
  /** The last image of which Slipway knows that it was healthy there; null or absent if there is none. */
  readonly lastHealthy?: string | null;
}

export interface RolloutRequest {
  readonly items: readonly RolloutItem[];
  readonly cluster: Cluster;
  readonly clock: Clock;
  /** For each workload, and again for each that is put back. */
  readonly timeoutMs: number;
  /** Told when something changed: `shop/api: 1 of 2 updated, 1 available`. At most 140 characters. */
  readonly onProgress: (message: string) => void;
  /** Awaited before the first patch: what is stored here lets a rollout be taken up after the server was killed. */
  readonly onPlanned: (changes: readonly RolloutChange[]) => Promise<void>;
  /** Aborted when somebody cancels: what was patched is put back. */
  readonly signal: AbortSignal;
  /** Aborted when the server stops: everything is left as it is, for the next server to take up. */
  readonly leave: AbortSignal;
  /** For tests. Rejects or resolves when aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export interface RolloutChange {
  /** `namespace/name`. */
  readonly workload: string;
  readonly before: string | null;
  readonly after: string;
}

export interface RolloutResult {
  readonly outcome: Outcome;
  /** Of the workloads that were to be changed. After a failure they run `before` again, unless the reason says otherwise. */
  readonly changes: readonly RolloutChange[];
  /** A sentence on what runs now. */
  readonly summary: string;
  /** The last lines of the failing container, or ''. May hold what the application logged: only for the log, never for titles. */
  readonly lastLines: string;
}

/**
 * Moves workloads to images, one after the other, and sees each through. All are inspected before the first is
 * patched, so nothing changes if any is wrong. When one fails, those already patched go back, in reverse order, and
 * that is followed too. The platform's failure is the outcome `broken`; it throws only the reason of `leave`.
 */
export async function rollOut(request: RolloutRequest): Promise<RolloutResult> {
  const inspected = await inspectAll(request);
  if ('outcome' in inspected) return { ...inspected, changes: [], summary: 'Nothing was changed.', lastLines: '' };
  const { steps } = inspected;
  const changes = steps.map(({ item, before }) => ({ workload: nameOf(item.target), before, after: item.image }));
  await request.onPlanned(changes);

  const patched: Step[] = [];
  const messages: string[] = [];
  for (const step of steps) {
    patched.push(step);
    const followed = await setAndFollow(request, step.item.target, step.item.image, request.signal);
    if (followed.kind === 'complete') {
      messages.push(followed.message);
      continue;
    }
    const lastLines = followed.kind === 'failed' && followed.cause !== 'superseded' ? await lines(request, step) : '';
    const back = await putBack(request, patched, followed);
    const outcome = outcomeOf(followed, back);
    return { outcome, changes, summary: back, lastLines };
  }
  return { outcome: success, changes, summary: messages.join('; '), lastLines: '' };
}

/** How the rollout of one workload ended. */
type Ended = Followed | { readonly kind: 'error'; readonly error: unknown };

interface Step {
  readonly item: RolloutItem;
  readonly state: WorkloadState;
  readonly before: string;
}

async function inspectAll(request: RolloutRequest): Promise<{ steps: readonly Step[] } | { outcome: Outcome }> {
  const { items, cluster, leave } = request;
  const signal = AbortSignal.any([request.signal, leave]);
  const results = await Promise.allSettled(items.map((item) => cluster.inspect(item.target, signal)));
  leave.throwIfAborted();
  if (signal.aborted) return { outcome: cancelled(signal) };
  const steps: Step[] = [];
  const wrong: string[] = [];
  for (const [index, result] of results.entries()) {
    const item = items[index];
    if (!item) continue;
    if (result.status === 'rejected') {
      if (!(result.reason instanceof UserError))
        return { outcome: { kind: 'broken', reason: messageOf(result.reason) } };
      wrong.push(result.reason.message);
      continue;
    }
    const refused = refusal(result.value);
    if (refused) wrong.push(refused);
    else steps.push({ item, state: result.value, before: item.before ?? result.value.image });
  }
  if (wrong.length > 0) return { outcome: { kind: 'failure', reason: wrong.join('\n') } };
  return { steps };
}

async function setAndFollow(
  request: RolloutRequest,
  target: RolloutTarget,
  image: string,
  cancel: AbortSignal,
): Promise<Ended> {
  const ended = await setAndFollowUntil(request, target, image, AbortSignal.any([cancel, request.leave]));
  request.leave.throwIfAborted();
  return ended;
}

async function setAndFollowUntil(
  request: RolloutRequest,
  target: RolloutTarget,
  image: string,
  signal: AbortSignal,
): Promise<Ended> {
  const { cluster, clock, timeoutMs, onProgress } = request;
  try {
    onProgress(short(`${nameOf(target)}: setting the image`));
    const startedAt = clock.now();
    const set = await cluster.setImage(target, image, signal);
    return await follow({
      cluster,
      clock,
      target,
      signal,
      context: { generation: set.generation, image: set.image, startedAt, timeoutMs },
      onProgress: (message) => onProgress(short(message)),
      sleep: request.sleep ?? wait,
    });
  } catch (error) {
    if (signal.aborted) return { kind: 'cancelled', reason: messageOf(signal.reason) };
    return { kind: 'error', error };
  }
}

/** Puts the patched workloads back, last first. Answers with sentences on what runs now. Has time of its own: also when cancelled. */
async function putBack(request: RolloutRequest, patched: readonly Step[], failed: Ended): Promise<string> {
  const sentences: string[] = [];
  for (const [index, step] of patched.toReversed().entries()) {
    const name = nameOf(step.item.target);
    if (index === 0 && isUntouched(failed)) continue;
    const image = imageToGoBackTo(step);
    if (image === null) {
      sentences.push(`${name} ran this image before already, and there is no other to go back to.`);
      continue;
    }
    request.onProgress(short(`${name}: going back to ${image}`));
    const back = await setAndFollow(request, step.item.target, image, new AbortController().signal);
    if (back.kind === 'complete') sentences.push(`${name} runs ${image} again.`);
    else sentences.push(notBack(step, image, back));
  }
  return sentences.join(' ');
}

/** Whether the workload at fault isn't ours to put back: somebody else changed it, or the patch was refused. */
function isUntouched(failed: Ended): boolean {
  if (failed.kind === 'failed') return failed.cause === 'superseded';
  return failed.kind === 'error' && failed.error instanceof UserError;
}

/** The image from before, unless that wasn't healthy itself and Slipway knows one that was. */
function imageToGoBackTo({ item, state, before }: Step): string | null {
  const wasHealthy = isComplete(state, state.generation) && state.image === before;
  const image = wasHealthy || item.before ? before : (item.lastHealthy ?? before);
  return image === item.image ? null : image;
}

function notBack(
  step: Step,
  image: string,
  back: Exclude<Awaited<ReturnType<typeof setAndFollow>>, { kind: 'complete' }>,
) {
  const name = nameOf(step.item.target);
  const why = back.kind === 'failed' ? back.reason : messageOf(back.kind === 'error' ? back.error : back.reason);
  const { kind, namespace } = step.item.target;
  const hint =
    kind === 'statefulset'
      ? ` A StatefulSet doesn't replace a broken pod by itself: delete it by hand (kubectl delete pod -n ${namespace} ...).`
      : '';
  return `GOING BACK FAILED: ${name} was to run ${image} again, but: ${why} Look at it now.${hint}`;
}

function outcomeOf(followed: Ended, back: string): Outcome {
  const tail = back === '' ? '' : ` ${back}`;
  if (followed.kind === 'complete') return success;
  if (followed.kind === 'cancelled') return { kind: 'cancelled', reason: `${followed.reason}${tail}` };
  if (followed.kind === 'failed') {
    const kind = followed.cause === 'deadline' ? 'timed_out' : 'failure';
    return { kind, reason: `${followed.reason}${tail}` };
  }
  const { error } = followed;
  const kind = error instanceof UserError ? 'failure' : 'broken';
  return { kind, reason: `${messageOf(error)}${tail}` };
}

/** Best effort: a rollout's outcome doesn't depend on its log. */
async function lines(request: RolloutRequest, step: Step): Promise<string> {
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(10_000)]);
  return request.cluster.lastLines(step.item.target, 30, signal).catch(() => '');
}

function cancelled(signal: AbortSignal): Outcome {
  return { kind: 'cancelled', reason: messageOf(signal.reason) };
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

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await sleepFor(ms, undefined, { signal, ref: false });
}
