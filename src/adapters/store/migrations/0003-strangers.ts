import { type Kysely, sql } from 'kysely';

/** Whether a run's commit is trusted, secrets, and an audit that can only be added to. */
export async function up(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await db.schema.alterTable('runs').addColumn('trust', 'text').execute();

  await db.schema
    .createTable('secrets')
    .addColumn('id', 'text', (c) => c.primaryKey())
    // In lower case, because GitHub doesn't tell cases apart. '' for what doesn't apply.
    .addColumn('owner', 'text', (c) => c.notNull())
    .addColumn('repository', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('ciphertext', 'text', (c) => c.notNull())
    .addColumn('limits', 'text', (c) => c.notNull())
    .addColumn('set_at', 'bigint', (c) => c.notNull())
    .addColumn('set_by', 'text', (c) => c.notNull())
    .addColumn('replaced_at', 'bigint')
    .execute();
  await sql`create unique index secrets_current on secrets (owner, repository, environment, name)
    where replaced_at is null`.execute(db);

  if (dialect === 'sqlite') {
    for (const change of ['update', 'delete']) {
      await sql
        .raw(
          `create trigger audit_no_${change} before ${change} on audit
           begin select raise(abort, 'the audit can only be added to'); end`,
        )
        .execute(db);
    }
    // "insert or replace" removes the row in place without a word to the trigger above.
    await sql`create trigger audit_no_replace before insert on audit
      when exists (select 1 from audit where id = new.id)
      begin select raise(abort, 'the audit can only be added to'); end`.execute(db);
  } else {
    await sql`create function audit_only_added() returns trigger language plpgsql as
      $$ begin raise exception 'the audit can only be added to'; end $$`.execute(db);
    await sql`create trigger audit_only_added before update or delete or truncate on audit
      for each statement execute function audit_only_added()`.execute(db);
  }
}
