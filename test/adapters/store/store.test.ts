import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Kysely, SqliteDialect } from 'kysely';
import { migrate, migrations } from '#src/adapters/store/migrate.ts';
import type { Tables } from '#src/adapters/store/schema.ts';
import { Sqlite } from '#src/adapters/store/sqlite.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { storeContract } from '#test/contracts/store.ts';
import { type Place, databases } from './databases.ts';

const clock = { now: () => Date.now() };

for (const each of databases) {
  describe(`on ${each.name}`, () => {
    beforeAll(() => each.start(), 60_000);
    afterAll(() => each.end());

    storeContract(each.name, async () => {
      const { place, remove } = await each.make();
      const test = {
        store: await openStore({ ...place, clock }),
        async reopen() {
          await test.store.close();
          test.store = await openStore({ ...place, clock });
          return test.store;
        },
        async dispose() {
          await test.store.close();
          await remove();
        },
      };
      return test;
    });

    describe('a store', () => {
      let place: Place;
      let remove: () => Promise<void>;
      beforeEach(async () => {
        ({ place, remove } = await each.make());
      });
      afterEach(() => remove());

      it('keeps texts with characters that a database may refuse', async () => {
        const store = await openStore({ ...place, clock });
        await store.told.set('a\0b', 'x\0y \u{1F6A2} \ud800 \uffff');
        expect(await store.told.get('a\0b')).toBe('x\ufffdy \u{1F6A2} \ufffd \uffff');
        const image = { repositoryId: 1, sha: 's', job: 'j', image: 'i', tags: ['a\0b', '\\u0000'], at: 1 };
        await store.images.record(image);
        expect(await store.images.find(1, 's', 'j')).toEqual(image);
        const body = Buffer.from([0, 1, 0]);
        await store.deliveries.add({ guid: 'g\0', event: 'push', body, receivedAt: 1 });
        await store.deliveries.finish('g\0', 'A title with \0', 2);
        expect(await store.deliveries.get('g\0')).toMatchObject({ finishedAt: 2, result: 'A title with \ufffd' });
        await store.close();
      });

      it('finishes many deliveries at once, knows which are missing, and forgets old ones', async () => {
        const store = await openStore({ ...place, clock });
        const { deliveries } = store;
        const guids = Array.from({ length: 1200 }, (_, i) => `guid-${i}`);
        const body = Buffer.from('{}');
        await Promise.all(guids.map((guid) => deliveries.add({ guid, event: 'push', body, receivedAt: 1 })));
        expect((await deliveries.pending(2000)).map((one) => one.guid)).toEqual(guids);
        await Promise.all([
          ...guids.slice(0, 1000).map((guid, i) => deliveries.finish(guid, `Result ${i}`, 1000 + i)),
          deliveries.finish('guid-0', 'The last word', 1000),
          deliveries.finish('unknown', 'x', 5),
        ]);
        expect((await deliveries.get('guid-0'))?.result).toBe('The last word');
        expect(await deliveries.get('guid-999')).toMatchObject({ finishedAt: 1999, result: 'Result 999' });
        expect(await deliveries.pending(2000)).toHaveLength(200);

        expect(await deliveries.missing([...guids, 'x', 'guid-3', 'y'])).toEqual(['x', 'y']);
        expect(await deliveries.missing([])).toEqual([]);

        expect(await deliveries.forget(1500, 300)).toBe(300);
        expect(await deliveries.forget(1500, 300)).toBe(200);
        expect(await deliveries.forget(1500, 300)).toBe(0);
        expect(await deliveries.missing(['guid-0', 'guid-499', 'guid-500', 'guid-1199'])).toEqual([
          'guid-0',
          'guid-499',
        ]);
        await store.close();
      });

      it('keeps large deliveries that come at once', async () => {
        const store = await openStore({ ...place, clock });
        const body = Buffer.alloc(20 * 1024 * 1024, 'x');
        const guids = ['a', 'b', 'a', 'c'];
        const added = guids.map((guid) => store.deliveries.add({ guid, event: 'push', body, receivedAt: 1 }));
        expect(await Promise.all(added)).toEqual([true, true, false, true]);
        const pending = await store.deliveries.pending(5);
        expect(pending.map((one) => [one.guid, one.body.length])).toEqual(['a', 'b', 'c'].map((g) => [g, body.length]));
        await store.close();
      });

      it('tells listeners of the topic at once, each word once, also when one of them fails', async () => {
        const store = await openStore({ ...place, clock });
        const heard: string[] = [];
        const { signals } = store;
        const ends = [
          signals.listen('run', () => {
            throw new Error('a mistake');
          }),
          signals.listen('run', (subject) => heard.push(`run ${subject}`)),
          signals.listen('jobs', (subject) => heard.push(`jobs ${subject}`)),
        ];
        signals.send('run', 'one');
        signals.send('jobs', '');
        expect(heard).toEqual([]);
        await Promise.resolve();
        expect(heard).toEqual(['run one', 'jobs ']);
        signals.send('run', 'two');
        ends[1]?.();
        signals.send('run', 'three');
        // Whatever comes back from the database has come by the time that a second store has heard it.
        const other = await openStore({ ...place, clock });
        const late = new Promise((resolve) => other.signals.listen('jobs', resolve));
        if ('url' in place) signals.send('jobs', 'last');
        else other.signals.send('jobs', 'last');
        expect(await late).toBe('last');
        expect(heard.filter((word) => word.startsWith('run'))).toEqual(['run one']);
        await other.close();
        await store.close();
        signals.send('run', 'after the end');
      });
    });
  });
}

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
    await migrate(db, 'sqlite', clock);
    await expect(migrate(db, 'sqlite', clock, [...migrations, broken])).rejects.toThrow('no such table');
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
      [
        `select id from jobs where state = 'queued' and kind = 'script' and priority = 0 and repository_id = 1 order by queued_at, id`,
        'jobs_lanes',
      ],
      ['select id from runs where told_version < version order by id', 'runs_untold'],
      [`select id from runs where state <> 'completed' order by id`, 'runs_unfinished'],
      [`select * from runs where full_name = 'a' and branch = 'b' order by id desc limit 1`, 'runs_by_branch'],
      [
        `select * from jobs where repository_id = 1 and state <> 'completed' and kind in ('deploy', 'preview') order by id`,
        'jobs_deploying',
      ],
      [
        `select * from deployments where repository_id = 1 and lower(environment) = 'x' order by created_at desc, id desc limit 20`,
        'deployments_by_environment',
      ],
      [
        `select * from deployments where environment like 'preview/%' and state <> 'inactive' order by created_at desc, id desc`,
        'deployments_of_previews',
      ],
      [
        `select * from heads where repository_id = 1 and number = 2
          order by coalesce(at, received_at) desc, received_at desc, id desc limit 50`,
        'heads_in_order',
      ],
    ];
    for (const [query, index] of indexed) {
      expect(plan(query)).toMatch(new RegExp(`USING (COVERING )?INDEX ${index}`));
      expect(plan(query)).not.toContain('TEMP B-TREE');
    }
    db.close();
  });
});
