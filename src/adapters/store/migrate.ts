import { type DataTypeNode, type Kysely, type KyselyPlugin, OperationNodeTransformer, RawNode, sql } from 'kysely';
import type { Clock } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import * as first from './migrations/0001-first.ts';
import * as nothingLost from './migrations/0002-nothing-lost.ts';
import * as strangers from './migrations/0003-strangers.ts';
import * as environments from './migrations/0004-environments.ts';
import type { Database } from './schema.ts';

export type Dialect = 'sqlite' | 'postgres';

export interface Migration {
  readonly name: string;
  up(db: Kysely<unknown>, dialect: Dialect): Promise<void>;
}

/** In order. A released migration is never changed: what must change gets a new one. */
export const migrations: readonly Migration[] = [
  { name: '0001-first', up: first.up },
  { name: '0002-nothing-lost', up: nothingLost.up },
  { name: '0003-strangers', up: strangers.up },
  { name: '0004-environments', up: environments.up },
];

/** Of PostgreSQL's lock that lets one server at a time migrate; any number that is always the same. */
const lockKey = 7_305_804_402;

/**
 * Brings the database to this version, in one transaction: it is done entirely or not at all, and once, also when
 * servers start at the same moment. Forward only. A database that a newer version has migrated is refused with
 * PlatformError and left as it is. Kysely's own Migrator doesn't use a transaction on SQLite.
 */
export async function migrate(
  db: Database,
  dialect: Dialect,
  clock: Clock,
  wanted: readonly Migration[] = migrations,
): Promise<void> {
  await db.transaction().execute(async (plain) => {
    // On SQLite each transaction is the only writer from its start.
    if (dialect === 'postgres') await sql`select pg_advisory_xact_lock(${lockKey}::bigint)`.execute(plain);
    const tx = dialect === 'postgres' ? plain.withPlugin(new PostgresTypes()) : plain;
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
      await migration.up(tx as unknown as Kysely<unknown>, dialect);
      await tx.insertInto('migrations').values({ name: migration.name, at: clock.now() }).execute();
    }
  });
}

/**
 * Types of columns as PostgreSQL has them. Texts are compared byte by byte, as SQLite does, whatever language the
 * database was made for: ids must sort by their time.
 */
class PostgresTypes extends OperationNodeTransformer implements KyselyPlugin {
  protected override transformDataType(node: DataTypeNode): DataTypeNode {
    const type = { text: 'text collate "C"', blob: 'bytea' }[node.dataType as string];
    // Where a type stands, Kysely takes raw SQL too.
    return type === undefined ? node : (RawNode.createWithSql(type) as unknown as DataTypeNode);
  }

  transformQuery: KyselyPlugin['transformQuery'] = ({ node, queryId }) => this.transformNode(node, queryId);

  transformResult: KyselyPlugin['transformResult'] = async ({ result }) => result;
}
