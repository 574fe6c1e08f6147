import type { RunStore } from '#src/engine/store.ts';
import type { Job, Step } from '#src/model/run.ts';
import { cleared, stepRow, toJob, toStep } from './rows.ts';
import type { Database } from './schema.ts';

type JobMethods = 'job' | 'queue' | 'claim' | 'progress' | 'complete' | 'artifacts' | 'restart' | 'requeue';

/** Rows a statement, so that SQLite's limit of parameters is never met. */
const rowsAtOnce = 500;

export function jobStore(db: Database): Pick<RunStore, JobMethods> {
  return {
    async job(id) {
      return db.transaction().execute(async (tx) => {
        const row = await tx.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
        return row ? toJob(row, (await stepsOf(tx, [id])).get(id) ?? []) : null;
      });
    },

    async queue(jobId, at) {
      await db
        .updateTable('jobs')
        .set({ state: 'queued', queued_at: at })
        .where('id', '=', jobId)
        .where('state', '=', 'waiting')
        .execute();
    },

    async claim(worker, kinds, at) {
      if (kinds.length === 0) return null;
      const row = await db
        .updateTable('jobs')
        .set({ state: 'running', worker, started_at: at })
        .where('id', '=', (eb) =>
          eb
            .selectFrom('jobs')
            .select('id')
            .where('state', '=', 'queued')
            .where('kind', 'in', kinds)
            .orderBy('queued_at')
            .orderBy('id')
            .limit(1),
        )
        .returningAll()
        .executeTakeFirst();
      return row ? toJob(row, []) : null;
    },

    async progress(jobId, { steps, progress }) {
      await db.transaction().execute(async (tx) => {
        const running = await tx
          .updateTable('jobs')
          // A late word from a worker must not touch a job that has been ended or started over.
          .set(progress === undefined ? { state: 'running' } : { progress })
          .where('id', '=', jobId)
          .where('state', '=', 'running')
          .returning('id')
          .executeTakeFirst();
        if (running && steps) await putSteps(tx, jobId, steps);
      });
    },

    async complete(jobId, { outcome, annotations, tests, artifacts, at }) {
      await db
        .updateTable('jobs')
        .set({
          state: 'completed',
          worker: null,
          outcome_kind: outcome.kind,
          outcome: JSON.stringify(outcome),
          finished_at: at,
          ...(annotations === undefined ? {} : { annotations: JSON.stringify(annotations) }),
          ...(tests === undefined ? {} : { tests: JSON.stringify(tests) }),
          ...(artifacts === undefined ? {} : { artifacts }),
        })
        .where('id', '=', jobId)
        .execute();
    },

    async artifacts(jobId) {
      const row = await db.selectFrom('jobs').select('artifacts').where('id', '=', jobId).executeTakeFirst();
      return row?.artifacts ?? null;
    },

    async restart(runId, jobIds, at) {
      await db.transaction().execute(async (tx) => {
        if (jobIds.length === 0) return planAnew(tx, runId);
        const restarted = await tx
          .updateTable('jobs')
          .set((eb) => ({ ...cleared, state: 'waiting', queued_at: null, attempt: eb('attempt', '+', 1) }))
          .where('run_id', '=', runId)
          .where('id', 'in', jobIds)
          .where('state', '=', 'completed')
          .returning('id')
          .execute();
        if (restarted.length === 0) return;
        await dropSteps(
          tx,
          restarted.map((row) => row.id),
        );
        await tx
          .updateTable('runs')
          .set({ state: 'running', outcome: null, started_at: at, finished_at: null })
          .where('id', '=', runId)
          .execute();
      });
    },

    async requeue(worker) {
      return db.transaction().execute(async (tx) => {
        let query = tx
          .updateTable('jobs')
          // queued_at stays: the job keeps its place in the queue.
          .set((eb) => ({ ...cleared, state: 'queued', attempt: eb('attempt', '+', 1) }))
          .where('state', '=', 'running');
        if (worker !== null) query = query.where('worker', '=', worker);
        const rows = await query.returningAll().execute();
        await dropSteps(
          tx,
          rows.map((row) => row.id),
        );
        return rows.sort((a, b) => (a.id < b.id ? -1 : 1)).map((row) => toJob(row, []));
      });
    },
  };
}

/** Jobs of the run with their steps, in the order of the plan. */
export async function jobsOf(db: Database, runId: string): Promise<readonly Job[]> {
  const rows = await db.selectFrom('jobs').selectAll().where('run_id', '=', runId).orderBy('position').execute();
  const steps = await stepsOf(
    db,
    rows.map((row) => row.id),
  );
  return rows.map((row) => toJob(row, steps.get(row.id) ?? []));
}

async function stepsOf(db: Database, jobIds: readonly string[]): Promise<ReadonlyMap<string, Step[]>> {
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
async function putSteps(db: Database, jobId: string, steps: readonly Step[]): Promise<void> {
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

async function dropSteps(db: Database, jobIds: readonly string[]): Promise<void> {
  for (const ids of parts(jobIds)) await db.deleteFrom('steps').where('job_id', 'in', ids).execute();
}

function parts<T>(all: readonly T[]): T[][] {
  const count = Math.ceil(all.length / rowsAtOnce);
  return Array.from({ length: count }, (_, i) => all.slice(i * rowsAtOnce, (i + 1) * rowsAtOnce));
}

/** A completed run that never had jobs is pending again. */
async function planAnew(tx: Database, runId: string): Promise<void> {
  await tx
    .updateTable('runs')
    .set({ state: 'pending', outcome: null, diagnostics: '[]', finished_at: null })
    .where('id', '=', runId)
    .where('state', '=', 'completed')
    .where((eb) => eb.not(eb.exists(eb.selectFrom('jobs').select('id').where('run_id', '=', runId))))
    .execute();
}
