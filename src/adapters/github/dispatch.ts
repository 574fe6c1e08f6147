import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ZodError } from 'zod';
import type { Intake } from '#src/engine/ports.ts';
import type { Delivery, DeliveryStore } from '#src/engine/store.ts';
import type { Event } from '#src/model/event.ts';
import type { Repository } from '#src/model/repository.ts';
import type { GitHub } from './github.ts';
import { handledEvents, isHandled, type TagToResolve, understand } from './understand.ts';

export interface DispatcherOptions {
  readonly github: Pick<GitHub, 'appId' | 'probot'>;
  readonly store: Pick<DeliveryStore, 'pending' | 'finish'>;
  readonly intake: Intake;
  /** The commit that a ref names now, or null: for tags whose payload doesn't say. */
  readonly resolve: (repository: Repository, ref: string) => Promise<string | null>;
  readonly logger: Logger;
  /** Milliseconds before the next try, by number of failed ones; after the last the delivery is given up. */
  readonly retryMs?: readonly number[];
}

export interface Dispatcher {
  /** Something new may be stored. Call it at start and after each stored delivery. */
  wake(): void;
  /** Takes nothing new and waits for what is under way. */
  close(): Promise<void>;
}

/** Deliveries of different repositories are handled side by side, this many at most. */
const lanes = 8;
const batch = 64;
const stormMs = 20;
const giveUpMs = 5 * 60_000;

/** About two hours in all: long enough for an outage of GitHub or of a disk. */
const defaultRetryMs = [1, 2, 4, 8, 16, 32, 64, 128, 256, ...Array.from({ length: 12 }, () => 600)].map(
  (s) => s * 1000,
);

/**
 * Feeds stored deliveries to Probot's handlers: in the order they came within a repository, each until its
 * handler succeeded, then marked with what came of it. One that fails is tried again later and holds up no other.
 */
