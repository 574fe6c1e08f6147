import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { sql, Kysely, PostgresDialect } from 'kysely';
import { type PostgresCluster, startPostgres } from '#dev/postgres.ts';
import { migrate, migrations } from '#src/adapters/store/migrate.ts';
import { Postgres } from '#src/adapters/store/postgres.ts';
import type { Tables } from '#src/adapters/store/schema.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { Store } from '#src/engine/store.ts';
import { PlatformError } from '#src/model/outcome.ts';

const clock = { now: () => Date.now() };
const child = fileURLToPath(new URL('child.ts', import.meta.url));

let cluster: PostgresCluster;
let url: string;
beforeAll(async () => {
  cluster = await startPostgres();
}, 60_000);
afterAll(() => cluster.dispose());
beforeEach(async () => {
  url = await cluster.createDatabase();
});

/** The next word of the topic that fits. */
function hear(store: Store, topic: 'run' | 'jobs', wanted: string): Promise<void> {
  return new Promise((resolve) => {
    const end = store.signals.listen(topic, (subject) => {
      if (subject !== wanted) return;
      end();
      resolve();
    });
  });
}

describe('a store on PostgreSQL', () => {
  let stores: Store[] = [];
  const open = async () => {
    const store = await openStore({ url, clock });
    stores.push(store);
    return store;
  };
  afterEach(async () => {
    for (const store of stores) await store.close();
    stores = [];
  });

  it.each(['stop', 'kill'] as const)('lives through the end (%s) and the start of the database', async (end) => {
    const [one, other] = [await open(), await open()];
    await one.told.set('before', 'kept');
    // Several connections, so that some are idle and one is in use when the database goes.
    await Promise.all(Array.from({ length: 5 }, () => one.ping()));
    const underWay = Promise.allSettled(Array.from({ length: 20 }, (_, i) => one.told.set(`during ${i}`, 'x')));
    await cluster[end]();
    const failures = (await underWay).filter((result) => result.status === 'rejected').map(({ reason }) => reason);
    expect(failures.filter((reason) => !(reason instanceof PlatformError))).toEqual([]);
    const failing = one.deliveries.add({ guid: 'a', event: 'push', body: Buffer.from('x'), receivedAt: 1 });
    await expect(failing).rejects.toThrow(PlatformError);
    await expect(one.ping()).rejects.toThrow(
      /^The database postgres:\/\/slipway@\/.*\/test\d+ failed: .*\. [A-Z].*\.$/,
    );
    one.signals.send('jobs', 'nobody hears this');

    const heardAgain = [hear(one, 'run', ''), hear(other, 'run', '')];
    await cluster.start();
    await one.ping();
    expect(await one.told.get('before')).toBe('kept');
    expect(await one.deliveries.add({ guid: 'a', event: 'push', body: Buffer.from('x'), receivedAt: 1 })).toBe(true);
    await Promise.all(heardAgain);
    const word = hear(other, 'jobs', 'again');
    one.signals.send('jobs', 'again');
    await word;
  });

  it('tells another process, whose own words come to it once', async () => {
    const store = await open();
    const echo = spawn(process.execPath, [child, 'echo', JSON.stringify({ url }), 'end'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(echo.stdout, 'data');
      const words: string[] = [];
      store.signals.listen('run', (subject) => words.push(subject));
      const last = hear(store, 'run', 'c');
      for (const word of ['a', 'b', 'c']) store.signals.send('jobs', word);
      await last;
      expect(words).toEqual(['a', 'b', 'c']);
      const gone = once(echo, 'exit');
      store.signals.send('jobs', 'end');
      expect(await gone).toEqual([0, null]);
    } finally {
      echo.kill('SIGKILL');
    }
  });

  it('says "look at everything" instead of more words than anybody reads', async () => {
    const [one, other] = [await open(), await open()];
    const words: string[] = [];
    other.signals.listen('run', (subject) => words.push(subject));
    const all = hear(other, 'run', '');
    for (let i = 0; i < 1500; i += 1) one.signals.send('run', `${i}`);
    await all;
    const last = hear(other, 'run', 'last');
    one.signals.send('run', 'last');
    await last;
    expect(words.length).toBeLessThan(1000);
  });

  it('sends what it was told to send before it closes', async () => {
    const [one, other] = [await openStore({ url, clock }), await open()];
    const word = hear(other, 'jobs', 'last words');
    one.signals.send('jobs', 'last words');
    await one.close();
    await word;
    await one.close();
    await expect(one.ping()).rejects.toThrow('The store is closed.');
  });

  it('answers numbers past 32 bits as numbers, and keeps ids in the order of their bytes', async () => {
    const store = await open();
    const receivedAt = 1_700_000_000_123;
    await store.deliveries.add({ guid: 'a', event: 'push', body: Buffer.from('x'), receivedAt });
    expect((await store.deliveries.pending(1))[0]?.receivedAt).toBe(receivedAt);
    const postgres = await Postgres.load({ url, log: undefined });
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: postgres }) });
    const { rows } = await sql<{ table: string; column: string }>`
      select c.relname as table, a.attname as column from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace and a.atttypid = 'text'::regtype
        and a.attcollation <> (select oid from pg_collation where collname = 'C')`.execute(db);
    expect(rows).toEqual([]);
    await postgres.end();
  });
});

