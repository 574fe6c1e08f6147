import type { Dialect } from './migrate.ts';
import type { Database } from './schema.ts';

/**
 * Runs `update` and raises the version of the run that it answers, in one transaction. False, and nothing is raised, if
 * it answers nothing. Who holds a job's row may wait for its run's row, never the other way round: so no deadlock.
 */
export async function changing(
  db: Database,
  update: (tx: Database) => Promise<{ readonly run_id: string } | undefined>,
): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const changed = await update(tx);
    if (changed) await raise(tx, changed.run_id);
    return changed !== undefined;
  });
}

export async function raise(tx: Database, runId: string): Promise<void> {
  await tx
    .updateTable('runs')
    .set((eb) => ({ version: eb('version', '+', 1) }))
    .where('id', '=', runId)
    .execute();
}

/**
 * Keeps others from changing the run until the transaction ends, so that what is read of its jobs afterwards holds. On
 * SQLite there is one writer anyway.
 */
export async function lockRun(tx: Database, dialect: Dialect, runId: string): Promise<void> {
  if (dialect === 'sqlite') return;
  await tx.selectFrom('runs').select('id').where('id', '=', runId).forUpdate().execute();
}

/** Reads that belong together see one state of the database. */
export async function reading<T>(db: Database, dialect: Dialect, read: (tx: Database) => Promise<T>): Promise<T> {
  const transaction = db.transaction();
  return (dialect === 'sqlite' ? transaction : transaction.setIsolationLevel('repeatable read')).execute(read);
}
