import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from '@jest/globals';
import { Kysely, SqliteDialect } from 'kysely';
import { migrate, migrations } from '#src/adapters/store/migrate.ts';
import type { Tables } from '#src/adapters/store/schema.ts';
import { Sqlite } from '#src/adapters/store/sqlite.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { planned, push, shop } from '#test/contracts/store-fixtures.ts';

const clock = { now: () => 5000 };

it('goes on with the runs and jobs of a database that the first version made', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-upgrade-'));
  try {
    const path = join(folder, 'slipway.db');
    const old = new Kysely<Tables>({ dialect: new SqliteDialect({ database: new Sqlite(path) }) });
    await migrate(old, 'sqlite', clock, migrations.slice(0, 1));
    await old.destroy();
    const file = new DatabaseSync(path);
    const run = file.prepare(`insert into runs (id, repository_id, full_name, repository, sha, run_key, kind, branch,
      trigger, state, diagnostics, created_at) values (?, ?, 'acme/shop', ?, ?, 'k', 'push', 'main', ?, ?, '[]', 1)`);
    const job = file.prepare(`insert into jobs (id, run_id, position, key, kind, plan, state, attempt, annotations,
      worker, queued_at) values (?, ?, ?, 'k', ?, ?, ?, 1, '[]', ?, 1)`);
    for (const [id, state] of [
      ['r1', 'completed'],
      ['r2', 'running'],
    ] as const) {
      run.run(id, shop.id, JSON.stringify(shop), id, JSON.stringify(push(id)), state);
    }
    const { priority: _, retries: __, concurrency: ___, ...plan } = planned('a');
    job.run('j1', 'r2', 0, 'script', JSON.stringify(plan), 'queued', null);
    job.run('j2', 'r2', 1, 'deploy', JSON.stringify(plan), 'queued', null);
    job.run('j3', 'r2', 2, 'script', JSON.stringify(plan), 'running', 'main');
    file.exec(`insert into deployments (id, repository_id, repository, environment, sha, run_id, job_id, actor, state,
      description, changes, created_at, updated_at) values
      ('d1', ${shop.id}, 'acme/shop', 'Staging', 's', 'r1', 'j0', 'ada', 'success', 'Healthy.', '[]', 1, 2)`);
    file.close();

    const store = await openStore({ path, clock });
    expect(await store.runs.untold(9)).toEqual(['r2']);
    expect((await store.runs.inherit(null, 'new')).map((one) => one.id)).toEqual(['j3']);
    expect(await store.runs.claim('new', ['script', 'deploy'], 5000)).toMatchObject({
      id: 'j2',
      plan: { priority: 2 },
    });
    const claimed = await store.runs.claim('new', ['script', 'deploy'], 5000);
    expect(claimed).toMatchObject({ id: 'j1', plan: planned('a'), earlier: [], cancel: null, gate: null, report: '' });
    expect(await store.deployments.lastHealthy(shop.id, 'staging', null)).toEqual({
      id: 'd1',
      repositoryId: shop.id,
      repository: 'acme/shop',
      environment: 'Staging',
      sha: 's',
      runId: 'r1',
      jobId: 'j0',
      actor: 'ada',
      state: 'success',
      description: 'Healthy.',
      changes: [],
      createdAt: 1,
      updatedAt: 2,
      patchedAt: null,
      details: {},
    });
    expect(await store.runs.get('r1')).toMatchObject({ state: 'completed', version: 1, repository: shop });
    await store.close();
  } finally {
    await rm(folder, { recursive: true });
  }
});
