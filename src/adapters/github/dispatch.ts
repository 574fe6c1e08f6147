import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Probot } from 'probot';
import { ZodError } from 'zod';
import type { Intake } from '#src/engine/ports.ts';
import { repeat } from '#src/engine/repeat.ts';
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
  /** An installation gained or lost repositories. */
  readonly onInstallation?: () => void;
  /** Milliseconds before the next try, by number of failed ones; after the last the delivery is given up. */
  readonly retryMs?: readonly number[];
}

export interface Dispatcher {
  /** Something new may be stored. Call it at start and after each stored delivery; it costs nothing. */
  readonly wake: () => void;
  /** Takes nothing new and waits for what is under way, at most so long. What isn't finished stays to be done. */
  close(deadlineMs?: number): Promise<void>;
}

/** Deliveries of different repositories are handled side by side, this many at most. */
const lanes = 8;
const batch = 64;
const stormMs = 20;
const giveUpMs = 5 * 60_000;
const closeMs = 10_000;
/** Answers under way, which are told beside the lanes. More than GitHub takes in an hour: then the lanes wait for them. */
const mostTellings = 500;

/** About two hours in all: long enough for an outage of GitHub or of a disk. */
const defaultRetryMs = [1, 2, 4, 8, 16, 32, 64, 128, 256, ...Array.from({ length: 12 }, () => 600)].map(
  (s) => s * 1000,
);

/**
 * Feeds stored deliveries to Probot's handlers: in the order they came within a repository, each until its
 * handler succeeded, then marked with what came of it. One that fails is tried again later and holds up no other. Nor does what
 * people are still to be answered: the delivery is marked once that is told, and the next one goes on meanwhile.
 */
