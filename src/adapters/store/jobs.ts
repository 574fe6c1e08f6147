import type { Owned, RunStore } from '#src/engine/store.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import { changing, lockRun, raise, reading } from './change.ts';
import type { Dialect } from './migrate.ts';
import { queueStore } from './queue.ts';
import { cleared, toJob, withEarlier } from './rows.ts';
import type { Database } from './schema.ts';
import { dropSteps, parts, putSteps, stepsOf } from './steps.ts';

type JobMethods =
  | 'job'
  | 'queue'
  | 'noteJob'
  | 'cancelJob'
  | 'claim'
  | 'nextDue'
  | 'progress'
  | 'drop'
  | 'complete'
  | 'again'
  | 'unclaim'
  | 'artifacts'
  | 'restart'
  | 'inherit'
  | 'running';

/** What is done to a job alone. */
export function jobStore(db: Database, dialect: Dialect): Pick<RunStore, JobMethods> {
  return {
    ...queueStore(db, dialect),

    async job(id) {
      return reading(db, dialect, async (tx) => {
        const row = await tx.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
        return row ? toJob(row, (await stepsOf(tx, [id])).get(id) ?? []) : null;
      });
    },

    async queue(jobId, at) {
      await changing(db, (tx) =>
        tx
          .updateTable('jobs')
          .set({ state: 'queued', queued_at: at, note: null, gate: null, not_before: null })
          .where('id', '=', jobId)
          .where('state', '=', 'waiting')
          .returning('run_id')
          .executeTakeFirst(),
      );
    },

    async noteJob(jobId, note, gate = null) {
      const gateText = gateOf(gate);
      await changing(db, (tx) =>
        tx
          .updateTable('jobs')
          .set({ note, gate: gateText })
          .where('id', '=', jobId)
          .where('state', '=', 'waiting')
          .where((eb) => eb.or([eb('note', 'is distinct from', note), eb('gate', 'is distinct from', gateText)]))
          .returning('run_id')
          .executeTakeFirst(),
      );
    },

    async cancelJob(jobId, { reason, by }) {
      return changing(db, (tx) =>
        tx
          .updateTable('jobs')
          .set({ cancel_reason: reason, cancel_by: by })
          .where('id', '=', jobId)
          .where('state', '<>', 'completed')
          // A person's word takes the place of Slipway's own.
          .where((eb) => (by === 'person' ? eb('cancel_by', 'is distinct from', by) : eb('cancel_by', 'is', null)))
          .returning('run_id')
          .executeTakeFirst(),
      );
    },

    async progress(owned, { steps, progress, gate, report }) {
      return db.transaction().execute(async (tx) => {
        const change = {
          // Written also if nothing changes: so nobody ends the job before its steps are stored.
          state: 'running',
          ...(progress === undefined ? {} : { progress }),
          ...(gate === undefined ? {} : { gate: gateOf(gate) }),
          ...(report === undefined ? {} : { report }),
        };
        const before = gate === undefined ? null : await gateIn(tx, owned.jobId);
        const running = await ofOwner(tx, owned).set(change).returning('run_id').executeTakeFirst();
        if (!running) return false;
        if (steps) await putSteps(tx, owned.jobId, steps);
        // Whoever may open the gate must hear of it.
        if (gate !== undefined && gateOf(gate) !== before) await raise(tx, running.run_id);
        return true;
      });
    },

    async drop(jobId, outcome, at) {
      return changing(db, (tx) =>
        tx
          .updateTable('jobs')
          .set({
            state: 'completed',
            outcome_kind: outcome.kind,
            outcome: JSON.stringify(outcome),
            note: null,
            gate: null,
            not_before: null,
            finished_at: at,
          })
          .where('id', '=', jobId)
          .where('state', 'in', ['waiting', 'queued'])
          .returning('run_id')
          .executeTakeFirst(),
      );
    },

    async complete(owned, { outcome, annotations, tests, artifacts, report, at }) {
      return changing(db, (tx) =>
        ofOwner(tx, owned)
          .set({
            state: 'completed',
            worker: null,
            outcome_kind: outcome.kind,
            outcome: JSON.stringify(outcome),
            note: null,
            gate: null,
            finished_at: at,
            ...(annotations === undefined ? {} : { annotations: JSON.stringify(annotations) }),
            ...(tests === undefined ? {} : { tests: JSON.stringify(tests) }),
            ...(artifacts === undefined ? {} : { artifacts }),
            ...(report === undefined ? {} : { report }),
          })
          .returning('run_id')
          .executeTakeFirst(),
      );
    },

    async again(owned, { outcome, by, why, note, notBefore, at }) {
      return changing(db, async (tx) => {
        const row = await tx.selectFrom('jobs').selectAll().where('id', '=', owned.jobId).executeTakeFirst();
        if (!row) return undefined;
        const earlier = withEarlier(row, { by, why, outcome, finishedAt: at });
        const changed = await ofOwner(tx, owned)
          // queued_at stays: the job keeps its place in the queue.
          .set({ ...cleared, state: 'queued', attempt: owned.attempt + 1, earlier, note, not_before: notBefore })
          .returning('run_id')
          .executeTakeFirst();
        if (changed) await dropSteps(tx, [owned.jobId]);
        return changed;
      });
    },

    async unclaim(owned) {
      return changing(db, async (tx) => {
        const changed = await ofOwner(tx, owned)
          .set({ ...cleared, state: 'queued' })
          .returning('run_id')
          .executeTakeFirst();
        if (changed) await dropSteps(tx, [owned.jobId]);
        return changed;
      });
    },

    async artifacts(jobId) {
      const row = await db.selectFrom('jobs').select('artifacts').where('id', '=', jobId).executeTakeFirst();
      return row?.artifacts ?? null;
    },

    async restart(runId, jobIds, why, at, login) {
      await db.transaction().execute(async (tx) => {
        await lockRun(tx, dialect, runId);
        if (jobIds.length === 0) return planAnew(tx, runId);
        const rows = [];
        for (const ids of parts(jobIds)) {
          rows.push(
            ...(await tx
              .selectFrom('jobs')
              .selectAll()
              .where('run_id', '=', runId)
              .where('id', 'in', ids)
              .where('state', '=', 'completed')
              .execute()),
          );
        }
        if (rows.length === 0) return;
        for (const row of rows) {
          await tx
            .updateTable('jobs')
            .set({
              ...cleared,
              state: 'waiting',
              queued_at: null,
              attempt: row.attempt + 1,
              earlier: withEarlier(row, { by: 'person', why, ...(login === undefined ? {} : { login }) }),
              cancel_reason: null,
              cancel_by: null,
            })
            .where('id', '=', row.id)
            .execute();
        }
        await dropSteps(
          tx,
          rows.map((row) => row.id),
        );
        await tx
          .updateTable('runs')
          .set({ ...uncancelled, state: 'running', outcome: null, started_at: at, finished_at: null })
          .where('id', '=', runId)
          .execute();
        await raise(tx, runId);
      });
    },

    async inherit(worker, heir) {
      return db.transaction().execute(async (tx) => {
        const query = tx.updateTable('jobs').set({ worker: heir }).where('state', '=', 'running');
        const rows = await (worker === null
          ? query.where((eb) => eb.or([eb('worker', 'is', null), eb('worker', '<>', heir)]))
          : query.where('worker', '=', worker)
        )
          .returningAll()
          .execute();
        const steps = await stepsOf(
          tx,
          rows.map((row) => row.id),
        );
        return rows.sort((a, b) => (a.id < b.id ? -1 : 1)).map((row) => toJob(row, steps.get(row.id) ?? []));
      });
    },

    async running(names) {
      const found = new Set<string>();
      for (const ids of parts(names.map((name) => name.slice(0, name.lastIndexOf('-'))))) {
        const query = db.selectFrom('jobs').select(['id', 'attempt']).where('state', '=', 'running');
        for (const { id, attempt } of await query.where('id', 'in', ids).execute()) found.add(`${id}-${attempt}`);
      }
      return new Set(names.filter((name) => found.has(name)));
    },
  };
}

