import { sql } from 'kysely';
import type { Delivery, DeliveryStore } from '#src/engine/store.ts';
import { inBatches } from './batches.ts';
import type { Database } from './schema.ts';
import type { Sqlite } from './sqlite.ts';

/** What a batch holds at most: GitHub's bodies have up to 25 MB, most of them 10 KB. */
const batchLimit = 100;

/** Texts a statement, so that no limit of parameters is met. */
const textsAtOnce = 500;

/** The log of webhooks: what is added here is answered, so it must be on the disk by then. */
export function deliveryStore(db: Database, sqlite: Sqlite | null): DeliveryStore {
  return {
    ...(sqlite ? sqliteWriter(db, sqlite) : postgresWriter(db)),

    async pending(limit) {
      const rows = await db
        .selectFrom('deliveries')
        .select(['guid', 'event', 'body', 'received_at'])
        .where('finished_at', 'is', null)
        .orderBy('seq')
        .limit(limit)
        .execute();
      return rows.map(
        (row): Delivery => ({
          guid: row.guid,
          event: row.event,
          body: Buffer.from(row.body.buffer, row.body.byteOffset, row.body.byteLength),
          receivedAt: row.received_at,
        }),
      );
    },

    async missing(guids) {
      const missing = new Set(guids);
      for (let i = 0; i < guids.length; i += textsAtOnce) {
        const known = await db
          .selectFrom('deliveries')
          .select('guid')
          .where('guid', 'in', guids.slice(i, i + textsAtOnce))
          .execute();
        for (const row of known) missing.delete(row.guid);
      }
      return [...missing];
    },

    async forget(before, limit) {
      const result = await db
        .deleteFrom('deliveries')
        .where('seq', 'in', (eb) =>
          eb.selectFrom('deliveries').select('seq').where('finished_at', '<', before).orderBy('seq').limit(limit),
        )
        .executeTakeFirst();
      return Number(result.numDeletedRows);
    },

    async get(guid) {
      const row = await db
        .selectFrom('deliveries')
        .select(['event', 'received_at', 'finished_at', 'result'])
        .where('guid', '=', guid)
        .executeTakeFirst();
      if (!row) return null;
      return { event: row.event, receivedAt: row.received_at, finishedAt: row.finished_at, result: row.result };
    },
  };
}

type Writer = Pick<DeliveryStore, 'add' | 'finish'>;

interface Finish {
  readonly guid: string;
  readonly result: string;
  readonly at: number;
}

/**
 * Deliveries that arrive in one turn of the event loop share a transaction, and so one fsync. These are the only
 * queries that go past Kysely: their statements are prepared once, and nothing is compiled for a delivery.
 */
function sqliteWriter(db: Database, sqlite: Sqlite): Writer {
  const insert = sqlite.prepare(
    'insert into deliveries (guid, event, body, received_at) values (?, ?, ?, ?) on conflict (guid) do nothing',
  );
  const update = sqlite.prepare('update deliveries set finished_at = ?, result = ? where guid = ?');

  function batches<T, R>(write: (item: T) => R): (item: T) => Promise<R> {
    return inBatches(batchLimit, (take: () => readonly T[]) =>
      // Kysely's lock is held, so that no transaction of another query is open on the connection.
      db.connection().execute(async () => {
        const items = take();
        // A statement alone is a transaction of its own, without the cost of saying so.
        return items.length === 1 ? items.map(write) : sqlite.transaction(() => items.map(write));
      }),
    );
  }

  const finish = batches((f: Finish) => {
    update.run([f.at, f.result, f.guid]);
  });
  return {
    add: batches((d: Delivery) => insert.run([d.guid, d.event, d.body, d.receivedAt]).changes === 1),
    finish: (guid, result, at) => finish({ guid, result, at }),
  };
}

/** One statement for all that arrive in one turn, and while the one before is under way. */
function postgresWriter(db: Database): Writer {
  const add = inBatches(batchLimit, async (take: () => readonly Delivery[]) => {
    const items = take();
    const added = new Set<string>();
    for (const part of bySize(items)) {
      const rows = await db
        .insertInto('deliveries')
        .values(part.map((d) => ({ guid: d.guid, event: d.event, body: d.body, received_at: d.receivedAt })))
        .onConflict((conflict) => conflict.column('guid').doNothing())
        .returning('guid')
        .execute();
      for (const row of rows) added.add(row.guid);
    }
    // Of several with the same GUID the first was added.
    return items.map((d) => added.delete(d.guid));
  });
  const finish = inBatches(batchLimit, async (take: () => readonly Finish[]) => {
    const items = take();
    const last = [...new Map(items.map((f) => [f.guid, f])).values()];
    const values = last.map((f) => sql`(${f.guid}::text, ${f.result}::text, ${f.at}::bigint)`);
    await sql`
      update deliveries set finished_at = done.at, result = done.result
      from (values ${sql.join(values)}) as done (guid, result, at) where deliveries.guid = done.guid`.execute(db);
    return items.map(() => {});
  });
  return { add, finish: (guid, result, at) => finish({ guid, result, at }) };
}

/** PostgreSQL takes a statement of up to 1 GB; far less is gentle to the memory of both. */
const bytesAtOnce = 32 * 1024 * 1024;

/** In their order, cut where the bodies become too much for one statement. */
function bySize(all: readonly Delivery[]): Delivery[][] {
  const parts: Delivery[][] = [];
  let room = 0;
  for (const delivery of all) {
    room -= delivery.body.length;
    const part = parts.at(-1);
    if (part !== undefined && room >= 0) {
      part.push(delivery);
    } else {
      parts.push([delivery]);
      room = bytesAtOnce - delivery.body.length;
    }
  }
  return parts;
}
