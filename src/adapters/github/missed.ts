import { z } from 'zod';
import type { Logger } from 'pino';
import type { Clock } from '#src/engine/ports.ts';
import type { DeliveryStore, ToldStore } from '#src/engine/store.ts';
import { ask, pages, statusOf } from './ask.ts';
import { describe, faultOf } from './faults.ts';
import type { Client, GitHub } from './github.ts';
import { isOfUse } from './understand.ts';

export interface MissedParts {
  readonly github: Pick<GitHub, 'probot'>;
  readonly store: {
    readonly deliveries: Pick<DeliveryStore, 'missing' | 'add'>;
    readonly told: ToldStore;
  };
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Missed {
  /** Deliveries that were stored as if they had arrived. */
  taken: number;
  /** Deliveries that GitHub was asked to send again. */
  asked: number;
}

/** GitHub keeps deliveries for so long. */
const keptMs = 3 * 24 * 3_600_000;
/** A delivery may be listed some time after the moment that it bears. */
const marginMs = 10 * 60_000;
const atOnce = 4;
const mostFailures = 4;
const stateKey = 'github/deliveries';

const state = z.object({
  /** When deliveries were first looked for: what was answered before isn't this database's. */
  from: z.number(),
  /** All deliveries up to here have been looked at. By GitHub's clock, as `from`. */
  until: z.number(),
  /** GUIDs of which GitHub was asked for another delivery, with the time of it. */
  asked: z.array(z.tuple([z.string(), z.number()])),
});
type State = z.infer<typeof state>;

const item = z.object({
  id: z.union([z.number(), z.string()]),
  guid: z.string(),
  delivered_at: z.string().transform((text) => Date.parse(text)),
  status_code: z.number(),
  event: z.string(),
  action: z.string().nullish(),
});
type Item = z.infer<typeof item>;

/**
 * Stores the deliveries that GitHub made and the server never got, oldest first, and counts them in `missed` as it goes. Throws when
 * GitHub or the database fails; the next look begins where the last complete one ended.
 */
export async function takeMissed(parts: MissedParts, missed: Missed, signal: AbortSignal): Promise<void> {
  const { deliveries, told } = parts.store;
  const before = readState(await told.get(stateKey));
  const client = await parts.github.probot.auth();
  const now = parts.clock.now();
  const { items, at } = await list(client, before, now, signal);
  const unknown = new Set<string>();
  const guids = items.map(({ guid }) => guid);
  for (let i = 0; i < guids.length; i += 500) {
    for (const guid of await deliveries.missing(guids.slice(i, i + 500))) unknown.add(guid);
  }
  const asked = new Map(before?.asked.filter(([, time]) => time > now - keptMs));
  const wanted = items.filter(({ guid }) => unknown.has(guid));
  const failures: unknown[] = [];
  try {
    for (let i = 0; i < wanted.length; i += atOnce) {
      const some = wanted.slice(i, i + atOnce);
      const bodies = await Promise.all(some.map((it) => bodyOf(client, it, signal).catch(failing)));
      for (const [index, { id, guid, event }] of some.entries()) {
        const body = bodies[index];
        if (body === undefined) continue;
        if (body !== null) {
          if (await deliveries.add({ guid, event, body, receivedAt: parts.clock.now() })) missed.taken += 1;
        } else if (!asked.has(guid)) {
          if (await askAgain(parts, client, id, guid, signal)) missed.asked += 1;
          asked.set(guid, now);
        }
      }
    }
    if (failures.length > 0) throw failures[0];
  } catch (error) {
    // Another delivery is asked for once, whatever failed then.
    if (missed.asked > 0) await save(before?.until ?? 0);
    throw error;
  }
  await save(at ?? now);

  /** One that GitHub can't show now doesn't keep back the others, unless it shows none. */
  function failing(error: unknown): undefined {
    signal.throwIfAborted();
    failures.push(error);
    if (failures.length >= mostFailures || faultOf(error, Date.now()).kind !== 'transient') throw error;
  }

  async function save(until: number): Promise<void> {
    const after: State = { from: before?.from ?? at ?? now, until, asked: [...asked] };
    await told.set(stateKey, JSON.stringify(after));
  }
}

/** Deliveries that may have been missed, each GUID once, oldest first; and GitHub's time when they were asked for. */
async function list(
  client: Client,
  before: State | null,
  now: number,
  signal: AbortSignal,
): Promise<{ readonly items: readonly Item[]; readonly at: number | null }> {
  const oldest = Math.max(now - keptMs, (before?.until ?? 0) - marginMs);
  const found = new Map<string, Item>();
  let at: number | null = null;
  const parameters = { per_page: 100, ...(before === null ? { status: 'failure' } : {}) };
  for await (const page of pages(client, { route: 'GET /app/hook/deliveries', parameters, again: true }, signal)) {
    at ??= page.at;
    const items = z.array(item).parse(page.data);
    for (const it of items) {
      // What succeeded is looked for too: a database that was put back from a copy lacks what came since.
      const failed = it.status_code < 200 || it.status_code >= 300;
      const ours = before !== null && it.delivered_at > before.from;
      if (it.delivered_at < oldest || !isOfUse(it.event, it.action ?? null) || !(failed || ours)) continue;
      // Newest first: the id of the newest attempt, the time of the first.
      found.set(it.guid, { ...(found.get(it.guid) ?? it), delivered_at: it.delivered_at });
    }
    if ((items.at(-1)?.delivered_at ?? 0) < oldest) break;
  }
  // Times are in whole seconds; within one the list's own order counts.
  const items = [...found.values()].toReversed().sort((a, b) => a.delivered_at - b.delivered_at);
  return { items, at };
}

/** The delivery's body, or null if GitHub hasn't got it any more. */
async function bodyOf(client: Client, { id }: Item, signal: AbortSignal): Promise<Buffer | null> {
  try {
    const answer = await ask(client, { route: `GET /app/hook/deliveries/${id}`, again: true }, signal);
    const { request } = z
      .object({ request: z.object({ payload: z.record(z.string(), z.unknown()).nullish() }).nullish() })
      .parse(answer?.data);
    return request?.payload ? Buffer.from(JSON.stringify(request.payload)) : null;
  } catch (error) {
    signal.throwIfAborted();
    if (isRefusal(error)) return null;
    throw error;
  }
}

async function askAgain(
  parts: MissedParts,
  client: Client,
  id: Item['id'],
  guid: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await ask(client, { route: `POST /app/hook/deliveries/${id}/attempts`, again: true }, signal);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (!isRefusal(error)) throw error;
    parts.logger.warn(
      { guid, error: describe(error) },
      'A delivery that was missed is gone: GitHub has no copy of it.',
    );
    return false;
  }
}

/** True if asking again won't help, and it is this one delivery that GitHub refuses. */
function isRefusal(error: unknown): boolean {
  return faultOf(error, Date.now()).kind === 'permanent' && statusOf(error) !== 401 && statusOf(error) !== 403;
}

function readState(text: string | null): State | null {
  if (text === null) return null;
  try {
    return state.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
