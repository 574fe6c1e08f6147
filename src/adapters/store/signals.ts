import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Client } from 'pg';
import type { Logger } from 'pino';
import type { Signals, Topic } from '#src/engine/store.ts';
import type { Postgres } from './postgres.ts';
import type { Database } from './schema.ts';

export interface OpenSignals extends Signals {
  /** Sends what is still to be sent and hears nothing more. */
  close(): Promise<void>;
}

/** Signals within this process: enough where one server has the database. */
export function localSignals(log: Logger | undefined): OpenSignals {
  const listeners = new Map<(subject: string) => void, Topic>();

  function hear(topic: Topic, subject: string): void {
    for (const [heard, of] of listeners) if (of === topic) tell(heard, subject);
  }

  function tell(heard: (subject: string) => void, subject: string): void {
    // Not from within `send`: a listener that sends in turn must not go round in circles on the stack.
    queueMicrotask(() => {
      if (!listeners.has(heard)) return;
      try {
        heard(subject);
      } catch (error) {
        log?.error({ err: error }, 'a listener to signals failed');
      }
    });
  }

  return {
    send: hear,
    listen(topic, heard) {
      // Each listener is one of its own, even if it is the same function.
      const own = (subject: string) => heard(subject);
      listeners.set(own, topic);
      return () => void listeners.delete(own);
    },
    async close() {
      listeners.clear();
    },
  };
}

const channel = 'slipway';
const topics: readonly Topic[] = ['jobs', 'run', 'deliveries'];

/** More words than this at once are replaced by one for each topic: look at everything. */
const wordsAtOnce = 1_000;
/** PostgreSQL takes 8,000 bytes, and ids are short. */
const longestWord = 1_000;
const firstPauseMs = 100;
const longestPauseMs = 5_000;
/** How often a quiet connection is asked whether it lives; a dead one may not say so. */
const askMs = 30_000;

/**
 * Signals between servers by LISTEN and NOTIFY. Rejects with PlatformError if the database can't be listened to at the
 * start; a connection lost later is opened again by itself, and all listeners hear '' then.
 */
export async function postgresSignals(db: Database, postgres: Postgres, log: Logger | undefined): Promise<OpenSignals> {
  const local = localSignals(log);
  const self = randomUUID();
  const closing = new AbortController();
  let client: Client | null = null;
  let following: Promise<void> = Promise.resolve();
  let words = new Set<string>();
  let sending: Promise<void> | null = null;

  /** Opens the connection and follows it. Resolves when it listens. */
  async function open(): Promise<void> {
    const next = postgres.single();
    const lost = Promise.withResolvers<void>();
    next.on('error', () => lost.resolve());
    next.on('end', () => lost.resolve());
    next.on('notification', ({ payload = '' }) => {
      const [from, topic, ...subject] = payload.split(' ');
      if (from !== self && isTopic(topic)) local.send(topic, subject.join(' '));
    });
    try {
      await next.connect();
      await next.query(`listen ${channel}`);
    } catch (error) {
      await end(next);
      throw postgres.failure(error);
    }
    if (closing.signal.aborted) return end(next);
    // Listening alone doesn't keep the process alive.
    socketOf(next).unref();
    client = next;
    const asking = setInterval(() => void next.query('select 1').catch(() => lost.resolve()), askMs).unref();
    void lost.promise.then(() => {
      clearInterval(asking);
      void end(next);
      if (!closing.signal.aborted) following = reopen();
    });
  }

  async function reopen(): Promise<void> {
    log?.warn(`The database ${postgres.where} is not heard any more; connecting again`);
    client = null;
    for (let pause = firstPauseMs; !closing.signal.aborted; pause = Math.min(longestPauseMs, pause * 2)) {
      await sleep(pause, closing.signal);
      try {
        if (closing.signal.aborted) return;
        await open();
        log?.info(`The database ${postgres.where} is heard again`);
        for (const topic of topics) local.send(topic, '');
        return;
      } catch {
        // Said above once; whoever calls the store hears the reason.
      }
    }
  }

  async function flush(): Promise<void> {
    let failing = false;
    while (words.size > 0) {
      const batch = [...words];
      words = new Set();
      try {
        const rows = sql.join(batch.map((word) => sql`(${word})`));
        await sql`select pg_notify(${channel}, word) from (values ${rows}) as words (word)`.execute(db);
      } catch (error) {
        if (!failing) log?.warn({ err: error }, 'other servers could not be told; they look by themselves');
        failing = true;
      }
    }
    sending = null;
  }

  await open();
  return {
    listen: (topic, heard) => local.listen(topic, heard),

    send(topic, subject) {
      local.send(topic, subject);
      if (closing.signal.aborted) return;
      if (words.size >= wordsAtOnce) words = new Set(topics.map((each) => `${self} ${each} `));
      words.add(`${self} ${topic} ${subject.length > longestWord ? '' : subject}`);
      sending ??= new Promise((resolve) => setImmediate(resolve)).then(flush);
    },

    async close() {
      closing.abort();
      await sending;
      await following;
      if (client) await end(client);
      await local.close();
    },
  };
}

function isTopic(topic: string | undefined): topic is Topic {
  return topics.some((known) => known === topic);
}

/** The driver has these, its types don't. */
function socketOf(client: Client): { ref(): void; unref(): void } {
  return client as unknown as { ref(): void; unref(): void };
}

/** Ends the connection, in whatever state it is, and waits a moment for it. */
async function end(client: Client): Promise<void> {
  const patience = new AbortController();
  socketOf(client).ref();
  await Promise.race([client.end().catch(() => {}), sleep(2_000, patience.signal)]);
  patience.abort();
}

/** Resolves after so long, or at the abortion. Doesn't keep the process alive. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms).unref();
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
