import type { Selectable } from 'kysely';
import type { NewRun, RunStore } from '#src/engine/store.ts';
import { runKey } from '#src/model/event.ts';
import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { jobStore, jobsOf } from './jobs.ts';
import { newJob } from './rows.ts';
import type { Database, RunsTable } from './schema.ts';

/** A commit has a run for each branch, tag and deployment: more of them matter to nobody. */
const runsOfCommit = 100;

/** Runs with what is done to a run as a whole; its jobs are in jobs.ts. */
export function runStore(db: Database, newId: () => string): RunStore {
  async function get(id: string): Promise<Run | null> {
    const row = await db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
    return row ? toRun(row) : null;
  }

  return {
    ...jobStore(db),
    get,

    async create(run) {
      const made = await db
        .insertInto('runs')
        .values(newRun(newId(), run))
        .onConflict((conflict) => conflict.columns(['repository_id', 'sha', 'run_key']).doNothing())
        .returningAll()
        .executeTakeFirst();
      if (made) return { run: toRun(made), created: true };
      const known = await db
        .selectFrom('runs')
        .selectAll()
        .where('repository_id', '=', run.repository.id)
        .where('sha', '=', run.trigger.sha)
        .where('run_key', '=', runKey(run.trigger))
        .executeTakeFirstOrThrow();
      return { run: toRun(known), created: false };
    },

    async view(id) {
      return db.transaction().execute(async (tx) => {
        const row = await tx.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
        return row ? { run: toRun(row), jobs: await jobsOf(tx, id) } : null;
      });
    },

    async unfinished() {
      const rows = await db.selectFrom('runs').select('id').where('state', '<>', 'completed').orderBy('id').execute();
      return rows.map((row) => row.id);
    },

    async list({ repository, branch, before, limit }) {
      let query = db.selectFrom('runs').selectAll();
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
        .where('kind', '<>', 'deploy')
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
        .where('kind', '<>', 'deploy')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? toRun(row) : null;
    },

    async setPullRequest(id, number) {
      await db.updateTable('runs').set({ pull_request: number }).where('id', '=', id).execute();
    },

    async plan(id, { jobs, diagnostics, pipelineFile, at }) {
      await db.transaction().execute(async (tx) => {
        const planned = await tx
          .updateTable('runs')
          .set({
            state: 'running',
            started_at: at,
            pipeline_file: pipelineFile,
            diagnostics: JSON.stringify(diagnostics),
          })
          .where('id', '=', id)
          .where('state', '=', 'pending')
          .returning('id')
          .executeTakeFirst();
        if (!planned) return;
        for (const [position, job] of jobs.entries()) {
          await tx
            .insertInto('jobs')
            .values(newJob(newId(), id, position, job))
            .execute();
        }
      });
    },

    async finish(id, outcome, diagnostics, at) {
      await db
        .updateTable('runs')
        .set((eb) => ({
          state: 'completed',
          outcome: JSON.stringify(outcome),
          started_at: eb.fn.coalesce('started_at', eb.val(at)),
          finished_at: at,
          // None given: those of the plan stay.
          ...(diagnostics.length > 0 ? { diagnostics: JSON.stringify(diagnostics) } : {}),
        }))
        .where('id', '=', id)
        .execute();
    },
  };
}

function newRun(id: string, { repository, trigger, pullRequest, at }: NewRun): RunsTable {
  return {
    id,
    repository_id: repository.id,
    full_name: fullName(repository).toLowerCase(),
    repository: JSON.stringify(repository),
    sha: trigger.sha,
    run_key: runKey(trigger),
    kind: trigger.kind,
    branch: branchOf(trigger),
    trigger: JSON.stringify(trigger),
    state: 'pending',
    outcome: null,
    diagnostics: '[]',
    pipeline_file: null,
    pull_request: pullRequest,
    created_at: at,
    started_at: null,
    finished_at: null,
  };
}

/** The branch of this repository; a fork's branch of the same name is another one. */
function branchOf(trigger: NewRun['trigger']): string | null {
  if (trigger.kind === 'tag' || trigger.kind === 'merge_group') return null;
  return trigger.kind === 'pull_request' && trigger.fork ? null : trigger.branch;
}

function toRun(row: Selectable<RunsTable>): Run {
  return {
    id: row.id,
    repository: JSON.parse(row.repository),
    trigger: JSON.parse(row.trigger),
    state: row.state as Run['state'],
    outcome: row.outcome === null ? null : JSON.parse(row.outcome),
    diagnostics: JSON.parse(row.diagnostics),
    pipelineFile: row.pipeline_file,
    pullRequest: row.pull_request,
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  };
}
