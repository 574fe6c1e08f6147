import { sql } from 'kysely';
import type { RunStore } from '#src/engine/store.ts';
import { pruneHeads } from './heads.ts';
import type { Dialect } from './migrate.ts';
import type { Database } from './schema.ts';
import { parts } from './steps.ts';

/** Removes what nobody needs any more: see RunStore. */
export function pruneRuns(db: Database, dialect: Dialect): RunStore['prune'] {
  return async ({ before, keep, limit }) =>
    db.transaction().execute(async (tx) => {
      const ids = [
        ...(before === null ? [] : await endedBefore(tx, dialect, before, limit)),
        ...(keep === null ? [] : await beyond(tx, dialect, keep, limit)),
      ];
      const oldest = [...new Set(ids)].sort().slice(0, limit);
      const jobs = new Map<string, { id: string; attempts: number }[]>(oldest.map((id) => [id, []]));
      for (const part of parts(oldest)) {
        const rows = await tx
          .selectFrom('jobs')
          .select(['id', 'run_id', 'attempt'])
          .where('run_id', 'in', part)
          .orderBy('run_id')
          .orderBy('position')
          .execute();
        for (const row of rows) jobs.get(row.run_id)?.push({ id: row.id, attempts: row.attempt });
        await tx.deleteFrom('line_entries').where('run_id', 'in', part).execute();
        await tx.deleteFrom('deployments').where('run_id', 'in', part).where(forgettable).execute();
        await tx.deleteFrom('runs').where('id', 'in', part).execute();
      }
      if (before !== null) await pruneHeads(tx, before);
      return oldest.map((runId) => ({ runId, jobs: jobs.get(runId) ?? [] }));
    });
}

/** Runs of healthy deployments that are kept of each environment, because somebody may go back to them. */
const healthyKept = 10;

/** Neither the newest of its repository, nor untold, nor what an environment or a preview is at or may go back to. */
const removable = sql`runs.state = 'completed' and runs.told_version >= runs.version
  and exists (select 1 from runs as n where n.repository_id = runs.repository_id and n.id > runs.id)
  and not exists (
    select 1 from deployments as d where d.run_id = runs.id
      and (d.state = 'success' or (d.state = 'inactive' and d.environment not like 'preview/%')) and not exists (
        select 1 from deployments as l where l.repository_id = d.repository_id
          and lower(l.environment) = lower(d.environment) and l.state in ('success', 'inactive')
          and (l.created_at, l.id) > (d.created_at, d.id)
        limit 1 offset ${sql.lit(healthyKept - 1)}))`;

/** What nobody can go back to; but a preview that may still be there isn't forgotten before it is removed. */
const forgettable = sql<boolean>`(state not in ('success', 'inactive') or environment like 'preview/%')
  and (state = 'inactive' or details not like '%"preview":{%' or details like '%"removedAt":%')`;

/** A run that is just being started over is left alone. */
const locked = (dialect: Dialect) => (dialect === 'postgres' ? sql`for update of runs skip locked` : sql``);

async function endedBefore(tx: Database, dialect: Dialect, before: number, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select runs.id from runs where runs.finished_at < ${before} and ${removable}
    order by runs.finished_at, runs.id limit ${limit} ${locked(dialect)}`.execute(tx);
  return rows.map((row) => row.id);
}

async function beyond(tx: Database, dialect: Dialect, keep: number, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with recursive
      repositories (id) as (
        select min(repository_id) from runs
        union all
        select (select min(r.repository_id) from runs as r where r.repository_id > repositories.id)
        from repositories where repositories.id is not null
      ),
      cuts as (
        select repositories.id as repository_id, (select r.id from runs as r where r.repository_id = repositories.id
          order by r.id desc limit 1 offset ${keep}) as run_id
        from repositories
      )
    select runs.id from cuts join runs on runs.repository_id = cuts.repository_id and runs.id <= cuts.run_id
    where ${removable} order by runs.id limit ${limit} ${locked(dialect)}`.execute(tx);
  return rows.map((row) => row.id);
}
