import { type Kysely, sql } from 'kysely';

/** What deployments wait for and say, approvals, locks, and the heads that pull requests had. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('jobs').addColumn('gate', 'text').execute();
  await db.schema
    .alterTable('jobs')
    .addColumn('report', 'text', (c) => c.notNull().defaultTo(''))
    .execute();
  await sql`create index jobs_deploying on jobs (repository_id, id)
    where state <> 'completed' and kind in ('deploy', 'preview')`.execute(db);

  await db.schema
    .alterTable('deployments')
    .addColumn('details', 'text', (c) => c.notNull().defaultTo('{}'))
    .execute();
  // GitHub doesn't tell cases of environments apart.
  await db.schema.dropIndex('deployments_by_environment').execute();
  await sql`create index deployments_by_environment
    on deployments (repository_id, lower(environment), created_at, id)`.execute(db);
  await sql`create index deployments_by_time on deployments (repository_id, created_at, id)`.execute(db);
  await sql`create index deployments_of_previews on deployments (created_at, id)
    where environment like 'preview/%' and state <> 'inactive'`.execute(db);

  await db.schema
    .createTable('approvals')
    .addColumn('job_id', 'text', (c) => c.notNull().references('jobs.id').onDelete('cascade'))
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('gate', 'text', (c) => c.notNull())
    // In lower case: who it is. `login` is how that is written.
    .addColumn('who', 'text', (c) => c.notNull())
    .addColumn('login', 'text', (c) => c.notNull())
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('approvals_of_a_gate', ['job_id', 'attempt', 'gate', 'who'])
    .execute();

  await db.schema
    .createTable('locks')
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    // The environment in lower case.
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('owner', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .addColumn('pull_request', 'bigint')
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('locks_of_environments', ['repository_id', 'name'])
    .execute();

  await db.schema
    .createTable('heads')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    .addColumn('number', 'bigint', (c) => c.notNull())
    .addColumn('sha', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint')
    .addColumn('received_at', 'bigint', (c) => c.notNull())
    .execute();
  await sql`create unique index heads_told_once on heads (repository_id, number, sha, at)
    where at is not null`.execute(db);
  await sql`create index heads_in_order
    on heads (repository_id, number, coalesce(at, received_at), received_at, id)`.execute(db);
  await db.schema.createIndex('runs_by_key').on('runs').columns(['repository_id', 'run_key', 'id']).execute();
  await db.schema.createIndex('heads_by_age').on('heads').column('received_at').execute();
}
