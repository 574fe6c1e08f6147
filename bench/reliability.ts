import { nothingDeploys } from '#src/adapters/fake/nothing.ts';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '#dev/postgres.ts';
import { ensureImage } from '#dev/images/index.ts';
import { plannedOf } from '#test/model/samples.ts';
import { openFakeExecutor } from '#src/adapters/fake/executor.ts';
import { FakeCluster } from '#src/adapters/fake/cluster.ts';
import { createFakeForge } from '#src/adapters/fake/forge.ts';
import { FakeImageBuilder } from '#src/adapters/fake/image-builder.ts';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import { openPolicy } from '#src/engine/policy.ts';
import { createFakeReporter } from '#src/adapters/fake/reporter.ts';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { createEngine, type Engine } from '#src/engine/engine.ts';
import type { Executor, Source } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import type { Trigger } from '#src/model/event.ts';
import { docker, openHouse, repository, span } from './house.ts';
import { interleave, median, type Row } from './measure.ts';

const clock = { now: Date.now };
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const storedRuns = 100_000;
const unfinished = 100;
/** Below the limit of a log, which is 64 MB. */
const logMegabytes = 48;

/** What surviving costs: picking up a job, an event beside many stored runs, a start with unfinished runs, a long log. */
export async function reliability(rounds: number): Promise<readonly Row[]> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const postgres = stack.use(await startPostgres());
  const url = await postgres.createDatabase();
  return [
    await pickUp('SQLite', await openStore({ path: join(folder, 'idle.db'), clock }), folder, rounds),
    await pickUp('PostgreSQL', await openStore({ url, clock }), folder, rounds),
    ...(await events(folder, rounds)),
    await recovery(folder),
    await longLog(),
  ];
}

/** From a job being queued to its begin, on a server that has nothing else to do. */
async function pickUp(name: string, store: Store, folder: string, rounds: number): Promise<Row> {
  let begun = (): void => {};
  const executor = openFakeExecutor(() => {
    begun();
    return 0;
  });
  const engine = engineOn(store, folder, executor);
  try {
    await engine.start({ alone: true });
    const samples: number[] = [];
    for (let i = 0; i < rounds; i += 1) {
      const { run } = await store.runs.create({
        repository,
        trigger: push(`a${i}`),
        pullRequest: null,
        at: clock.now(),
      });
      await store.runs.plan(run.id, planOf());
      const view = await store.runs.view(run.id);
      const started = new Promise<void>((resolve) => (begun = resolve));
      const from = performance.now();
      await store.runs.queue(view?.jobs[0]?.id ?? '', clock.now());
      store.signals.send('jobs', '');
      await started;
      samples.push(performance.now() - from);
      await store.runs.cancel(run.id, { reason: 'Over.', by: 'slipway' });
      await sleep(5);
    }
    const ours = percentile(samples, 0.95);
    return {
      name: `a queued job to its begin, idle, ${name}, p95`,
      ours,
      floor: null,
      unit: 'ms',
      target: { atMost: 20 },
      samples: rounds,
    };
  } finally {
    await engine.stop();
    await store.close();
  }
}

/** A push, from the event to the run's end with a job that takes no time, with few and with many runs stored. */
async function events(folder: string, rounds: number): Promise<readonly Row[]> {
  const few = await openFilled(join(folder, 'few.db'), 100);
  const many = await openFilled(join(folder, 'many.db'), storedRuns);
  const engines: Engine[] = [];
  try {
    const works = [many, few].map((store, index) => {
      const engine = engineOn(store, folder, openFakeExecutor());
      engines.push(engine);
      let count = 0;
      return async () => {
        const trigger = push(`e${index}${(count += 1)}`);
        const from = performance.now();
        const said = await engine.intake({ kind: 'trigger', repository, trigger });
        await engine.completed(/run (\w+)/i.exec(said)?.[1] ?? '');
        return performance.now() - from;
      };
    });
    for (const engine of engines) await engine.start({ alone: true });
    await sleep(500);
    const [ours = [], floor = []] = await interleave(rounds, 5, works);
    return [
      {
        name: `an event, from intake to the run's end, beside ${storedRuns.toLocaleString('en')} stored runs, against 100`,
        ours: median(ours),
        floor: median(floor),
        unit: 'ms',
        target: { atMost: 1.2 },
        samples: rounds,
      },
    ];
  } finally {
    for (const engine of engines) await engine.stop();
    await few.close();
    await many.close();
  }
}

/** A start beside runs whose server was killed: until all of them are completed. */
async function recovery(folder: string): Promise<Row> {
  const path = join(folder, 'recovery.db');
  const before = await openStore({ path, clock });
  for (let i = 0; i < unfinished; i += 1) {
    const { run } = await before.runs.create({
      repository,
      trigger: push(`f${i}`),
      pullRequest: null,
      at: clock.now(),
    });
    await before.runs.plan(run.id, planOf());
    const view = await before.runs.view(run.id);
    await before.runs.queue(view?.jobs[0]?.id ?? '', clock.now());
    if (i % 2 === 0) await before.runs.claim('killed', ['script'], clock.now());
  }
  await before.close();
  const from = performance.now();
  const store = await openStore({ path, clock });
  const engine = engineOn(store, folder, openFakeExecutor());
  try {
    const ids = await store.runs.unfinished();
    await engine.start({ alone: true });
    await Promise.all(ids.map((id) => engine.completed(id)));
    return {
      name: `a start with ${unfinished} unfinished runs, until all are completed (jobs that take no time)`,
      ours: performance.now() - from,
      floor: null,
      unit: 'ms',
      target: null,
      samples: 1,
    };
  } finally {
    await engine.stop();
    await store.close();
  }
}

