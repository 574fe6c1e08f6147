import { Kysely, PostgresDialect, SqliteDialect, sql } from 'kysely';
import type { Logger } from 'pino';
import type { Clock } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { approvalStore } from './approvals.ts';
import { auditStore } from './audit.ts';
import { secretStore } from './secrets.ts';
import { deliveryStore } from './deliveries.ts';
import { deploymentStore } from './deployments.ts';
import { groupStore } from './groups.ts';
import { headStore } from './heads.ts';
import { idMaker } from './ids.ts';
import { imageStore } from './images.ts';
import { lockStore } from './locks.ts';
import { type Dialect, migrate } from './migrate.ts';
import { Postgres } from './postgres.ts';
import { runStore } from './runs.ts';
import type { Database, Tables } from './schema.ts';
import { type OpenSignals, localSignals, postgresSignals } from './signals.ts';
import { Sqlite } from './sqlite.ts';
import { toldStore } from './told.ts';
import { workerStore } from './workers.ts';

/**
 * Where the store is: `path`, a file of SQLite or `:memory:`, made if there is none; or `url`, the address of a
 * PostgreSQL database, which several servers may share.
 */
export type StoreOptions = ({ readonly path: string } | { readonly url: string }) & {
  readonly clock: Clock;
  readonly log?: Logger;
};

/**
 * Opens the database and brings it to this version. PlatformError if it can't be opened or belongs to a newer version.
 * Whoever opened it must close it.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  return 'url' in options ? openPostgres(options, options.url) : openSqlite(options, options.path);
}

async function openSqlite({ clock, log }: StoreOptions, path: string): Promise<Store> {
  const sqlite = new Sqlite(path);
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) });
  try {
    await migrate(db, 'sqlite', clock);
  } catch (error) {
    sqlite.close();
    throw error;
  }
  const signals = localSignals(log);
  return {
    ...storeOn(db, 'sqlite', sqlite, clock, signals),
    async close() {
      await signals.close();
      // Whoever holds the connection finishes first.
      await db.connection().execute(async () => sqlite.close());
    },
  };
}

/** How long a migration may take, and the wait for another server's. */
const migrationMs = 10 * 60_000;

async function openPostgres({ clock, log }: StoreOptions, url: string): Promise<Store> {
  const migrator = await Postgres.load({ url, log, statementMs: migrationMs });
  try {
    const db = kyselyOn(migrator);
    await inspect(db, migrator.where, log);
    await migrate(db, 'postgres', clock);
  } finally {
    await migrator.end();
  }
  const postgres = await Postgres.load({ url, log });
  const db = kyselyOn(postgres);
  try {
    const signals = await postgresSignals(db, postgres, log);
    return {
      ...storeOn(db, 'postgres', null, clock, signals),
      async close() {
        await signals.close();
        await postgres.end();
      },
    };
  } catch (error) {
    await postgres.end();
    throw error;
  }
}

function kyselyOn(postgres: Postgres): Database {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: postgres }) });
}

function storeOn(
  db: Database,
  dialect: Dialect,
  sqlite: Sqlite | null,
  clock: Clock,
  signals: OpenSignals,
): Omit<Store, 'close'> {
  const newId = idMaker(clock);
  return {
    deliveries: deliveryStore(db, sqlite),
    runs: runStore(db, newId, dialect),
    images: imageStore(db),
    deployments: deploymentStore(db, dialect),
    approvals: approvalStore(db),
    locks: lockStore(db),
    heads: headStore(db, newId),
    audit: auditStore(db, newId),
    secrets: secretStore(db, newId, dialect),
    told: toldStore(db),
    workers: workerStore(db),
    groups: groupStore(db),
    signals,
    async ping() {
      await sql`select 1`.execute(db);
    },
  };
}

/** Refuses a database that can't hold every text; warns of one that forgets what it acknowledged. */
async function inspect(db: Database, where: string, log: Logger | undefined): Promise<void> {
  const { rows } = await sql<{ encoding: string; commit: string; fsync: string }>`
    select current_setting('server_encoding') as encoding, current_setting('synchronous_commit') as commit,
      current_setting('fsync') as fsync`.execute(db);
  const { encoding = '', commit = '', fsync = '' } = rows[0] ?? {};
  if (encoding !== 'UTF8') {
    throw new PlatformError(
      `The database ${where} is encoded in ${encoding}, but titles and logs hold any character. Make one with: CREATE DATABASE slipway ENCODING 'UTF8' TEMPLATE template0.`,
    );
  }
  if (commit === 'off' || fsync === 'off') {
    log?.warn(
      `The database ${where} has ${fsync === 'off' ? 'fsync' : 'synchronous_commit'} = off: deliveries that were acknowledged are lost when it crashes`,
    );
  }
}
