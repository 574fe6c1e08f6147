import { sql } from 'kysely';
import type { HeadStore } from '#src/engine/store-deployments.ts';
import type { Database } from './schema.ts';

/** Heads of a pull request that matter: of the rest nobody writes a comment. */
const headsOfPullRequest = 50;

/** The heads that pull requests had, in the order of GitHub's clock. */
export function headStore(db: Database, newId: () => string): HeadStore {
  const newestFirst = (tx: Database, repositoryId: number, number: number) =>
    tx
      .selectFrom('heads')
      .selectAll()
      .where('repository_id', '=', repositoryId)
      .where('number', '=', number)
      .orderBy(sql`coalesce(at, received_at)`, 'desc')
      .orderBy('received_at', 'desc')
      .orderBy('id', 'desc');

  return {
    async record({ repositoryId, number, sha, at, receivedAt }) {
      const row = { id: newId(), repository_id: repositoryId, number, sha, at, received_at: receivedAt };
      if (at !== null) {
        // A time is that of one change of the head: told again, it is known.
        await db
          .insertInto('heads')
          .values(row)
          .onConflict((conflict) =>
            conflict.columns(['repository_id', 'number', 'sha', 'at']).where('at', 'is not', null).doNothing(),
          )
          .execute();
        return;
      }
      await db.transaction().execute(async (tx) => {
        const last = await newestFirst(tx, repositoryId, number).limit(1).executeTakeFirst();
        if (last?.sha !== sha) await tx.insertInto('heads').values(row).execute();
      });
    },

    async of(repositoryId, number) {
      const rows = await newestFirst(db, repositoryId, number).limit(headsOfPullRequest).execute();
      return rows
        .toReversed()
        .map(({ sha, at, received_at }) => ({ repositoryId, number, sha, at, receivedAt: received_at }));
    },
  };
}

/** Removes what was received before this time, but of each pull request its newest. */
export async function pruneHeads(tx: Database, before: number): Promise<void> {
  await sql`delete from heads where received_at < ${before} and exists (
    select 1 from heads as n where n.repository_id = heads.repository_id and n.number = heads.number
      and (coalesce(n.at, n.received_at), n.received_at, n.id)
        > (coalesce(heads.at, heads.received_at), heads.received_at, heads.id))`.execute(tx);
}