export async function openDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const retryMs = options.retryMs ?? defaultRetryMs;
  const results = new Map<string, string>();
  /** What is under way, by GUID, and the end of each lane's queue. */
  const busy = new Map<string, Promise<void>>();
  const tails = new Map<string, Promise<void>>();
  const failed = new Map<string, { readonly times: number; readonly notBefore: number }>();
  /** Finished while the store was being asked: its answer may still hold them. */
  const justFinished = new Set<string>();
  const slots = createSlots(lanes);
  const probot = await options.github.probot.ready();
  for (const name of handledEvents) {
    probot.on(name, async (context) => {
      results.set(context.id, await handle(context.name, context.payload));
    });
  }
  const closing = new AbortController();
  let looking: Promise<void> | null = null;
  let again = false;
  let more = false;
  let alarm: { readonly at: number; readonly timer: NodeJS.Timeout } | null = null;

  return {
    wake,
    async close() {
      closing.abort();
      await looking;
      await Promise.all(busy.values());
    },
  };

  function wake(): void {
    if (closing.signal.aborted) return;
    again = true;
    looking ??= look().finally(() => {
      looking = null;
    });
  }

  /** Puts everything that is pending and due on its lane. */
  async function look(): Promise<void> {
    while (again && !closing.signal.aborted) {
      again = false;
      try {
        await takeBatch();
        // In a storm each delivery would ask the store again, which then has less time for storing.
        if (busy.size > 0) await sleep(stormMs, undefined, { ref: false });
      } catch (error) {
        options.logger.error({ err: error }, 'Stored deliveries could not be read; trying again in 5 s.');
        wakeIn(5_000);
      }
    }
  }

  async function takeBatch(): Promise<void> {
    if (busy.size >= batch / 2) {
      more = true;
      return;
    }
    const limit = batch + busy.size + failed.size;
    justFinished.clear();
    const pending = await options.store.pending(limit);
    more = pending.length >= limit;
    const now = Date.now();
    for (const delivery of pending) {
      const { guid } = delivery;
      const wait = (failed.get(guid)?.notBefore ?? 0) - now;
      if (wait > 0) wakeIn(wait);
      if (busy.has(guid) || justFinished.has(guid) || wait > 0) continue;
      const { payload, lane } = parse(delivery);
      const before = tails.get(lane) ?? Promise.resolve();
      const work = before
        .then(() => slots(() => attempt(delivery, payload)))
        .then(() => {
          if (!failed.has(guid)) justFinished.add(guid);
          busy.delete(guid);
          if (tails.get(lane) === work) tails.delete(lane);
          if (more && busy.size < batch / 2) wake();
        });
      tails.set(lane, work);
      busy.set(guid, work);
    }
  }

  /** Never throws: what fails is noted for another try. */
  async function attempt(delivery: Delivery, payload: unknown): Promise<void> {
    if (closing.signal.aborted) return;
    const { guid, event } = delivery;
    try {
      const result = await within(giveUpMs, receive(guid, event, payload));
      await options.store.finish(guid, result, Date.now());
      failed.delete(guid);
    } catch (error) {
      await retryLater(delivery, causeOf(error));
    } finally {
      results.delete(guid);
    }
  }

  async function receive(guid: string, event: string, payload: unknown): Promise<string> {
    if (payload === undefined) return 'Ignored: the body is no JSON object.';
    if (!isHandled(event)) return handle(event, payload);
    await probot.receive({ id: guid, name: event, payload } as Parameters<typeof probot.receive>[0]);
    return results.get(guid) ?? 'Ignored: no handler took it.';
  }

  async function handle(name: string, payload: unknown): Promise<string> {
    const understood = understand(name, payload, options.github.appId);
    const event = understood.kind === 'tag_to_resolve' ? await resolveTag(understood) : understood;
    return event.kind === 'ignored' ? `Ignored: ${event.reason}` : options.intake(event);
  }

  async function resolveTag({ repository, trigger }: TagToResolve): Promise<Event> {
    const sha = await options.resolve(repository, trigger.ref);
    if (sha === null) return { kind: 'ignored', reason: `${trigger.ref} names no commit.` };
    return { kind: 'trigger', repository, trigger: { ...trigger, sha } };
  }

  async function retryLater({ guid, event }: Delivery, error: unknown): Promise<void> {
    const times = failed.get(guid)?.times ?? 0;
    const wait = error instanceof ZodError ? undefined : retryMs[times];
    if (wait !== undefined) {
      failed.set(guid, { times: times + 1, notBefore: Date.now() + wait });
      options.logger.warn({ ...told(error), guid, event }, `A delivery failed; it is tried again in ${wait / 1000} s.`);
      wakeIn(wait);
      return;
    }
    options.logger.error({ ...told(error), guid, event }, 'A delivery failed for good.');
    const why = error instanceof Error ? error.message : String(error);
    const result = error instanceof ZodError ? `Ignored: the payload is not as documented: ${why}` : `Failed: ${why}`;
    try {
      await options.store.finish(guid, result, Date.now());
      failed.delete(guid);
    } catch {
      failed.set(guid, { times, notBefore: Date.now() + 5_000 });
      wakeIn(5_000);
    }
  }

  /** Wakes at this time, unless it wakes earlier anyway. */
  function wakeIn(ms: number): void {
    const at = Date.now() + ms;
    if (alarm && alarm.at <= at) return;
    if (alarm) clearTimeout(alarm.timer);
    const timer = setTimeout(() => {
      alarm = null;
      wake();
    }, ms);
    timer.unref();
    alarm = { at, timer };
  }
}

/** Runs at most `limit` tasks at once. */
function createSlots(limit: number): (task: () => Promise<void>) => Promise<void> {
  const queue: (() => void)[] = [];
  let active = 0;
  return async (task) => {
    if (active >= limit) await new Promise<void>((resolve) => queue.push(resolve));
    else active += 1;
    try {
      await task();
    } finally {
      const next = queue.shift();
      if (next) next();
      else active -= 1;
    }
  };
}

/** The payload (undefined if it is no JSON object) and the lane in which its order matters. */
function parse(delivery: Delivery): { readonly payload: unknown; readonly lane: string } {
  try {
    const payload: unknown = JSON.parse(delivery.body.toString());
    if (typeof payload !== 'object' || payload === null) return { payload: undefined, lane: 'none' };
    const repository = (payload as { repository?: { id?: unknown } }).repository?.id;
    return { payload, lane: typeof repository === 'number' ? `${repository}` : 'none' };
  } catch {
    return { payload: undefined, lane: 'none' };
  }
}

/** Probot wraps what a handler throws. */
function causeOf(error: unknown): unknown {
  return error instanceof AggregateError ? (error.errors[0] as unknown) : error;
}

/** What the log gets of an error. Probot hangs the whole payload on it, which is too much and may be private. */
function told(error: unknown): { readonly error: string; readonly stack: string | undefined } {
  return error instanceof Error
    ? { error: error.message, stack: error.stack }
    : { error: String(error), stack: undefined };
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${ms / 60_000} minutes.`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
