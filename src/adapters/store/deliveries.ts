import type { Delivery, DeliveryStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';
import type { Sqlite } from './sqlite.ts';

/** The log of webhooks: what is added here is answered, so it must be on the disk by then. */
export function deliveryStore(db: Database, sqlite: Sqlite): DeliveryStore {
  return {
    add: groupCommit(db, sqlite),

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

    async finish(guid, result, at) {
      await db.updateTable('deliveries').set({ finished_at: at, result }).where('guid', '=', guid).execute();
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

interface Waiting {
  readonly delivery: Delivery;
  resolve(added: boolean): void;
  reject(error: unknown): void;
}

/**
 * All deliveries that arrive in one turn of the event loop share a transaction, and so one fsync. This is the
 * only query that goes past Kysely: its statement is prepared once, and nothing is compiled for a delivery.
 */
function groupCommit(db: Database, sqlite: Sqlite): DeliveryStore['add'] {
  const insert = sqlite.prepare(
    'insert into deliveries (guid, event, body, received_at) values (?, ?, ?, ?) on conflict (guid) do nothing',
  );
  let waiting: Waiting[] = [];

  async function flush(): Promise<void> {
    let batch: Waiting[] = [];
    try {
      // Kysely's lock is held, so that no transaction of another query is open on the connection.
      const added = await db.connection().execute(async () => {
        batch = waiting;
        waiting = [];
        // A statement alone is a transaction of its own, without the cost of saying so.
        return batch.length === 1 ? batch.map(put) : sqlite.transaction(() => batch.map(put));
      });
      batch.forEach((one, i) => one.resolve(added[i] ?? false));
    } catch (error) {
      if (batch.length === 0) [batch, waiting] = [waiting, []];
      for (const one of batch) one.reject(error);
    }
  }

  function put({ delivery: d }: Waiting): boolean {
    return insert.run([d.guid, d.event, d.body, d.receivedAt]).changes === 1;
  }

  return (delivery) =>
    new Promise((resolve, reject) => {
      waiting.push({ delivery, resolve, reject });
      if (waiting.length === 1) setImmediate(() => void flush());
    });
}
