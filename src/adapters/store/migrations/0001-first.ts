import { type Kysely, sql } from 'kysely';

/** The tables of version 0.1. */
export async function up(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await db.schema
    .createTable('deliveries')
    // The order of arrival. On SQLite an alias of its rowid, which costs no index of its own.
    .addColumn('seq', dialect === 'postgres' ? 'bigserial' : 'integer', (c) => c.primaryKey())
    .addColumn('guid', 'text', (c) => c.notNull().unique())
    .addColumn('event', 'text', (c) => c.notNull())
    .addColumn('body', 'blob', (c) => c.notNull())
    .addColumn('received_at', 'bigint', (c) => c.notNull())
    .addColumn('finished_at', 'bigint')
    .addColumn('result', 'text')
    .execute();
  await sql`create index deliveries_pending on deliveries (seq) where finished_at is null`.execute(db);

  await db.schema
    .createTable('runs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    .addColumn('full_name', 'text', (c) => c.notNull())
    .addColumn('repository', 'text', (c) => c.notNull())
    .addColumn('sha', 'text', (c) => c.notNull())
    .addColumn('run_key', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('branch', 'text')
    .addColumn('trigger', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('outcome', 'text')
    .addColumn('diagnostics', 'text', (c) => c.notNull())
    .addColumn('pipeline_file', 'text')
    .addColumn('pull_request', 'bigint')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('finished_at', 'bigint')
    .addUniqueConstraint('runs_of_a_head', ['repository_id', 'sha', 'run_key'])
    .execute();
  await db.schema.createIndex('runs_by_branch').on('runs').columns(['full_name', 'branch', 'id']).execute();
  await db.schema.createIndex('runs_by_name').on('runs').columns(['full_name', 'id']).execute();
  await db.schema
    .createIndex('runs_by_pull_request')
    .on('runs')
    .columns(['repository_id', 'pull_request', 'id'])
    .execute();
  await sql`create index runs_unfinished on runs (id) where state <> 'completed'`.execute(db);

  await db.schema
    .createTable('jobs')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('run_id', 'text', (c) => c.notNull().references('runs.id').onDelete('cascade'))
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('plan', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('outcome_kind', 'text')
    .addColumn('outcome', 'text')
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('annotations', 'text', (c) => c.notNull())
    .addColumn('tests', 'text')
    .addColumn('progress', 'text')
    .addColumn('artifacts', 'text')
    .addColumn('worker', 'text')
    .addColumn('queued_at', 'bigint')
    .addColumn('started_at', 'bigint')
    .addColumn('finished_at', 'bigint')
    .addUniqueConstraint('jobs_of_a_run', ['run_id', 'position'])
    .execute();
  await sql`create index jobs_queued on jobs (queued_at, id) where state = 'queued'`.execute(db);
  await sql`create index jobs_running on jobs (worker) where state = 'running'`.execute(db);

  await db.schema
    .createTable('steps')
    .addColumn('job_id', 'text', (c) => c.notNull().references('jobs.id').onDelete('cascade'))
    .addColumn('position', 'integer', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('exit_code', 'integer')
    .addColumn('started_at', 'bigint')
    .addColumn('finished_at', 'bigint')
    .addColumn('log_start', 'bigint')
    .addColumn('log_end', 'bigint')
    .addPrimaryKeyConstraint('steps_of_a_job', ['job_id', 'position'])
    .execute();

  await db.schema
    .createTable('images')
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    .addColumn('sha', 'text', (c) => c.notNull())
    .addColumn('job', 'text', (c) => c.notNull())
    .addColumn('image', 'text', (c) => c.notNull())
    .addColumn('tags', 'text', (c) => c.notNull())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('images_of_a_commit', ['repository_id', 'sha', 'job'])
    .execute();

  await db.schema
    .createTable('deployments')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('repository_id', 'bigint', (c) => c.notNull())
    .addColumn('repository', 'text', (c) => c.notNull())
    .addColumn('environment', 'text', (c) => c.notNull())
    .addColumn('sha', 'text', (c) => c.notNull())
    .addColumn('run_id', 'text', (c) => c.notNull())
    .addColumn('job_id', 'text', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull())
    .addColumn('changes', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('updated_at', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('deployments_by_job').on('deployments').column('job_id').execute();
  await db.schema
    .createIndex('deployments_by_environment')
    .on('deployments')
    .columns(['repository_id', 'environment', 'created_at', 'id'])
    .execute();

  await db.schema
    .createTable('audit')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('actor', 'text', (c) => c.notNull())
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('repository', 'text', (c) => c.notNull())
    .addColumn('subject', 'text', (c) => c.notNull())
    .addColumn('decision', 'text', (c) => c.notNull())
    .addColumn('reason', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('audit_by_repository').on('audit').columns(['repository', 'id']).execute();

  await db.schema
    .createTable('told')
    .addColumn('key', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .execute();
}
