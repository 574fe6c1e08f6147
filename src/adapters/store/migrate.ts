import type { Kysely } from 'kysely';
import type { Clock } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import * as first from './migrations/0001-first.ts';
import type { Database } from './schema.ts';

export interface Migration {
  readonly name: string;
  up(db: Kysely<unknown>): Promise<void>;
}

/** In order. A released migration is never changed: what must change gets a new one. */
export const migrations: readonly Migration[] = [{ name: '0001-first', up: first.up }];

/**
 * Brings the database to this version, in one transaction: it is done entirely or not at all. Forward only.
 * A database that a newer version has migrated is refused with PlatformError and left as it is. Kysely's own
 * Migrator doesn't use a transaction on SQLite.
 */
export async function migrate(db: Database, clock: Clock, wanted: readonly Migration[] = migrations): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx.schema
      .createTable('migrations')
      .ifNotExists()
      .addColumn('name', 'text', (c) => c.primaryKey())
      .addColumn('at', 'bigint', (c) => c.notNull())
      .execute();
    const done = new Set((await tx.selectFrom('migrations').select('name').execute()).map((row) => row.name));
    const known = new Set(wanted.map((migration) => migration.name));
    const unknown = [...done].filter((name) => !known.has(name));
    if (unknown.length > 0) {
      throw new PlatformError(
        `The database belongs to a newer version of Slipway (it has ${unknown.sort().join(', ')}). ` +
          'Start that version again, or restore the backup made before the update.',
      );
    }
    for (const migration of wanted) {
      if (done.has(migration.name)) continue;
      await migration.up(tx as unknown as Kysely<unknown>);
      await tx.insertInto('migrations').values({ name: migration.name, at: clock.now() }).execute();
    }
  });
}
