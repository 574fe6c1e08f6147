import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '#dev/ports.ts';
import { type PostgresCluster, startPostgres } from '#dev/postgres.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { busyboxImage } from './docker.ts';
import { type Expected, mistakes, settled } from './killer/judge.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';

const seed = 20_261_121;
const kills = 5;
const stops = 3;
const leaseMs = 2_000;
const tookOver = 'took over from a server that is gone';
const tookForDead = 'other servers took this one for dead';

let postgres: PostgresCluster;
let image: string;

beforeAll(async () => {
  postgres = await startPostgres();
  image = await busyboxImage();
}, 60_000);

afterAll(() => postgres.dispose());

/** Repeatable: https://en.wikipedia.org/wiki/Lehmer_random_number_generator */
function lehmer(start: number): () => number {
  let state = start;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** One server works, the other is started when the test wants it; webhooks go to the first. */
interface Pair extends AsyncDisposable {
  readonly town: Town;
  readonly repository: Repository;
  readonly first: Victim;
  readonly second: Victim;
  readonly url: string;
  readonly secondPort: number;
  /** How often each job began, by its folder's name: each leaves a file of its own in its workspace. */
  readonly begun: ReadonlyMap<string, ReadonlySet<string>>;
  /** Which of them leads, or null. */
  leader(): Promise<Victim | null>;
  push(name: string, jobs: Jobs): Promise<Expected>;
  /** Stops both and judges. */
  judge(expected: readonly Expected[]): Promise<readonly string[]>;
}

async function openPair(
  env: Readonly<Record<string, string>> = {},
  ofFirst: Readonly<Record<string, string>> = {},
): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const town = stack.use(await openTown());
  const url = await postgres.createDatabase();
  const secondPort = await freePort();
  const common = {
    DATABASE_URL: url,
    DOCKER_HOST: process.env['DOCKER_HOST'] ?? '',
    SLIPWAY_LEASE: `${leaseMs / 1000}s`,
    SLIPWAY_CATCH_UP: '2s',
    // What moved without a delivery is given half a minute to arrive by itself; here it's about the deliveries.
    SLIPWAY_RECONCILE: 'off',
    SLIPWAY_MAX_JOBS: '4',
    SLIPWAY_GRACE: '1s',
    ...env,
  };
  const repository = await town.repository('app');
  const first = await town.victim({ ...common, ...ofFirst });
  const second = await town.victim({ ...common, PORT: String(secondPort) });
  const begun = watchBegins(join(first.home, 'jobs'));
  stack.defer(() => begun.stop());
  const owned = stack.move();
  return {
    town,
    repository,
    first,
    second,
    url,
    secondPort,
    begun: begun.seen,
    async leader() {
      await using store = await openReader(url);
      const id = await store.leader();
      return (
        [first, second].find((v) => v.running && v.output().includes(`"worker":"${id}","msg":"this server leads"`)) ??
        null
      );
    },
    async push(name, jobs) {
      const { file, expected } = pipeline(name, jobs);
      const sha = await repository.push({ 'slipway.yml': file }, name);
      return { repository: repository.fullName, sha, jobs: expected };
    },
    async judge(expected) {
      // GitHub tells an App of its own check runs, too.
      await until('the last delivery to be handled', async () => {
        await using store = await openReader(url);
        return (await store.pending()) === 0;
      });
      await Promise.all([first.stop(), second.stop()]);
      const found = [...(await mistakes(town.github, { home: first.home, url }, expected)), ...(await town.left())];
      for (const [job, times] of begun.seen) if (times.size > 1) found.push(`${job} began ${times.size} times`);
      return found;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Reader extends AsyncDisposable {
  leader(): Promise<string | null>;
  pending(): Promise<number>;
}

async function openReader(url: string): Promise<Reader> {
  const store = await openStore({ url, clock: { now: Date.now } });
  return {
    leader: () => store.workers.leader(),
    pending: async () => (await store.deliveries.pending(1)).length,
    [Symbol.asyncDispose]: () => store.close(),
  };
}

/** Loaded into a server: it stands still before it first writes a `state.json`, the last thing before a job is told to begin. */
const standStill = `data:text/javascript,${encodeURIComponent(`
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { rename } = fs.promises;
  let stood = false;
  fs.promises.rename = async (from, to) => {
    if (!stood && String(to).endsWith('/state.json')) {
      stood = true;
      fs.writeFileSync(process.env.SLIPWAY_HOME + '/stands-still', '');
      process.kill(process.pid, 'SIGSTOP');
    }
    return rename(from, to);
  };
  syncBuiltinESMExports();
`)}`;

/** Looks for the files `ran-UUID` that jobs make at their begin. */
function watchBegins(folder: string): { seen: Map<string, Set<string>>; stop(): void } {
  const seen = new Map<string, Set<string>>();
  const timer = setInterval(() => {
    void (async () => {
      for (const name of await readdir(folder).catch(() => [])) {
        if (name.startsWith('.')) continue;
        for (const part of ['upper', 'copy', 'workspace']) {
          for (const file of await readdir(join(folder, name, part)).catch(() => [])) {
            if (file.startsWith('ran-')) seen.set(name, (seen.get(name) ?? new Set()).add(file));
          }
        }
      }
    })();
  }, 50);
  return { seen, stop: () => clearInterval(timer) };
}

/** Jobs by their keys: how many lines each prints, ten in a second; or one that fails after one line. */
type Jobs = Readonly<Record<string, number | 'fails'>>;

const mark = 'touch "ran-$(cat /proc/sys/kernel/random/uuid)"';
/** Its workspace is still its own. */
const same = 'test $(ls | grep -c ^ran-) = 1';

function pipeline(name: string, jobs: Jobs): { readonly file: string; readonly expected: Expected['jobs'] } {
  let file = 'jobs:\n';
  const expected: Record<string, { conclusion: string; log: string }> = {};
  for (const [key, lines] of Object.entries(jobs)) {
    const fails = lines === 'fails';
    const count = fails ? 1 : lines;
    const print = `for i in $(seq ${count}); do echo "${name} ${key} line $i"; sleep 0.1; done`;
    const steps = [mark, print, ...(fails ? ['exit 3', 'echo never'] : [same])];
    file += `  ${key}:\n    image: ${image}\n    run:\n${steps.map((step) => `      - '${step}'\n`).join('')}`;
    const printed = Array.from({ length: count }, (_, i) => `${name} ${key} line ${i + 1}\n`).join('');
    const log = `$ ${mark}\n$ ${print}\n${printed}$ ${fails ? 'exit 3' : same}\n`;
    expected[key] = { conclusion: fails ? 'failure' : 'success', log };
  }
  return { file, expected };
}

const small: Jobs = { print: 15, short: 3, fail: 'fails' };

async function until(what: string, look: () => boolean | Promise<boolean>, ms = 20_000): Promise<number> {
  const begin = performance.now();
  while (!(await look())) {
    if (performance.now() - begin > ms) throw new Error(`Waited ${ms / 1000} s in vain for ${what}.`);
    await sleep(20);
  }
  return performance.now() - begin;
}

const isRunning = (pair: Pair, { repository, sha }: Expected, key: string) =>
  pair.town.github.checkRuns(repository, sha).some((check) => check.name === key && check.status === 'in_progress');

const complaintsOf = ({ first, second }: Pair): string =>
  [first, second].map((victim) => victim.complaints().slice(-15).join('\n')).join('\n--\n');

async function end(pair: Pair, expected: readonly Expected[], ms: number): Promise<void> {
  await settled(pair.town.github, expected, ms).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${complaintsOf(pair)}`);
  });
}

describe('two servers on one PostgreSQL', () => {
  it('go on with the work of one that is gone, its deliveries too, without its coming back', async () => {
    await using pair = await openPair();
    const { first, second } = pair;
    await first.start();
    const long = await pair.push('long', { job: 60, other: 30, fail: 'fails' });
    await pair.town.github.waitFor('the long job', () => isRunning(pair, long, 'job'));
    await second.start();
    await first.kill();
    const over = await until('the survivor to take over', () => second.output().includes(tookOver));
    const missed = await pair.push('missed', small);
    await until('the survivor to lead', async () => (await pair.leader()) === second);
    await until(
      'the delivery that nobody took',
      () => pair.town.github.checkRuns(missed.repository, missed.sha).length > 0,
    );
    await end(pair, [long, missed], 30_000);
    expect(over).toBeLessThan(3 * leaseMs);
    expect(await pair.judge([long, missed])).toEqual([]);
  }, 60_000);

  it(`lose nothing and run nothing twice when one of them is killed, ${kills} times (seed ${seed})`, async () => {
    await using pair = await openPair();
    const random = lehmer(seed);
    await Promise.all([pair.first.start(), pair.second.start()]);
    const expected: Expected[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      expected.push(await pair.push(`kill${kill}`, small));
      await sleep(random() * 1_500);
      const choice = [pair.first, pair.second, await pair.leader()][Math.floor(random() * 3)] ?? pair.first;
      const survivor = choice === pair.first ? pair.second : pair.first;
      const before = survivor.output().split(tookOver).length;
      await choice.kill();
      if (random() < 0.5) {
        expected.push(await pair.push(`dead${kill}`, { short: 3 }));
        await until('the survivor to take over', () => survivor.output().split(tookOver).length > before);
      }
      await choice.start();
    }
    await end(pair, expected, 60_000);
    expect(await pair.judge(expected)).toEqual([]);
  }, 120_000);

  it('are not harmed by one that stood still and goes on', async () => {
    await using pair = await openPair();
    const { first, second } = pair;
    await first.start();
    const run = await pair.push('still', { long: 70, middle: 40, fail: 'fails', after: 20 });
    await pair.town.github.waitFor('the long job', () => isRunning(pair, run, 'long'));
    await second.start();
    first.signal('SIGSTOP');
    await until('the other to take over', () => second.output().includes(tookOver));
    await pair.town.github.waitFor('the end of a job', () =>
      pair.town.github.checkRuns(run.repository, run.sha).some((c) => c.name === 'middle' && c.status === 'completed'),
    );
    const stillRunning = isRunning(pair, run, 'long');
    first.signal('SIGCONT');
    await until('the first to notice', () => first.output().includes(tookForDead));
    const after = await pair.push('after', small);
    await end(pair, [run, after], 30_000);
    expect(stillRunning).toBe(true);
    expect(await pair.judge([run, after])).toEqual([]);
  }, 60_000);

  it('begin a job once when one of them stands still right before it tells the job to begin', async () => {
    await using pair = await openPair({}, { NODE_OPTIONS: `--import=${standStill}` });
    const { first, second } = pair;
    await first.start();
    const run = await pair.push('begin', { job: 40 });
    await until('the first to stand still', () => existsSync(join(first.home, 'stands-still')));
    await second.start();
    await until('the other to take over', () => second.output().includes(tookOver));
    await until('the job to begin', () => pair.begun.size > 0);
    first.signal('SIGCONT');
    await until('the first to notice', () => first.output().includes(tookForDead));
    await end(pair, [run], 30_000);
    expect(await pair.judge([run])).toEqual([]);
  }, 60_000);

  it(`are not harmed when one stands still at any moment, ${stops} times (seed ${seed})`, async () => {
    await using pair = await openPair();
    const random = lehmer(seed + 1);
    await Promise.all([pair.first.start(), pair.second.start()]);
    const expected: Expected[] = [];
    for (let stop = 0; stop < stops; stop += 1) {
      expected.push(await pair.push(`stop${stop}`, small));
      await sleep(random() * 1_200);
      const still = random() < 0.5 ? pair.first : pair.second;
      const other = still === pair.first ? pair.second : pair.first;
      const before = other.output().split(tookOver).length;
      const noticed = still.output().split(tookForDead).length;
      still.signal('SIGSTOP');
      if (still === pair.second) expected.push(await pair.push(`during${stop}`, { short: 3 }));
      await until('the other to take over', () => other.output().split(tookOver).length > before);
      await sleep(random() * 1_000);
      still.signal('SIGCONT');
      await until('it to notice', () => still.output().split(tookForDead).length > noticed);
    }
    await end(pair, expected, 60_000);
    expect(await pair.judge(expected)).toEqual([]);
  }, 120_000);

  it('show the log of a job live that the other runs', async () => {
    await using pair = await openPair();
    await pair.first.start();
    const run = await pair.push('seen', { job: 40 });
    await pair.town.github.waitFor('the job', () => isRunning(pair, run, 'job'));
    await pair.second.start();
    const page = new URL(pair.town.github.checkRuns(run.repository, run.sha)[0]?.detailsUrl ?? '');
    page.port = String(pair.secondPort);
    const text = await (await fetch(page)).text();
    const events = /data-events="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    expect(events).not.toBe('');
    let stream = '';
    let live = 0;
    const response = await fetch(new URL(events, page), { signal: AbortSignal.timeout(30_000) });
    for await (const chunk of response.body ?? []) {
      stream += new TextDecoder().decode(chunk);
      if (stream.includes('line 30') && isRunning(pair, run, 'job')) live += 1;
    }
    const shown = [...(text + stream).matchAll(/seen job line (\d+)(?!\d)/g)].map((match) => Number(match[1]));
    expect(live).toBeGreaterThan(0);
    expect(stream).toContain('event: end');
    expect(shown.filter((line) => line > 0)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    await end(pair, [run], 10_000);
    expect(await pair.judge([run])).toEqual([]);
  }, 60_000);

  it('take nobody for dead when PostgreSQL is restarted in the middle of jobs', async () => {
    await using pair = await openPair();
    await Promise.all([pair.first.start(), pair.second.start()]);
    const during = await pair.push('during', { long: 70, short: 10, fail: 'fails' });
    await pair.town.github.waitFor('the long job', () => isRunning(pair, during, 'long'));
    await postgres.stop();
    try {
      await sleep(1.5 * leaseMs);
    } finally {
      await postgres.start();
    }
    const after = await pair.push('after', small);
    await end(pair, [during, after], 60_000);
    for (const victim of [pair.first, pair.second]) {
      expect(victim.output()).not.toContain(tookOver);
      expect(victim.output()).not.toContain(tookForDead);
    }
    expect(await pair.judge([during, after])).toEqual([]);
  }, 90_000);
});
