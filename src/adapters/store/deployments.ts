import { sql } from 'kysely';
import type { DeploymentRecord, DeploymentStore } from '#src/engine/store-deployments.ts';
import { raise } from './change.ts';
import type { Dialect } from './migrate.ts';
import type { Database, DeploymentsTable } from './schema.ts';

/** Deployments. Names of environments are compared without regard to case, as GitHub does. */
export function deploymentStore(db: Database, dialect: Dialect): DeploymentStore {
  return {
    async save(deployment) {
      const row = toRow(deployment);
      await db
        .insertInto('deployments')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
    },

    async get(id) {
      const row = await db.selectFrom('deployments').selectAll().where('id', '=', id).executeTakeFirst();
      return row ? toRecord(row) : null;
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
      if (environment !== null) query = query.where(isEnvironment(environment));
      const rows = await query.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).execute();
      return rows.map(toRecord);
    },

    async lastHealthy(repositoryId, environment, before) {
      let query = db
        .selectFrom('deployments')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where(isEnvironment(environment))
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

    async environments(repositoryId) {
      const rows = await db
        .selectFrom('deployments')
        .select((eb) => ['environment', eb.fn.max<number>('created_at').as('last')])
        .where('repository_id', '=', repositoryId)
        .groupBy('environment')
        .orderBy('last')
        .execute();
      // As it was spelled last.
      const names = new Map(rows.map(({ environment }) => [environment.toLowerCase(), environment]));
      return [...names.keys()].sort().map((key) => names.get(key) ?? key);
    },

    async supersede({ id, repositoryId, environment }, rolledBack) {
      return db.transaction().execute(async (tx) => {
        const query = tx
          .selectFrom('deployments')
          .selectAll()
          .where('repository_id', '=', repositoryId)
          .where(isEnvironment(environment))
          .where('state', '=', 'success')
          .where('id', '<>', id)
          .orderBy('created_at', 'desc')
          .orderBy('id', 'desc');
        const rows = await (dialect === 'postgres' ? query.forUpdate() : query).execute();
        const gone = rows.map(toRecord).map(
          (one): DeploymentRecord => ({
            ...one,
            state: 'inactive',
            details: rolledBack ? { ...one.details, rolledBack } : one.details,
          }),
        );
        for (const one of gone) {
          await tx.updateTable('deployments').set(toRow(one)).where('id', '=', one.id).execute();
          await raise(tx, one.runId);
        }
        return gone;
      });
    },

    async retire(id, description, at) {
      await db.transaction().execute(async (tx) => {
        const query = tx.selectFrom('deployments').selectAll().where('id', '=', id);
        const row = await (dialect === 'postgres' ? query.forUpdate() : query).executeTakeFirst();
        if (!row) return;
        const { details, ...record } = toRecord(row);
        const { preview } = details;
        const retired: DeploymentRecord = {
          ...record,
          ...(record.state === 'success' ? { state: 'inactive', description } : {}),
          updatedAt: at,
          details: preview ? { ...details, preview: { ...preview, removedAt: preview.removedAt ?? at } } : details,
        };
        await tx.updateTable('deployments').set(toRow(retired)).where('id', '=', id).execute();
        await raise(tx, row.run_id);
      });
    },

    async previews() {
      const rows = await db
        .selectFrom('deployments')
        .selectAll()
        .where(sql<boolean>`environment like 'preview/%' and state <> 'inactive'`)
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
        .execute();
      const newest = new Map<string, DeploymentRecord>();
      for (const one of rows.map(toRecord)) {
        const key = `${one.repositoryId} ${one.environment}`;
        if (one.details.preview !== undefined && !newest.has(key)) newest.set(key, one);
      }
      return [...newest.values()].filter((one) => one.details.preview?.removedAt === undefined);
    },

    async repositories() {
      const rows = await db
        .selectFrom('deployments')
        .select((eb) => ['repository_id', 'repository', eb.fn.max<number>('created_at').as('last')])
        .groupBy(['repository_id', 'repository'])
        .orderBy('last')
        .execute();
      // Under the name that it has now.
      const names = new Map(rows.map((row) => [row.repository_id, row.repository]));
      return [...names]
        .map(([repositoryId, repository]) => ({ repositoryId, repository }))
        .sort((a, b) => (a.repository.toLowerCase() < b.repository.toLowerCase() ? -1 : 1));
    },
  };
}

/** The words of the index: environments have names of ASCII characters. */
function isEnvironment(name: string) {
  return sql<boolean>`lower(environment) = ${name.toLowerCase()}`;
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
    details: JSON.stringify(d.details),
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
    details: JSON.parse(row.details),
  };
}
