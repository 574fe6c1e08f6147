import type { ToldStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

export function toldStore(db: Database): ToldStore {
  return {
    async get(key) {
      const row = await db.selectFrom('told').select('value').where('key', '=', key).executeTakeFirst();
      return row?.value ?? null;
    },

    async remove(prefix) {
      // Above every character that a key may hold.
      await db.deleteFrom('told').where('key', '>=', prefix).where('key', '<', `${prefix}\u{10ffff}`).execute();
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
