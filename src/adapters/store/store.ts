import { Kysely, SqliteDialect, sql } from 'kysely';
import type { Clock } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { auditStore } from './audit.ts';
import { deliveryStore } from './deliveries.ts';
import { deploymentStore } from './deployments.ts';
import { idMaker } from './ids.ts';
import { imageStore } from './images.ts';
import { migrate } from './migrate.ts';
import { runStore } from './runs.ts';
import type { Tables } from './schema.ts';
import { Sqlite } from './sqlite.ts';
import { toldStore } from './told.ts';

/**
 * Opens the database, makes it if there is none, and brings it to this version. `path` is a file, or `:memory:`.
 * PlatformError if it can't be opened or belongs to a newer version. Whoever opened it must close it.
 */
export async function openStore({ path, clock }: { readonly path: string; readonly clock: Clock }): Promise<Store> {
  const sqlite = new Sqlite(path);
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) });
  try {
    await migrate(db, clock);
  } catch (error) {
    sqlite.close();
    throw error;
  }
  const newId = idMaker(clock);
  return {
    deliveries: deliveryStore(db, sqlite),
    runs: runStore(db, newId),
    images: imageStore(db),
    deployments: deploymentStore(db),
    audit: auditStore(db, newId),
    told: toldStore(db),

    async ping() {
      await sql`select 1`.execute(db);
    },

    async close() {
      // Whoever holds the connection finishes first.
      await db.connection().execute(async () => sqlite.close());
    },
  };
}