function gateOf(gate: JobGate | null): string | null {
  return gate === null ? null : JSON.stringify(gate);
}

async function gateIn(tx: Database, jobId: string): Promise<string | null> {
  return (await tx.selectFrom('jobs').select('gate').where('id', '=', jobId).executeTakeFirst())?.gate ?? null;
}

/** A late word, from an attempt that was given up or a server that was taken for dead, finds nothing to change. */
function ofOwner(tx: Database, { jobId, attempt, worker }: Owned) {
  return tx
    .updateTable('jobs')
    .where('id', '=', jobId)
    .where('state', '=', 'running')
    .where('attempt', '=', attempt)
    .where('worker', '=', worker);
}

const uncancelled = { cancel_reason: null, cancel_by: null, note: null } as const;

/** A completed run that never had jobs is pending again. */
async function planAnew(tx: Database, runId: string): Promise<void> {
  const pending = await tx
    .updateTable('runs')
    .set({ ...uncancelled, state: 'pending', outcome: null, diagnostics: '[]', concurrency: null, finished_at: null })
    .where('id', '=', runId)
    .where('state', '=', 'completed')
    .where((eb) => eb.not(eb.exists(eb.selectFrom('jobs').select('id').where('run_id', '=', runId))))
    .returning('id')
    .executeTakeFirst();
  if (pending) await raise(tx, runId);
}
