import type { AuditStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

/** Records are only ever added. */
export function auditStore(db: Database, newId: () => string): AuditStore {
  return {
    async append({ at, actor, action, repository, subject, decision, reason }) {
      const row = { id: newId(), at, actor, action, repository, subject, decision, reason };
      await db.insertInto('audit').values(row).execute();
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
