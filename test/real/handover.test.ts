import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Kysely, SqliteDialect } from 'kysely';
import { serverProgram } from '#dev/slipway.ts';
import { migrate, migrations } from '#src/adapters/store/migrate.ts';
import type { Tables } from '#src/adapters/store/schema.ts';
import { Sqlite } from '#src/adapters/store/sqlite.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { busyboxImage, docker } from './docker.ts';
import { type Expected, mistakes, settled } from './killer/judge.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';

let image: string;
let folder: string;

beforeAll(async () => {
  image = await busyboxImage();
  folder = await mkdtemp(join(tmpdir(), 'slipway-handover-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Jobs by their keys, with the lines that each prints, ten in a second. */
async function push(
  repository: Repository,
  branch: string,
  lines: Readonly<Record<string, number>>,
): Promise<Expected> {
  let file = 'jobs:\n';
  const jobs: Record<string, { conclusion: string; log: string }> = {};
  for (const [key, count] of Object.entries(lines)) {
    const print = `for i in $(seq ${count}); do echo "${branch} ${key} line $i"; sleep 0.1; done`;
    file += `  ${key}:\n    image: ${image}\n    run: ['${print}', echo done]\n`;
    const printed = Array.from({ length: count }, (_, i) => `${branch} ${key} line ${i + 1}\n`).join('');
    jobs[key] = { conclusion: 'success', log: `$ ${print}\n${printed}$ echo done\ndone\n` };
  }
  const sha = await repository.push({ 'slipway.yml': file }, branch);
  return { repository: repository.fullName, sha, jobs };
}

const server = (town: Town, env: Readonly<Record<string, string>> = {}): Promise<Victim> =>
  town.victim({ DOCKER_HOST: process.env['DOCKER_HOST'] ?? '', SLIPWAY_RECONCILE: 'off', ...env });

function statusOf({ github }: Town, { repository, sha }: Expected, key: string): string | null {
  return github.checkRuns(repository, sha).find((check) => check.name === key)?.status ?? null;
}

const running = ({ github }: Town, { repository, sha }: Expected, key: string): Promise<unknown> =>
  github.waitFor(`${key} to run`, () =>
    github.checkRuns(repository, sha).some((check) => check.name === key && check.status === 'in_progress'),
  );

/** Names of the jobs' containers that run now. */
async function containers(victim: Victim): Promise<readonly string[]> {
  const id = (await readFile(join(victim.home, 'installation'), 'utf8')).trim();
  const found = await docker.listContainers({ filters: { label: [`slipway.home=${id}`] } });
  return found.flatMap(({ Names }) => Names).filter((name) => name.startsWith('/slipway-job-'));
}

/** Milliseconds that it took. */
async function timed(work: Promise<void>): Promise<number> {
  const begin = performance.now();
  await work;
  return performance.now() - begin;
}

/** GitHub tells an App of its own check runs, too: a delivery may still be under way. */
async function judged(town: Town, victim: Victim, expected: readonly Expected[]): Promise<readonly string[]> {
  await settled(town.github, expected, 30_000);
  await town.github.waitFor('deliveries', () =>
    town.github.webhooks.deliveries.every((each) => each.duration !== null),
  );
  await victim.stop();
  const store = await openStore({ path: join(victim.home, 'slipway.db'), clock: { now: Date.now } });
  try {
    // What came while the server ended is handled by the next one.
    for (const { guid, event } of await store.deliveries.pending(10)) {
      if (event === 'check_run' || event === 'check_suite')
        await store.deliveries.finish(guid, 'not judged', Date.now());
    }
  } finally {
    await store.close();
  }
  return [...(await mistakes(town.github, { home: victim.home }, expected)), ...(await town.left())];
}

describe('a server that is told to stop', () => {
  it('ends within its grace; what is short ends before, what is long is followed by the next, what waits begins once', async () => {
    await using town = await openTown();
    const repository = await town.repository('app');
    const victim = await server(town, { SLIPWAY_GRACE: '3s', SLIPWAY_MAX_JOBS: '2' });
    await victim.start();
    const run = await push(repository, 'main', { long: 100, short: 10, waiting: 10 });
    await running(town, run, 'long');
    await running(town, run, 'short');
    const took = await timed(victim.stop());
    const left = await containers(victim);
    const short = statusOf(town, run, 'short');
    const waiting = statusOf(town, run, 'waiting');
    await victim.start();
    expect(took).toBeGreaterThan(2_500);
    expect(took).toBeLessThan(3_000 + 6_000);
    expect(left).toHaveLength(1);
    expect({ short, waiting }).toEqual({ short: 'completed', waiting: 'queued' });
    expect(await judged(town, victim, [run])).toEqual([]);
    expect(victim.output()).toContain('going on with jobs of an earlier process');
  }, 60_000);

  it('waits no longer than its jobs need', async () => {
    await using town = await openTown();
    const repository = await town.repository('app');
    const victim = await server(town, { SLIPWAY_GRACE: '40s' });
    await victim.start();
    const run = await push(repository, 'main', { one: 15, two: 20 });
    await running(town, run, 'one');
    await running(town, run, 'two');
    const took = await timed(victim.stop());
    expect(took).toBeLessThan(20_000);
    expect([statusOf(town, run, 'one'), statusOf(town, run, 'two')]).toEqual(['completed', 'completed']);
    // The run's own end is for the next.
    await victim.start();
    expect(await judged(town, victim, [run])).toEqual([]);
  }, 60_000);

  it('hands the same job on again and again', async () => {
    await using town = await openTown();
    const repository = await town.repository('app');
    const victim = await server(town, { SLIPWAY_GRACE: '1s' });
    await victim.start();
    const run = await push(repository, 'main', { long: 100 });
    await running(town, run, 'long');
    for (let i = 0; i < 4; i += 1) {
      await victim.stop();
      await victim.start();
    }
    expect(statusOf(town, run, 'long')).toBe('in_progress');
    expect(await judged(town, victim, [run])).toEqual([]);
  }, 60_000);
});

describe('a server on the data of', () => {
  it('a newer version says so and ends with 1', async () => {
    const home = join(folder, 'newer');
    await mkdir(home);
    const path = join(home, 'slipway.db');
    await (await openStore({ path, clock: { now: Date.now } })).close();
    const db = new DatabaseSync(path);
    db.exec("insert into migrations values ('0099-later', 1)");
    db.close();
    const child = spawn(process.execPath, [serverProgram], {
      cwd: folder,
      env: { PATH: process.env['PATH'], SLIPWAY_HOME: home, PORT: '0', HOST: '127.0.0.1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let told = '';
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(timer);
    expect(told).toBe(
      'slipway: The database belongs to a newer version of Slipway (it has 0099-later). Start that version again, or restore the backup made before the update.\n',
    );
    expect(code).toBe(1);
  }, 30_000);

  it('the first version migrates them and works on', async () => {
    await using town = await openTown();
    const repository = await town.repository('app');
    const victim = await server(town);
    await mkdir(victim.home);
    const old = new Kysely<Tables>({
      dialect: new SqliteDialect({ database: new Sqlite(join(victim.home, 'slipway.db')) }),
    });
    await migrate(old, 'sqlite', { now: Date.now }, migrations.slice(0, 1));
    await old.destroy();
    await victim.start();
    const run = await push(repository, 'main', { job: 3 });
    expect(await judged(town, victim, [run])).toEqual([]);
  }, 30_000);
});