export async function openDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const retryMs = options.retryMs ?? defaultRetryMs;
  const probot = await options.github.probot.ready();
  const { handlers, busy, telling, justFinished, tails, left } = deskOf(probot);
  const failed = new Map<string, { readonly times: number; readonly notBefore: number }>();
  const slots = createSlots(lanes);
  const closing = new AbortController();
  const looking = repeat(look);
  /** What this dispatcher began. */
  const own = new Map<string, Promise<void>>();
  const ownTellings = new Set<Promise<void>>();
  let more = false;
  let alarm: { readonly at: number; readonly timer: NodeJS.Timeout } | null = null;
  // What a dispatcher before this one still works on, or put back, is looked at again when that has ended.
  for (const work of left.splice(0)) void work.then(wake);

  return {
    wake,
    async close(deadlineMs = closeMs) {
      closing.abort();
      if (alarm) clearTimeout(alarm.timer);
      const all = looking
        .settled()
        .then(() => Promise.all(own.values()))
        .then(() => Promise.all(ownTellings));
      left.push(...own.values(), ...ownTellings);
      await Promise.race([all, sleep(deadlineMs, undefined, { ref: false })]);
    },
  };

  function wake(): void {
    if (!closing.signal.aborted) looking.ask();
  }

  /** Puts everything that is pending and due on its lane. */
  async function look(): Promise<void> {
    if (closing.signal.aborted) return;
    try {
      await takeBatch();
      // In a storm each delivery would ask the store again, which then has less time for storing.
      if (busy.size > 0) await sleep(stormMs, undefined, { ref: false, signal: closing.signal }).catch(() => undefined);
    } catch (error) {
      options.logger.error({ err: error }, 'Stored deliveries could not be read; trying again in 5 s.');
      wakeIn(5_000);
    }
  }

  async function takeBatch(): Promise<void> {
    if (own.size >= batch / 2) {
      more = true;
      return;
    }
    const limit = batch + busy.size + telling.size + failed.size;
    justFinished.clear();
    const pending = await options.store.pending(limit);
    if (closing.signal.aborted) return;
    more = pending.length >= limit;
    const now = performance.now();
    /** Lanes in which the dispatcher before this one still has something: what came later waits for it. */
    const blocked = new Set<string>();
    for (const delivery of pending) {
      const { guid } = delivery;
      const wait = (failed.get(guid)?.notBefore ?? 0) - now;
      if (wait > 0) wakeIn(wait);
      if (own.has(guid) || telling.has(guid) || justFinished.has(guid) || wait > 0) continue;
      const { payload, lane } = parse(delivery);
      if (busy.has(guid)) blocked.add(lane);
      if (blocked.has(lane)) continue;
      const ahead = tails.get(lane) ?? Promise.resolve();
      const work = ahead
        .then(() => slots(() => attempt(delivery, payload)))
        .then(() => {
          busy.delete(guid);
          own.delete(guid);
          if (tails.get(lane) === work) tails.delete(lane);
          if (more && own.size < batch / 2) wake();
        });
      tails.set(lane, work);
      busy.add(guid);
      own.set(guid, work);
    }
  }

  /** Never throws: what fails is noted for another try. */
  async function attempt(delivery: Delivery, payload: unknown): Promise<void> {
    if (closing.signal.aborted) return;
    const { guid, event } = delivery;
    try {
      const { result, tell } = await within(giveUpMs, receive(guid, event, payload));
      if (tell === null) await finish(guid, result);
      else await beside({ guid, event }, result, tell);
    } catch (error) {
      await retryLater(delivery, causeOf(error));
    } finally {
      handlers.delete(guid);
    }
  }

  /** Tells what is left to be told while the lane goes on. Never throws. */
  async function beside(about: About, result: string, tell: Tell): Promise<void> {
    const { guid } = about;
    telling.add(guid);
    const work = within(giveUpMs, tell())
      .then(() => finish(guid, result))
      .catch((error: unknown) => retryLater(about, error))
      .then(() => {
        telling.delete(guid);
        ownTellings.delete(work);
        if (more) wake();
      });
    ownTellings.add(work);
    // Who follows a dispatcher that was closed waits for its lanes alone.
    if (telling.size > mostTellings || closing.signal.aborted) await work;
  }

  async function receive(guid: string, event: string, payload: unknown): Promise<Handled> {
    if (payload === undefined) return { result: 'Ignored: the body is no JSON object.', tell: null };
    const tells: Tell[] = [];
    const handled = (result: string): Handled => ({ result, tell: tells[0] ?? null });
    if (!isHandled(event)) return handled(await handle(event, payload, (tell) => tells.push(tell)));
    let result = 'Ignored: no handler took it.';
    handlers.set(guid, async () => {
      result = await handle(event, payload, (tell) => tells.push(tell));
    });
    await probot.receive({ id: guid, name: event, payload } as Parameters<typeof probot.receive>[0]);
    return handled(result);
  }

  async function handle(name: string, payload: unknown, later: (tell: Tell) => void): Promise<string> {
    const understood = understand(name, payload, options.github.appId);
    const event = understood.kind === 'tag_to_resolve' ? await resolveTag(understood) : understood;
    if (event.kind === 'ignored') return `Ignored: ${event.reason}`;
    const result = await options.intake(event, later);
    if (event.kind === 'installation') options.onInstallation?.();
    return result;
  }

  async function resolveTag({ repository, trigger }: TagToResolve): Promise<Event> {
    const sha = await options.resolve(repository, trigger.ref);
    if (sha === null) return { kind: 'ignored', reason: `${trigger.ref} names no commit.` };
    return { kind: 'trigger', repository, trigger: { ...trigger, sha } };
  }

  async function retryLater({ guid, event }: About, error: unknown): Promise<void> {
    const times = failed.get(guid)?.times ?? 0;
    const wait = error instanceof ZodError ? undefined : retryMs[times];
    if (wait !== undefined) {
      failed.set(guid, { times: times + 1, notBefore: performance.now() + wait });
      options.logger.warn({ ...told(error), guid, event }, `A delivery failed; it is tried again in ${wait / 1000} s.`);
      wakeIn(wait);
      return;
    }
    options.logger.error({ ...told(error), guid, event }, 'A delivery failed for good.');
    const why = error instanceof Error ? error.message : String(error);
    const result = error instanceof ZodError ? `Ignored: the payload is not as documented: ${why}` : `Failed: ${why}`;
    try {
      await finish(guid, result);
    } catch {
      failed.set(guid, { times, notBefore: performance.now() + 5_000 });
      wakeIn(5_000);
    }
  }

  async function finish(guid: string, result: string): Promise<void> {
    await options.store.finish(guid, result, Date.now());
    failed.delete(guid);
    justFinished.add(guid);
  }

  /** Wakes at this time, unless it wakes earlier anyway. */
  function wakeIn(ms: number): void {
    if (closing.signal.aborted) return;
    const at = performance.now() + ms;
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

type Tell = () => Promise<void>;
type About = Pick<Delivery, 'guid' | 'event'>;

interface Handled {
  readonly result: string;
  /** What people are still to be answered. */
  readonly tell: Tell | null;
}

/** What all dispatchers of one process share, so that one that follows another handles nothing at the same time. */
interface Desk {
  /** What to do with a delivery that Probot was given, by GUID. */
  readonly handlers: Map<string, () => Promise<void>>;
  /** GUIDs of what is under way. */
  readonly busy: Set<string>;
  /** GUIDs of what was carried out, and of which people are still to be answered. */
  readonly telling: Set<string>;
  /** Finished while the store was being asked: its answer may still hold them. */
  readonly justFinished: Set<string>;
  /** The end of each lane's queue. */
  readonly tails: Map<string, Promise<void>>;
  /** What dispatchers that were closed still work on. */
  readonly left: Promise<void>[];
}

const desks = new WeakMap<Probot, Desk>();

function deskOf(probot: Probot): Desk {
  const known = desks.get(probot);
  if (known) return known;
  const desk: Desk = {
    handlers: new Map(),
    busy: new Set(),
    telling: new Set(),
    justFinished: new Set(),
    tails: new Map(),
    left: [],
  };
  desks.set(probot, desk);
  // Probot forgets no handler: one for each event, which serves every dispatcher.
  for (const name of handledEvents) probot.on(name, async (context) => desk.handlers.get(context.id)?.());
  return desk;
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
