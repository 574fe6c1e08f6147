import type { AuditStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

/** Records are only ever added. */
export function auditStore(db: Database, newId: () => string): AuditStore {
  return {
    async append(record) {
      await db
        .insertInto('audit')
        .values({ id: newId(), ...record })
        .execute();
    },

    async list(repository, limit) {
      let query = db
        .selectFrom('audit')
        .select(['at', 'actor', 'action', 'repository', 'subject', 'decision', 'reason']);
      if (repository !== null) query = query.where('repository', '=', repository);
      return query.orderBy('id', 'desc').limit(limit).execute();
    },
  };
}
