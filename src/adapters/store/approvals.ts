import type { Approval, ApprovalStore } from '#src/engine/store-deployments.ts';
import type { Database } from './schema.ts';

/** Who approved or rejected; gone with the job. */
export function approvalStore(db: Database): ApprovalStore {
  return {
    async add({ jobId, attempt, gate, login, decision, at }) {
      const { numInsertedOrUpdatedRows = 0n } = await db
        .insertInto('approvals')
        .values({ job_id: jobId, attempt, gate, who: login.toLowerCase(), login, decision, at })
        .onConflict((conflict) => conflict.columns(['job_id', 'attempt', 'gate', 'who']).doNothing())
        .executeTakeFirst();
      return numInsertedOrUpdatedRows > 0n;
    },

    async of(jobId, attempt) {
      const rows = await db
        .selectFrom('approvals')
        .selectAll()
        .where('job_id', '=', jobId)
        .where('attempt', '=', attempt)
        .orderBy('at')
        .orderBy('who')
        .execute();
      return rows.map(({ job_id, gate, login, decision, at, ...row }) => ({
        jobId: job_id,
        attempt: row.attempt,
        gate,
        login,
        decision: decision as Approval['decision'],
        at,
      }));
    },
  };
}
