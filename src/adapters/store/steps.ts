import type { Job, Step } from '#src/model/run.ts';
import { stepRow, toJob, toStep } from './rows.ts';
import type { Database } from './schema.ts';

/** Rows a statement, so that no database's limit of parameters is ever met. */
const rowsAtOnce = 500;

/** Jobs of the run with their steps, in the order of the plan. */
export async function jobsOf(db: Database, runId: string): Promise<readonly Job[]> {
  const rows = await db.selectFrom('jobs').selectAll().where('run_id', '=', runId).orderBy('position').execute();
  const steps = await stepsOf(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => toJob(row, steps.get(row.id) ?? []));
}

export async function stepsOf(db: Database, jobIds: readonly string[]): Promise<ReadonlyMap<string, Step[]>> {
  const steps = new Map<string, Step[]>();
  for (const ids of parts(jobIds)) {
    const rows = await db
      .selectFrom('steps')
      .selectAll()
      .where('job_id', 'in', ids)
      .orderBy('job_id')
      .orderBy('position')
      .execute();
    for (const row of rows) {
      const list = steps.get(row.job_id);
      if (list) list.push(toStep(row));
      else steps.set(row.job_id, [toStep(row)]);
    }
  }
  return steps;
}

/** Makes the steps of the job exactly these. */
export async function putSteps(db: Database, jobId: string, steps: readonly Step[]): Promise<void> {
  await db.deleteFrom('steps').where('job_id', '=', jobId).where('position', '>=', steps.length).execute();
  for (const part of parts(steps)) {
    await db
      .insertInto('steps')
      .values(part.map((step) => stepRow(jobId, step)))
      .onConflict((conflict) =>
        conflict.columns(['job_id', 'position']).doUpdateSet((eb) => ({
          name: eb.ref('excluded.name'),
          state: eb.ref('excluded.state'),
          exit_code: eb.ref('excluded.exit_code'),
          started_at: eb.ref('excluded.started_at'),
          finished_at: eb.ref('excluded.finished_at'),
          log_start: eb.ref('excluded.log_start'),
          log_end: eb.ref('excluded.log_end'),
        })),
      )
      .execute();
  }
}

export async function dropSteps(db: Database, jobIds: readonly string[]): Promise<void> {
  for (const ids of parts(jobIds)) await db.deleteFrom('steps').where('job_id', 'in', ids).execute();
}

export function parts<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / rowsAtOnce);
  return Array.from({ length: count }, (_, i) => all.slice(i * rowsAtOnce, (i + 1) * rowsAtOnce));
}