/** MB a second of one job's log: masked, stored and readable live; against a bare attach without a log driver. */
async function longLog(): Promise<Row> {
  const image = await ensureImage('slipway-dev/busybox');
  const script = `yes "a line of the length that logs have in practice, more or less" | head -c ${logMegabytes * 1024 * 1024}`;
  await using house = await openHouse({ warm: 0, jobs: 1 });
  const pipeline = JSON.stringify({ jobs: { job: { image, run: script } } });
  const idle = JSON.stringify({ jobs: { job: { image, run: 'true' } } });
  const [long = [], short = [], attached = [], nothing = []] = await interleave(5, 1, [
    async () => span((await house.play(pipeline)).jobs),
    async () => span((await house.play(idle)).jobs),
    () => bareAttach(image, script),
    () => bareAttach(image, 'true'),
  ]);
  // The start of a container is left out of both.
  const rate = (with_: readonly number[], without: readonly number[]) =>
    (logMegabytes * 1000) / (median(with_) - median(without));
  return {
    name: `a job's log, MB in a second, against a bare attach`,
    ours: rate(long, short),
    floor: rate(attached, nothing),
    unit: '1/s',
    target: { atLeast: 0.7 },
    samples: 5,
  };
}

async function bareAttach(image: string, script: string): Promise<number> {
  const from = performance.now();
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: ['/bin/sh', '-c', script],
    Cmd: [],
    AttachStdout: true,
    HostConfig: { LogConfig: { Type: 'none', Config: {} } },
  });
  try {
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    stream.resume();
    const ended = once(stream, 'end');
    await container.start();
    await container.wait();
    await ended;
    return performance.now() - from;
  } finally {
    await container.remove({ force: true });
  }
}

function engineOn(store: Store, folder: string, executor: Executor): Engine {
  return createEngine({
    source,
    executor,
    builder: new FakeImageBuilder(),
    cluster: new FakeCluster({ workloads: [], behave: () => [], sleep: async () => {} }),
    ...nothingDeploys,
    reporter: createFakeReporter(),
    forge: createFakeForge({}),
    logs: openLogs({ home: folder }),
    store,
    policy: openPolicy(),
    secrets: fakeSecrets(),
    clock,
    log: silent,
    limits: { jobs: 4, worker: 'bench', secrets: [], cancelSuperseded: true, repeatsItself: true },
    shortage: async () => null,
    runUrl: (run) => `https://slipway.example/runs/${run.id}`,
  });
}

const file = JSON.stringify({ jobs: { job: { image: 'busybox', run: 'true' } } });
const source: Source = {
  resolve: async () => null,
  message: async () => 'Bench',
  list: async () => ['slipway.yml'],
  read: async (_repository, _commit, paths) =>
    new Map(paths.map((name) => [name, name === 'slipway.yml' ? file : null])),
  tree: async () => ({ path: '/nowhere', [Symbol.asyncDispose]: async () => {} }),
};

function push(name: string): Trigger {
  const sha = Buffer.from(name).toString('hex').padEnd(40, '0');
  return { kind: 'push', sha, ref: 'refs/heads/main', branch: 'main', actor: 'ada', title: 'Bench' };
}

function planOf(): Parameters<Store['runs']['plan']>[1] {
  const jobs = [plannedOf('job')];
  return { jobs, concurrency: null, diagnostics: [], pipelineFile: 'slipway.yml', at: clock.now() };
}

/** Completed runs of fifty repositories, with a job each: a hundred by the store itself, the others as their copies. */
async function openFilled(path: string, count: number): Promise<Store> {
  const store = await openStore({ path, clock });
  for (let i = 0; i < 100; i += 1) {
    const of = { ...repository, id: 2 + (i % 50), name: `bench-${i % 50}` };
    const { run } = await store.runs.create({ repository: of, trigger: push(`s${i}`), pullRequest: null, at: i });
    await store.runs.plan(run.id, planOf());
    const view = await store.runs.view(run.id);
    await store.runs.drop(view?.jobs[0]?.id ?? '', { kind: 'success' }, i);
    await store.runs.finish(run.id, { kind: 'success' }, [], i);
    await store.runs.told(run.id, Number.MAX_SAFE_INTEGER);
  }
  if (count <= 100) return store;
  await store.close();
  const db = new DatabaseSync(path);
  db.exec(`begin;
    create temp table copies as
    with recursive n (i) as (select 1 union all select i + 1 from n where i < ${count / 100 - 1}) select i from n;`);
  copyRows(db, 'runs', { id: "id || '-' || i", sha: "substr(sha, 1, 30) || printf('%010d', i)" });
  copyRows(db, 'jobs', { id: "id || '-' || i", run_id: "run_id || '-' || i" });
  db.exec('commit');
  db.close();
  return openStore({ path, clock });
}

/** Each row once for every row of `copies`, with some columns changed. */
function copyRows(db: DatabaseSync, table: string, changed: Readonly<Record<string, string>>): void {
  const columns = db
    .prepare(`select name from pragma_table_info('${table}')`)
    .all()
    .map((row) => String(row['name']));
  const values = columns.map((column) => changed[column] ?? `${table}."${column}"`);
  db.exec(`insert into ${table} (${columns.map((c) => `"${c}"`).join(', ')})
    select ${values.join(', ')} from ${table}, copies`);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
