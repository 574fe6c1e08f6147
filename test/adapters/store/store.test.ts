import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Kysely, SqliteDialect } from 'kysely';
import { migrate, migrations } from '#src/adapters/store/migrate.ts';
import type { Tables } from '#src/adapters/store/schema.ts';
import { Sqlite } from '#src/adapters/store/sqlite.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { storeContract } from '#test/contracts/store.ts';

const clock = { now: () => Date.now() };

storeContract('SQLite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-store-'));
  const path = join(folder, 'slipway.db');
  const test = {
    store: await openStore({ path, clock }),
    async reopen() {
      await test.store.close();
      test.store = await openStore({ path, clock });
      return test.store;
    },
    async dispose() {
      await test.store.close();
      await rm(folder, { recursive: true });
    },
  };
  return test;
});

describe('the database file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-store-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('is made with its folder, for its owner only', async () => {
    const path = join(folder, 'data', 'slipway.db');
    const store = await openStore({ path, clock });
    await store.told.set('a', 'b');
    for (const file of [path, `${path}-wal`]) expect((await stat(file)).mode & 0o077).toBe(0);
    await store.close();
  });

  it('of a newer version is refused and left as it is', async () => {
    const path = join(folder, 'slipway.db');
    await (await openStore({ path, clock })).close();
    const db = new DatabaseSync(path);
    db.exec("insert into migrations values ('0099-later', 1)");
    db.close();
    await expect(openStore({ path, clock })).rejects.toThrow(
      'The database belongs to a newer version of Slipway (it has 0099-later). Start that version again, or restore the backup made before the update.',
    );
  });

  it('that is none is refused with its name', async () => {
    const path = join(folder, 'slipway.db');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(path, 'these are notes, not a database '.repeat(100));
    const opening = openStore({ path, clock });
    await expect(opening).rejects.toThrow(PlatformError);
    await expect(opening).rejects.toThrow(`${path} failed: file is not a database`);
  });

  it('is migrated entirely or not at all', async () => {
    const sqlite = new Sqlite(join(folder, 'slipway.db'));
    const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: sqlite }) });
    const broken = {
      name: '0002-broken',
      async up(tx: Kysely<unknown>) {
        await tx.schema.createTable('half').addColumn('a', 'text').execute();
        await tx.schema.dropTable('no such table').execute();
      },
    };
    await migrate(db, clock);
    await expect(migrate(db, clock, [...migrations, broken])).rejects.toThrow('no such table');
    const tables = await db.introspection.getTables();
    expect(tables.map((table) => table.name)).not.toContain('half');
    expect(await db.selectFrom('migrations').select('name').execute()).toEqual(
      migrations.map((migration) => expect.objectContaining({ name: migration.name })),
    );
    await db.destroy();
  });

  it('answers its frequent queries from an index', async () => {
    const path = join(folder, 'slipway.db');
    await (await openStore({ path, clock })).close();
    const db = new DatabaseSync(path);
    const plan = (query: string) =>
      db
        .prepare(`explain query plan ${query}`)
        .all()
        .map((row) => String(row['detail']))
        .join('; ');
    const indexed: [string, string][] = [
      ['select guid, body from deliveries where finished_at is null order by seq limit 1', 'deliveries_pending'],
      [`select id from jobs where state = 'queued' and kind in ('script') order by queued_at, id`, 'jobs_queued'],
      [`select id from runs where state <> 'completed' order by id`, 'runs_unfinished'],
      [`select * from runs where full_name = 'a' and branch = 'b' order by id desc limit 1`, 'runs_by_branch'],
    ];
    for (const [query, index] of indexed) {
      expect(plan(query)).toContain(`USING INDEX ${index}`);
      expect(plan(query)).not.toContain('TEMP B-TREE');
    }
    db.close();
  });
});
