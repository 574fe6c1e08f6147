import type { Lock, LockStore } from '#src/engine/store-deployments.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Database, LocksTable } from './schema.ts';

/** How often a lock is asked for that is released by others between the taking and the look at whose it is. */
const tries = 20;

/** Locks of environments. That there is one of each at most is the database's word: its primary key. */
export function lockStore(db: Database): LockStore {
  return {
    async take(lock) {
      const row = toRow(lock);
      for (let i = 0; i < tries; i += 1) {
        await db
          .insertInto('locks')
          .values(row)
          .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doNothing())
          .execute();
        const current = await db
          .selectFrom('locks')
          .selectAll()
          .where('repository_id', '=', row.repository_id)
          .where('name', '=', row.name)
          .executeTakeFirst();
        if (current) return toLock(current);
      }
      throw new PlatformError('The lock is taken and released too often to say whose it is. Try again.');
    },

    async release(repositoryId, environment, owner) {
      let query = db
        .deleteFrom('locks')
        .where('repository_id', '=', repositoryId)
        .where('name', '=', environment.toLowerCase());
      if (owner !== null) query = query.where((eb) => eb(eb.fn('lower', ['owner']), '=', owner.toLowerCase()));
      return (await query.executeTakeFirst()).numDeletedRows > 0n;
    },

    async of(repositoryId) {
      const rows = await db
        .selectFrom('locks')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .orderBy('name')
        .execute();
      return rows.map(toLock);
    },

    async closed(repositoryId, pullRequest) {
      const rows = await db
        .deleteFrom('locks')
        .where('repository_id', '=', repositoryId)
        .where('pull_request', '=', pullRequest)
        .returningAll()
        .execute();
      return rows.map(toLock);
    },
  };
}

function toRow({ repositoryId, environment, owner, reason, pullRequest, at }: Lock): LocksTable {
  const name = environment.toLowerCase();
  return { repository_id: repositoryId, name, environment, owner, reason, pull_request: pullRequest, at };
}

function toLock({ repository_id, environment, owner, reason, pull_request, at }: LocksTable): Lock {
  return { repositoryId: repository_id, environment, owner, reason, pullRequest: pull_request, at };
}
