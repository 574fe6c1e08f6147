import { sql } from 'kysely';
import type { RunStore } from '#src/engine/store.ts';
import type { Run } from '#src/model/run.ts';
import { reading } from './change.ts';
import type { Dialect } from './migrate.ts';
import { toJob, toRun } from './rows.ts';
import type { Database } from './schema.ts';
import { parts, stepsOf } from './steps.ts';

/** A commit has a run for each branch, tag and deployment: more of them matter to nobody. */
const runsOfCommit = 100;

/** Runs that aren't those of a commit's own jobs. */
const beside = ['deploy', 'added'];

type Finds =
  | 'get'
  | 'unfinished'
  | 'unfinishedOfPullRequest'
  | 'exists'
  | 'ofKey'
  | 'list'
  | 'ofCommit'
  | 'ofBranch'
  | 'ofPullRequest'
  | 'deploying';

/** Where runs are looked for. */
export function findRuns(db: Database, dialect: Dialect): Pick<RunStore, Finds> {
  return {
    async get(id) {
      const row = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
      return row ? toRun(row) : null;
    },

    async unfinishedOfPullRequest(repositoryId, number) {
      const rows = await db
        .selectFrom('runs')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where('pull_request', '=', number)
        .where('state', '<>', 'completed')
        .orderBy('id')
        .execute();
      return rows.map(toRun);
    },

    async exists(repositoryId, sha, key) {
      const row = await db
        .selectFrom('runs')
        .select('id')
        .where('repository_id', '=', repositoryId)
        .where('sha', '=', sha)
        .where('run_key', '=', key)
        .executeTakeFirst();
      return row !== undefined;
    },

    async ofKey(repositoryId, key) {
      const rows = await db
        .selectFrom('runs')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where('run_key', '=', key)
        .orderBy('id', 'desc')
        .limit(20)
        .execute();
      return rows.map(toRun);
    },

    async unfinished() {
      const rows = await db.selectFrom('runs').select('id').where('state', '<>', 'completed').orderBy('id').execute();
      return rows.map((row) => row.id);
    },

    async list({ repository, branch, before, limit }) {
      let query = db
        .selectFrom('runs')
        .selectAll()
        .where((eb) => eb.or([eb('kind', '<>', 'added'), eb('pipeline_file', 'is not', null)]));
      if (repository !== undefined) query = query.where('full_name', '=', repository.toLowerCase());
      if (branch !== undefined) query = query.where('branch', '=', branch);
      if (before !== undefined) query = query.where('id', '<', before);
      return (await query.orderBy('id', 'desc').limit(limit).execute()).map(toRun);
    },

    async ofCommit(repositoryId, sha) {
      const rows = await db
        .selectFrom('runs')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where('sha', '=', sha)
        .orderBy('id', 'desc')
        .limit(runsOfCommit)
        .execute();
      return rows.map(toRun);
    },

    async ofBranch(repository, branch) {
      // A push and the pull request from the same branch share one run, which has the kind of whichever came first.
      const row = await db
        .selectFrom('runs')
        .selectAll()
        .where('full_name', '=', repository.toLowerCase())
        .where('branch', '=', branch)
        .where('kind', 'not in', beside)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? toRun(row) : null;
    },

    async ofPullRequest(repositoryId, number) {
      const row = await db
        .selectFrom('runs')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where('pull_request', '=', number)
        .where('kind', 'not in', beside)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? toRun(row) : null;
    },

    async deploying(repositoryId) {
      return reading(db, dialect, async (tx) => {
        const jobs = await tx
          .selectFrom('jobs')
          .selectAll()
          .where('repository_id', '=', repositoryId)
          // Spelled out: SQLite doesn't see that an index of some rows fits a parameter.
          .where(sql<boolean>`state <> 'completed' and kind in ('deploy', 'preview')`)
          .orderBy('id')
          .execute();
        const steps = await stepsOf(
          tx,
          jobs.map((job) => job.id),
        );
        const runs = new Map<string, Run>();
        for (const ids of parts([...new Set(jobs.map((job) => job.run_id))])) {
          for (const row of await tx.selectFrom('runs').selectAll().where('id', 'in', ids).execute()) {
            runs.set(row.id, toRun(row));
          }
        }
        return jobs.flatMap((row) => {
          const run = runs.get(row.run_id);
          return run ? [{ run, job: toJob(row, steps.get(row.id) ?? []) }] : [];
        });
      });
    },
  };
}
