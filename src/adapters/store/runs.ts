import type { NewRun, RunStore } from '#src/engine/store.ts';
import { runKey } from '#src/model/event.ts';
import type { Trust } from '#src/model/trust.ts';
import { lockRun, raise, reading } from './change.ts';
import { findRuns } from './find-runs.ts';
import { jobStore } from './jobs.ts';
import type { Dialect } from './migrate.ts';
import { pruneRuns } from './prune.ts';
import { newJob, newRun, toRun } from './rows.ts';
import type { Database } from './schema.ts';
import { jobsOf, parts } from './steps.ts';

/** Runs with what is done to a run as a whole; its jobs are in jobs.ts. */
export function runStore(db: Database, newId: () => string, dialect: Dialect): RunStore {
  return {
    ...findRuns(db, dialect),
    ...jobStore(db, dialect),
    prune: pruneRuns(db, dialect),

    async create(run) {
      const made = await db
        .insertInto('runs')
        .values(newRun(newId(), run))
        .onConflict((conflict) => conflict.columns(['repository_id', 'sha', 'run_key']).doNothing())
        .returningAll()
        .executeTakeFirst();
      if (made) return { run: toRun(made), created: true };
      const known = await db
        .selectFrom('runs')
        .selectAll()
        .where('repository_id', '=', run.repository.id)
        .where('sha', '=', run.trigger.sha)
        .where('run_key', '=', runKey(run.trigger))
        .executeTakeFirstOrThrow();
      return { run: toRun(known), created: false };
    },

    async view(id) {
      return reading(db, dialect, async (tx) => {
        const row = await tx.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
        return row ? { run: toRun(row), jobs: await jobsOf(tx, id) } : null;
      });
    },

    async cancel(id, { reason, by }) {
      const { numUpdatedRows } = await db
        .updateTable('runs')
        .set((eb) => ({ cancel_reason: reason, cancel_by: by, version: eb('version', '+', 1) }))
        .where('id', '=', id)
        .where('state', '<>', 'completed')
        // A person's word takes the place of Slipway's own.
        .where((eb) => (by === 'person' ? eb('cancel_by', 'is distinct from', by) : eb('cancel_by', 'is', null)))
        .executeTakeFirst();
      return numUpdatedRows > 0;
    },

    async trust(id, trust) {
      const { numUpdatedRows } = await db
        .updateTable('runs')
        .set((eb) => ({ trust: JSON.stringify(trust), version: eb('version', '+', 1) }))
        .where('id', '=', id)
        .where('trust', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0;
    },

    async approve(id, by) {
      return db.transaction().execute(async (tx) => {
        await lockRun(tx, dialect, id);
        const row = await tx.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
        const trust = row ? toRun(row).trust : null;
        if (!row || row.state === 'completed' || trust?.approval !== 'needed') return false;
        const given: Trust = { ...trust, approval: 'given', approvedBy: by };
        await tx
          .updateTable('runs')
          .set((eb) => ({ trust: JSON.stringify(given), note: null, version: eb('version', '+', 1) }))
          .where('id', '=', id)
          .execute();
        return true;
      });
    },

    async note(id, note) {
      await db
        .updateTable('runs')
        .set((eb) => ({ note, version: eb('version', '+', 1) }))
        .where('id', '=', id)
        .where('state', '<>', 'completed')
        .where('note', 'is distinct from', note)
        .execute();
    },

    touch: (id) => raise(db, id),

    async untold(limit) {
      const rows = await db
        .selectFrom('runs')
        .select('id')
        .whereRef('told_version', '<', 'version')
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map((row) => row.id);
    },

    async told(id, version) {
      await db
        .updateTable('runs')
        .set({ told_version: version })
        .where('id', '=', id)
        .where('told_version', '<', version)
        .execute();
    },

    async setPullRequest(id, number) {
      await db
        .updateTable('runs')
        .set((eb) => ({ pull_request: number, version: eb('version', '+', 1) }))
        .where('id', '=', id)
        .where('pull_request', 'is distinct from', number)
        .execute();
    },

    async pushedAgain(id, at) {
      await db.transaction().execute(async (tx) => {
        await lockRun(tx, dialect, id);
        const row = await tx.selectFrom('runs').select('trigger').where('id', '=', id).executeTakeFirst();
        if (!row) return;
        const trigger = JSON.parse(row.trigger) as NewRun['trigger'];
        if ((trigger.at ?? 0) >= at) return;
        await tx
          .updateTable('runs')
          .set({ trigger: JSON.stringify({ ...trigger, at }) })
          .where('id', '=', id)
          .execute();
      });
    },

    async plan(id, { jobs, diagnostics, concurrency, pipelineFile, at }) {
      await db.transaction().execute(async (tx) => {
        const planned = await tx
          .updateTable('runs')
          .set({
            state: 'running',
            started_at: at,
            pipeline_file: pipelineFile,
            diagnostics: JSON.stringify(diagnostics),
            concurrency: concurrency === null ? null : JSON.stringify(concurrency),
            note: null,
          })
          .where('id', '=', id)
          .where('state', '=', 'pending')
          .returning(['id', 'repository_id'])
          .executeTakeFirst();
        if (!planned) return;
        const rows = jobs.map((job, position) => newJob(newId(), planned, position, job));
        for (const part of parts(rows)) await tx.insertInto('jobs').values(part).execute();
        await raise(tx, id);
      });
    },

    async finish(id, outcome, diagnostics, at) {
      await db.transaction().execute(async (tx) => {
        await lockRun(tx, dialect, id);
        await tx
          .updateTable('runs')
          .set((eb) => ({
            state: 'completed',
            outcome: JSON.stringify(outcome),
            started_at: eb.fn.coalesce('started_at', eb.val(at)),
            finished_at: at,
            note: null,
            version: eb('version', '+', 1),
            // None given: those of the plan stay.
            ...(diagnostics.length > 0 ? { diagnostics: JSON.stringify(diagnostics) } : {}),
          }))
          .where('id', '=', id)
          .where('state', '<>', 'completed')
          .where((eb) =>
            eb.not(
              eb.exists(
                eb.selectFrom('jobs').select('jobs.id').where('run_id', '=', id).where('jobs.state', '<>', 'completed'),
              ),
            ),
          )
          .execute();
      });
    },
  };
}
