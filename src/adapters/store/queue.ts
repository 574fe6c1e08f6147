import { sql } from 'kysely';
import type { RunStore } from '#src/engine/store.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Job } from '#src/model/run.ts';
import { raise } from './change.ts';
import type { Dialect } from './migrate.ts';
import { toJob } from './rows.ts';
import type { Database } from './schema.ts';

type Kind = PlannedJob['work']['kind'];

/** No pause lasts so long: a job that is due later than that was told so by a clock that has been set back. Milliseconds. */
const longestPauseMs = 10 * 60_000;

const priorities: readonly PlannedJob['priority'][] = [2, 1, 0];

/** Gives queued jobs to workers, fair between repositories. */
export function queueStore(db: Database, dialect: Dialect): Pick<RunStore, 'claim' | 'nextDue'> {
  return {
    async claim(worker, kinds, at) {
      // Asked for often and mostly in vain, so at first without a lock.
      if (kinds.length === 0 || !(await anyDue(db, kinds, at))) return null;
      return db.transaction().execute(async (tx) => {
        const id = (await nextInTurn(tx, dialect, kinds, at)) ?? (await anyUnlocked(tx, dialect, kinds, at));
        return id === null ? null : take(tx, id, worker, at);
      });
    },

    async nextDue(at) {
      const row = await db
        .selectFrom('jobs')
        .select('not_before')
        .where('state', '=', 'queued')
        .where('not_before', 'is not', null)
        .where('not_before', '>', at)
        .orderBy('not_before')
        .limit(1)
        .executeTakeFirst();
      return row?.not_before ?? null;
    },
  };
}

async function take(tx: Database, id: string, worker: string, at: number): Promise<Job | null> {
  const row = await tx
    .updateTable('jobs')
    .set({ state: 'running', worker, started_at: at, note: null, not_before: null })
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
  if (!row) return null;
  await raise(tx, row.run_id);
  const turn = sql<number>`(select coalesce(max(turn), 0) + 1 from turns)`;
  await tx
    .insertInto('turns')
    .values({ repository_id: row.repository_id, turn })
    .onConflict((conflict) => conflict.column('repository_id').doUpdateSet((eb) => ({ turn: eb.ref('excluded.turn') })))
    .execute();
  return toJob(row, []);
}

/**
 * Each repository's jobs of a kind and priority are a lane; only its first job is looked at. The lanes are found by
 * jumping through the index from one to the next, so it costs the same however many jobs stand in them.
 */
async function nextInTurn(tx: Database, dialect: Dialect, kinds: readonly Kind[], at: number): Promise<string | null> {
  const starts = kinds.flatMap((kind) =>
    priorities.map(
      (priority) => sql`select cast(${sql.lit(kind)} as text) as kind, ${sql.lit(priority)} as priority,
        (select min(repository_id) from jobs where state = 'queued' and kind = ${sql.lit(kind)}
          and priority = ${sql.lit(priority)}) as repository_id`,
    ),
  );
  const { rows } = await sql<{ id: string }>`
    with recursive
      starts as (${sql.join(starts, sql` union all `)}),
      lanes (kind, priority, repository_id) as (
        select kind, priority, repository_id from starts
        union all
        select lanes.kind, lanes.priority,
          (select min(later.repository_id) from jobs as later where later.state = 'queued' and later.kind = lanes.kind
            and later.priority = lanes.priority and later.repository_id > lanes.repository_id)
        from lanes where lanes.repository_id is not null
      )
    select j.id from lanes
    join jobs as j on j.id = (
      select head.id from jobs as head where head.state = 'queued' and head.kind = lanes.kind
        and head.priority = lanes.priority and head.repository_id = lanes.repository_id
        and (head.not_before is null or head.not_before <= ${at} or head.not_before > ${at + longestPauseMs})
      order by head.queued_at, head.id limit 1)
    where j.state = 'queued'
    order by lanes.priority desc,
      (select count(*) from jobs as r where r.state = 'running' and r.repository_id = lanes.repository_id),
      coalesce((select t.turn from turns as t where t.repository_id = lanes.repository_id), 0),
      j.queued_at, j.id
    limit 1 ${dialect === 'postgres' ? sql`for update of j skip locked` : sql``}`.execute(tx);
  return rows[0]?.id ?? null;
}

function due(db: Database, kinds: readonly Kind[], at: number) {
  return db
    .selectFrom('jobs')
    .select('id')
    .where('state', '=', 'queued')
    .where('kind', 'in', kinds)
    .where((eb) =>
      eb.or([eb('not_before', 'is', null), eb('not_before', '<=', at), eb('not_before', '>', at + longestPauseMs)]),
    );
}

async function anyDue(db: Database, kinds: readonly Kind[], at: number): Promise<boolean> {
  return (await due(db, kinds, at).limit(1).executeTakeFirst()) !== undefined;
}

/** When other servers are just taking the first of every lane, the next best is taken rather than none. */
async function anyUnlocked(tx: Database, dialect: Dialect, kinds: readonly Kind[], at: number): Promise<string | null> {
  if (dialect === 'sqlite') return null;
  const query = due(tx, kinds, at).orderBy('priority', 'desc').orderBy('queued_at').orderBy('id');
  return (await query.limit(1).forUpdate().skipLocked().executeTakeFirst())?.id ?? null;
}