describe('a PostgreSQL database', () => {
  it('of a newer version is refused and left as it is', async () => {
    await (await openStore({ url, clock })).close();
    const postgres = await Postgres.load({ url, log: undefined });
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: postgres }) });
    await db.insertInto('migrations').values({ name: '0099-later', at: 1 }).execute();
    await expect(openStore({ url, clock })).rejects.toThrow(
      'belongs to a newer version of Slipway (it has 0099-later)',
    );
    await postgres.end();
  });

  it('is migrated entirely or not at all', async () => {
    const postgres = await Postgres.load({ url, log: undefined });
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: postgres }) });
    const broken = {
      name: '9999-broken',
      async up(tx: Kysely<unknown>) {
        await tx.schema.createTable('half').addColumn('a', 'text').execute();
        await tx.schema.dropTable('no such table').execute();
      },
    };
    await migrate(db, 'postgres', clock);
    await expect(migrate(db, 'postgres', clock, [...migrations, broken])).rejects.toThrow('no such table');
    const tables = await db.introspection.getTables();
    expect(tables.map((table) => table.name)).not.toContain('half');
    await postgres.end();
  });

  it.each([
    [
      'with another password',
      () => url.replace('rudder', 'oar'),
      /password authentication failed.*Correct the password/,
    ],
    ['that is not there', () => url.replace(/test\d+/, 'nothing'), /"nothing" does not exist\. Create the database/],
    ['where nobody listens', () => 'postgres://u:oar@127.0.0.1:1/x', /@127\.0\.0\.1:1\/x failed: connect ECONNREFUSED/],
    ['on an unknown host', () => 'postgres://u:oar@nowhere.invalid/x', /nowhere\.invalid/],
    ['with a hash in its password', () => 'postgres://u:a#oar@host/x', /can't be understood.*%23/],
    ['with a slash in its password', () => 'postgres://u:12/oar@host/x', /can't be understood.*%2F/],
    ['with a percent sign in its password', () => 'postgres://u:oar%@127.0.0.1:1/x', /ECONNREFUSED|understood/],
    ['with TLS that it does not have', () => `${url.replace(/host=.*/, '')}sslmode=require`, /failed: /],
  ])('%s is refused, never with its password', async (_, address, message) => {
    const opening = openStore({ url: address(), clock });
    await expect(opening).rejects.toThrow(PlatformError);
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.not.toThrow(/oar|rudder/);
  });

  it('that can not hold every text is refused', async () => {
    url = await cluster.createDatabase('LATIN1');
    await expect(openStore({ url, clock })).rejects.toThrow(/is encoded in LATIN1.*ENCODING 'UTF8'/);
  });
});
