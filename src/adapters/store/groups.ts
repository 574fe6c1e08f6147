import type { GroupEntry, GroupStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

interface Entry extends GroupEntry {
  /** What stands here is completed: it was killed before it could leave. */
  readonly over: boolean;
}

/** The lines of the concurrency groups. Changes of a line happen one after another: who changes it holds its row in `lines`. */
export function groupStore(db: Database): GroupStore {
  return {
    async enter(repositoryId, group, holder, runId) {
      const before = await lineOf(db, repositoryId, group);
      const settled = before.some((entry) => entry.holds) && before.some((entry) => entry.holder === holder);
      if (settled && !before.some((entry) => entry.over)) return before.map(toEntry);
      return db.transaction().execute(async (tx) => {
        const { seq } = await tx
          .insertInto('lines')
          .values({ repository_id: repositoryId, name: group, seq: 1 })
          .onConflict((c) =>
            c.columns(['repository_id', 'name']).doUpdateSet((eb) => ({ seq: eb('lines.seq', '+', 1) })),
          )
          .returning('seq')
          .executeTakeFirstOrThrow();
        const gone = (await lineOf(tx, repositoryId, group)).filter((entry) => entry.over && entry.holder !== holder);
        for (const entry of gone) await remove(tx, repositoryId, group, entry.holder);
        const jobId = holder.startsWith('job:') ? holder.slice('job:'.length) : null;
        await tx
          .insertInto('line_entries')
          .values({ repository_id: repositoryId, name: group, holder, run_id: runId, job_id: jobId, seq, holds: 0 })
          .onConflict((conflict) => conflict.columns(['repository_id', 'name', 'holder']).doNothing())
          .execute();
        const line = await lineOf(tx, repositoryId, group);
        if (line[0]?.holder !== holder || line.some((entry) => entry.holds)) return line.map(toEntry);
        await tx
          .updateTable('line_entries')
          .set({ holds: 1 })
          .where('repository_id', '=', repositoryId)
          .where('name', '=', group)
          .where('holder', '=', holder)
          .execute();
        return line.map((entry) => ({ ...toEntry(entry), holds: entry.holder === holder }));
      });
    },

    async line(repositoryId, group) {
      return (await lineOf(db, repositoryId, group)).filter((entry) => !entry.over).map(toEntry);
    },

    async leave(holder) {
      const places = () =>
        db.selectFrom('line_entries').select(['repository_id', 'name']).where('holder', '=', holder).execute();
      const next = new Set<string>();
      for (const { repository_id: repositoryId, name } of await places()) {
        const first = await db.transaction().execute(async (tx) => {
          await tx
            .updateTable('lines')
            .set((eb) => ({ seq: eb.ref('seq') }))
            .where('repository_id', '=', repositoryId)
            .where('name', '=', name)
            .execute();
          if (await isUnderWay(tx, holder)) return null;
          await remove(tx, repositoryId, name, holder);
          const line = await lineOf(tx, repositoryId, name);
          if (line.length === 0) {
            await tx.deleteFrom('lines').where('repository_id', '=', repositoryId).where('name', '=', name).execute();
          }
          return line.some((entry) => entry.holds && !entry.over) ? null : (line.find((entry) => !entry.over) ?? null);
        });
        if (first) next.add(first.runId);
      }
      return [...next];
    },

    async heldUpBy(runId) {
      const rows = await db
        .selectFrom('line_entries as w')
        .innerJoin('line_entries as h', (join) =>
          join.onRef('h.repository_id', '=', 'w.repository_id').onRef('h.name', '=', 'w.name'),
        )
        .select('h.run_id')
        .distinct()
        .where('w.run_id', '=', runId)
        .where('w.job_id', 'is not', null)
        .where('w.holds', '=', 0)
        .where('h.job_id', 'is', null)
        .where('h.holds', '=', 1)
        .execute();
      return rows.map((row) => row.run_id);
    },
  };
}

/** Whether the holder is a job that was queued or begun meanwhile; if not, it isn't before the transaction ends. */
async function isUnderWay(tx: Database, holder: string): Promise<boolean> {
  const jobId = holder.startsWith('job:') ? holder.slice('job:'.length) : null;
  if (jobId === null) return false;
  const job = await tx.selectFrom('jobs').select('id').where('id', '=', jobId).executeTakeFirst();
  if (job === undefined) return false;
  // Changes nothing, but keeps the job's row.
  const { numUpdatedRows } = await tx
    .updateTable('jobs')
    .set((eb) => ({ state: eb.ref('state') }))
    .where('id', '=', jobId)
    .where('state', 'not in', ['queued', 'running'])
    .executeTakeFirst();
  return numUpdatedRows === 0n;
}

function toEntry({ holder, runId, holds, seq }: Entry): GroupEntry {
  return { holder, runId, holds, seq };
}

async function remove(tx: Database, repositoryId: number, name: string, holder: string): Promise<void> {
  await tx
    .deleteFrom('line_entries')
    .where('repository_id', '=', repositoryId)
    .where('name', '=', name)
    .where('holder', '=', holder)
    .execute();
}

async function lineOf(db: Database, repositoryId: number, name: string): Promise<readonly Entry[]> {
  const rows = await db
    .selectFrom('line_entries as e')
    .leftJoin('runs as r', 'r.id', 'e.run_id')
    .leftJoin('jobs as j', 'j.id', 'e.job_id')
    .select(['e.holder', 'e.run_id', 'e.holds', 'e.seq', 'r.state as run_state', 'j.state as job_state'])
    .where('e.repository_id', '=', repositoryId)
    .where('e.name', '=', name)
    .orderBy('e.seq')
    .execute();
  return rows.map((row) => ({
    holder: row.holder,
    runId: row.run_id,
    holds: row.holds === 1,
    seq: row.seq,
    over: row.run_state === 'completed' || row.job_state === 'completed',
  }));
}
