import type { ToldStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

export function toldStore(db: Database): ToldStore {
  return {
    async get(key) {
      const row = await db.selectFrom('told').select('value').where('key', '=', key).executeTakeFirst();
      return row?.value ?? null;
    },

    async set(key, value) {
      await db
        .insertInto('told')
        .values({ key, value })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute();
    },
  };
}
