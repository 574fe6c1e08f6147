import { type Kysely, sql } from 'kysely';

/** The order of the queue, cancellations, notes, versions to tell, servers and concurrency groups. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // SQLite adds one column a statement.
  for (const column of ['concurrency', 'cancel_reason', 'cancel_by', 'note']) {
    await db.schema.alterTable('runs').addColumn(column, 'text').execute();
  }
  for (const column of ['version', 'told_version'] as const) {
    const initial = column === 'version' ? 1 : 0;
    await db.schema
      .alterTable('runs')
      .addColumn(column, 'bigint', (c) => c.notNull().defaultTo(initial))
      .execute();
  }
  // What is over was told by the version that ended it.
  await sql`update runs set told_version = version where state = 'completed'`.execute(db);
  await sql`create index runs_untold on runs (id) where told_version < version`.execute(db);
  await sql`create index runs_ended on runs (finished_at, id) where state = 'completed'`.execute(db);
  await db.schema.createIndex('runs_by_repository').on('runs').columns(['repository_id', 'id']).execute();

  for (const column of ['cancel_reason', 'cancel_by', 'note']) {
    await db.schema.alterTable('jobs').addColumn(column, 'text').execute();
  }
  await db.schema
    .alterTable('jobs')
    .addColumn('repository_id', 'bigint', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .alterTable('jobs')
    .addColumn('priority', 'integer', (c) => c.notNull().defaultTo(0))
    .execute();
  await db.schema
    .alterTable('jobs')
    .addColumn('earlier', 'text', (c) => c.notNull().defaultTo('[]'))
    .execute();
  await db.schema.alterTable('jobs').addColumn('not_before', 'bigint').execute();
  await sql`update jobs set repository_id = (select runs.repository_id from runs where runs.id = jobs.run_id),
    priority = case when kind = 'deploy' then 2 else 0 end`.execute(db);
  await db.schema.dropIndex('jobs_queued').execute();
  await sql`create index jobs_lanes on jobs (kind, priority, repository_id, queued_at, id)
    where state = 'queued'`.execute(db);
  await sql`create index jobs_due on jobs (not_before) where state = 'queued' and not_before is not null`.execute(db);
  await sql`create index jobs_running_of on jobs (repository_id) where state = 'running'`.execute(db);

  // Which repository was served when, as a count: nobody's clock has a say in who is next.
  await db.schema
    .createTable('turns')
    .addColumn('repository_id', 'bigint', (c) => c.primaryKey())
    .addColumn('turn', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('turns_in_order').on('turns').column('turn').execute();

  await db.schema.alterTable('deployments').addColumn('patched_at', 'bigint').execute();
  await db.schema.createIndex('deployments_by_run').on('deployments').column('run_id').execute();

  await db.schema
    .createTable('workers')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('place', 'text', (c) => c.notNull())
    .addColumn('engine', 'text')
    .addColumn('beats', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('leader')
    .addColumn('one', 'integer', (c) => c.primaryKey())
    .addColumn('worker', 'text')
    .execute();
  await sql`insert into leader (one, worker) values (1, null)`.execute(db);

  // A row as long as somebody stands in the group's line; `seq` is the number given last.
  await db.schema
    .createTable('lines')
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('lines_of_groups', ['repository_id', 'name'])
    .execute();
  await db.schema
    .createTable('line_entries')
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('holder', 'text', (c) => c.notNull())
    .addColumn('run_id', 'text', (c) => c.notNull())
    .addColumn('job_id', 'text')
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('holds', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('line_entries_key', ['repository_id', 'name', 'holder'])
    .execute();
  await db.schema.createIndex('line_entries_by_holder').on('line_entries').column('holder').execute();
  await db.schema.createIndex('line_entries_by_run').on('line_entries').column('run_id').execute();
  await sql`create unique index line_entries_one_holder on line_entries (repository_id, name)
    where holds = 1`.execute(db);
}
