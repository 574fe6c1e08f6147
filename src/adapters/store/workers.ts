import type { WorkerStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

/** The servers on this database, and which of them leads. */
export function workerStore(db: Database): WorkerStore {
  return {
    async enter({ id, place, engine }) {
      await db
        .insertInto('workers')
        .values({ id, place, engine, beats: 0 })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ place, engine }))
        .execute();
    },

    async beat(id) {
      const { numUpdatedRows } = await db
        .updateTable('workers')
        .set((eb) => ({ beats: eb('beats', '+', 1) }))
        .where('id', '=', id)
        .executeTakeFirst();
      return numUpdatedRows > 0;
    },

    async all() {
      return db.selectFrom('workers').select(['id', 'place', 'engine', 'beats']).orderBy('id').execute();
    },

    async owners() {
      const rows = await db.selectFrom('jobs').select('worker').distinct().where('state', '=', 'running').execute();
      return rows.flatMap((row) => row.worker ?? []);
    },

    async remove(id) {
      await db.transaction().execute(async (tx) => {
        await tx.deleteFrom('workers').where('id', '=', id).execute();
        await tx.updateTable('leader').set({ worker: null }).where('worker', '=', id).execute();
      });
    },

    async leader() {
      return (await db.selectFrom('leader').select('worker').executeTakeFirst())?.worker ?? null;
    },

    async lead(id, instead) {
      const query = db
        .updateTable('leader')
        .set({ worker: id })
        // Who was removed leads no more, even if it doesn't know that yet.
        .where((eb) => eb.exists(eb.selectFrom('workers').select('id').where('id', '=', id)));
      const { numUpdatedRows } = await (instead === null
        ? query.where('worker', 'is', null)
        : query.where('worker', '=', instead)
      ).executeTakeFirst();
      return numUpdatedRows > 0;
    },
  };
}
