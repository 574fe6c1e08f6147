import type { DeploymentRecord, DeploymentStore } from '#src/engine/store-deployments.ts';
import type { Database, DeploymentsTable } from './schema.ts';

export function deploymentStore(db: Database): DeploymentStore {
  return {
    async save(deployment) {
      const row = toRow(deployment);
      await db
        .insertInto('deployments')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
    },

    async ofJob(jobId) {
      const row = await db
        .selectFrom('deployments')
        .selectAll()
        .where('job_id', '=', jobId)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? toRecord(row) : null;
    },

    async list(repositoryId, environment, limit) {
      let query = db.selectFrom('deployments').selectAll().where('repository_id', '=', repositoryId);
      if (environment !== null) query = query.where('environment', '=', environment);
      const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
      return rows.map(toRecord);
    },

    async lastHealthy(repositoryId, environment, before) {
      let query = db
        .selectFrom('deployments')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where('environment', '=', environment)
        // `inactive` is what a success becomes when the next one takes its place.
        .where('state', 'in', ['success', 'inactive']);
      if (before !== null) {
        query = query.where((eb) =>
          eb(
            eb.refTuple('created_at', 'id'),
            '<',
            eb
              .selectFrom('deployments as later')
              .select(['later.created_at', 'later.id'])
              .where('later.id', '=', before)
              .$asTuple('created_at', 'id'),
          ),
        );
      }
      const row = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(1).executeTakeFirst();
      return row ? toRecord(row) : null;
    },
  };
}

function toRow(d: DeploymentRecord): DeploymentsTable {
  return {
    id: d.id,
    repository_id: d.repositoryId,
    repository: d.repository,
    environment: d.environment,
    sha: d.sha,
    run_id: d.runId,
    job_id: d.jobId,
    actor: d.actor,
    state: d.state,
    description: d.description,
    changes: JSON.stringify(d.changes),
    created_at: d.createdAt,
    updated_at: d.updatedAt,
    patched_at: d.patchedAt,
  };
}

function toRecord(row: DeploymentsTable): DeploymentRecord {
  return {
    id: row.id,
    repositoryId: row.repository_id,
    repository: row.repository,
    environment: row.environment,
    sha: row.sha,
    runId: row.run_id,
    jobId: row.job_id,
    actor: row.actor,
    state: row.state as DeploymentRecord['state'],
    description: row.description,
    changes: JSON.parse(row.changes),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    patchedAt: row.patched_at,
  };
}
