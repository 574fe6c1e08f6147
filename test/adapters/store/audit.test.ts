import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { openStore } from '#src/adapters/store/store.ts';
import { type Place, databases } from './databases.ts';

const record = {
  at: 1000,
  actor: 'eve',
  action: 'deploy',
  repository: 'acme/shop',
  subject: 'staging',
  decision: 'refused' as const,
  reason: 'write permission is missing',
};

/** One who has the server's own access to the database. */
async function connect(place: Place): Promise<{ run(sql: string): Promise<void>; end(): Promise<void> }> {
  if ('path' in place) {
    const db = new DatabaseSync(place.path);
    return { run: async (sql) => db.exec(sql), end: async () => db.close() };
  }
  const client = new Client(place.url);
  await client.connect();
  return { run: async (sql) => void (await client.query(sql)), end: () => client.end() };
}

for (const each of databases) {
  describe(`the audit on ${each.name}`, () => {
    let place: Place;
    let remove: () => Promise<void>;
    beforeAll(() => each.start(), 60_000);
    afterAll(() => each.end());
    beforeEach(async () => {
      ({ place, remove } = await each.make());
    });
    afterEach(() => remove());

    const attacks = [
      `update audit set decision = 'allowed'`,
      `update audit set reason = '' where subject = 'staging'`,
      'delete from audit',
      `delete from audit where actor = 'eve'`,
      ...(each.name === 'SQLite'
        ? [
            `insert or replace into audit select id, at, 'bob', action, repository, subject, decision, reason from audit`,
            `replace into audit select id, at, 'bob', action, repository, subject, decision, reason from audit`,
            `insert into audit select * from audit where true on conflict (id) do update set actor = 'bob'`,
            `update or replace audit set actor = 'bob'`,
          ]
        : [
            'truncate audit',
            'truncate audit cascade',
            `insert into audit select * from audit on conflict (id) do update set actor = 'bob'`,
            `with gone as (delete from audit returning *) select * from gone`,
          ]),
    ];
    it.each(attacks)('refuses: %s', async (sql) => {
      const store = await openStore({ ...place, clock: { now: () => 1000 } });
      await store.audit.append(record);
      const intruder = await connect(place);
      await expect(intruder.run(sql)).rejects.toThrow('the audit can only be added to');
      await intruder.end();
      await store.audit.append({ ...record, subject: 'production' });
      expect(await store.audit.list(null, 9)).toEqual([{ ...record, subject: 'production' }, record]);
      await store.close();
    });
  });
}
