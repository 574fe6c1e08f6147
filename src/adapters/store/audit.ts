import type { AuditRecord, AuditStore } from '#src/engine/store.ts';
import type { AuditTable, Database } from './schema.ts';

const page = 500;

/** Records are only ever added: triggers refuse the rest. */
export function auditStore(db: Database, newId: () => string): AuditStore {
  return {
    async append({ at, actor, action, repository, subject, decision, reason }) {
      const row = { id: newId(), at, actor, action, repository, subject, decision, reason };
      await db.insertInto('audit').values(row).execute();
    },

    async list(repository, limit) {
      let query = db.selectFrom('audit').selectAll();
      if (repository !== null) query = query.where('repository', '=', repository);
      return (await query.orderBy('id', 'desc').limit(limit).execute()).map(toRecord);
    },

    async *all(since) {
      let after = '';
      for (;;) {
        const rows = await db
          .selectFrom('audit')
          .selectAll()
          .where('at', '>=', since)
          .where('id', '>', after)
          .orderBy('id')
          .limit(page)
          .execute();
        yield* rows.map(toRecord);
        const last = rows.at(-1);
        if (last === undefined) return;
        after = last.id;
      }
    },
  };
}

function toRecord({ at, actor, action, repository, subject, decision, reason }: AuditTable): AuditRecord {
  return { at, actor, action, repository, subject, decision: decision as AuditRecord['decision'], reason };
}
