import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { keptArchives } from '#src/adapters/docker/archives.ts';
import { openPulledImages } from '#src/adapters/docker/pulled.ts';
import { openGitSource } from '#src/adapters/git/source.ts';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { type CleanerParts, type CleanRules, createCleaner } from '#src/engine/cleaner.ts';
import type { Cache, Logs } from '#src/engine/ports.ts';
import { busyboxImage, docker } from './docker.ts';
import { startGitServer } from './git-server.ts';

const day = 86_400_000;
const noRules: CleanRules = {
  runs: null,
  runsMs: null,
  logBytes: null,
  artifactBytes: null,
  artifactsMs: null,
  sourceBytes: null,
  sourcesMs: null,
  imagesMs: null,
};
const nothing: Cache = { clean: async () => ({ count: 0, bytes: 0 }) };

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-cleaning-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

describe('the cleaner', () => {
  let logs: Logs;
  /** Jobs of the store, with the state of their run. */
  let jobs: Map<string, 'completed' | 'running'>;
  let pruned: { runId: string; jobs: { id: string; attempts: number }[] }[];
  const told: object[] = [];
  let forgottenBefore: number | null = null;
  beforeEach(() => {
    logs = openLogs({ home });
    jobs = new Map();
    pruned = [];
    told.length = 0;
  });

  function cleaner(rules: Partial<CleanRules>, more: Partial<CleanerParts> = {}) {
    const runs = {
      job: async (id: string) => (jobs.has(id) ? { id, runId: id } : null),
      get: async (id: string) => ({ id, state: jobs.get(id) }),
      prune: async ({ limit }: { limit: number }) => pruned.splice(0, limit),
    };
    const forgotten = [50, 7];
    const deliveries = { forget: async () => forgotten.shift() ?? 0 };
    const secrets = { forget: async (before: number) => (forgottenBefore = before) };
    const log = { info() {}, warn() {}, error: (fields: object) => void told.push(fields) };
    return createCleaner({
      store: { runs, deliveries, secrets } as unknown as CleanerParts['store'],
      logs,
      archives: keptArchives(home),
      untell: async () => {},
      sources: nothing,
      images: nothing,
      sweep: async () => 0,
      secretsMs: day,
      rules: { ...noRules, ...rules },
      clock: { now: Date.now },
      log,
      ...more,
    });
  }

  /** A log and an archive of this age. */
  async function left(jobId: string, attempt: number, bytes: number, ageMs: number): Promise<void> {
    const writer = await logs.open({ jobId, attempt });
    writer.write(Buffer.alloc(bytes, 46));
    await writer.close();
    await mkdir(join(home, 'artifacts'), { recursive: true });
    const archive = join(home, 'artifacts', `${jobId}-${attempt}.tar`);
    await writeFile(archive, Buffer.alloc(bytes));
    const at = new Date(Date.now() - ageMs);
    await utimes(archive, at, at);
    const files = await readdir(join(home, 'logs'), { recursive: true });
    const log = files.find((file) => file.endsWith(`/${jobId}-${attempt}.log`)) ?? '';
    await utimes(join(home, 'logs', log), at, at);
  }

  it('forgets the values of secrets that were replaced long ago', async () => {
    const before = Date.now() - day;
    await cleaner({}).clean();
    expect(forgottenBefore).toBeGreaterThanOrEqual(before);
    expect(forgottenBefore).toBeLessThanOrEqual(Date.now() - day);
  });

  async function kept(): Promise<{ logs: string[]; archives: string[] }> {
    const found = { logs: [] as string[], archives: [] as string[] };
    for await (const { name } of logs.all()) found.logs.push(`${name.jobId}-${name.attempt}`);
    for await (const { name } of keptArchives(home).all()) found.archives.push(`${name.jobId}-${name.attempt}`);
    return { logs: found.logs.sort(), archives: found.archives.sort() };
  }

  it('removes all attempts of what was pruned, in batches', async () => {
    await left('gone', 1, 10, 0);
    await left('gone', 2, 10, 0);
    await left('stays', 1, 10, 0);
    jobs.set('stays', 'completed');
    pruned = Array.from({ length: 120 }, (_, i) => ({ runId: `r${i}`, jobs: [{ id: `none${i}`, attempts: 1 }] }));
    pruned.push({ runId: 'r', jobs: [{ id: 'gone', attempts: 2 }] });
    const summary = await cleaner({ runsMs: day }).clean();
    expect(summary).toMatchObject({ runs: 121, deliveries: 57 });
    expect(await kept()).toEqual({ logs: ['stays-1'], archives: ['stays-1'] });
  });

  it('removes the oldest logs and artifacts of ended runs until the rest fits', async () => {
    for (const [name, age] of [
      ['a', 9],
      ['b', 8],
      ['c', 7],
      ['d', 6],
    ] as const) {
      await left(name, 1, 100, (age / 10) * day);
      jobs.set(name, name === 'a' ? 'running' : 'completed');
    }
    const summary = await cleaner({ logBytes: 250, artifactBytes: 300 }).clean();
    expect(await kept()).toEqual({ logs: ['a-1', 'd-1'], archives: ['a-1', 'c-1', 'd-1'] });
    expect(summary).toMatchObject({ logs: { count: 2, bytes: 200 }, artifacts: { count: 1, bytes: 100 } });
  });

  it('removes artifacts by age, but never of an unfinished run', async () => {
    await left('old', 1, 10, 3 * day);
    await left('running', 1, 10, 3 * day);
    await left('new', 1, 10, day);
    jobs.set('old', 'completed').set('running', 'running').set('new', 'completed');
    await cleaner({ artifactsMs: 2 * day }).clean();
    expect(await kept()).toEqual({ logs: ['new-1', 'old-1', 'running-1'], archives: ['new-1', 'running-1'] });
  });

  it('removes what has no run, once it is a day old, and no other file', async () => {
    await left('orphan', 1, 10, 2 * day);
    await left('young', 1, 10, day / 2);
    await writeFile(join(home, 'artifacts', 'README'), 'mine');
    await mkdir(join(home, 'logs', 'zz'));
    await writeFile(join(home, 'logs', 'zz', 'orphan-1.log'), 'not where a log lies');
    await cleaner({}).clean();
    expect(await kept()).toEqual({ logs: ['young-1'], archives: ['young-1'] });
    expect(await isThere(join(home, 'artifacts', 'README'))).toBe(true);
    expect(await isThere(join(home, 'logs', 'zz', 'orphan-1.log'))).toBe(true);
  });

  it('does the rest if a part of it fails', async () => {
    await left('orphan', 1, 10, 2 * day);
    const away = { clean: () => Promise.reject(new Error('Docker is away')) };
    const summary = await cleaner({}, { images: away, sweep: () => Promise.reject(new Error('away')) }).clean();
    expect(summary).toMatchObject({ logs: { count: 1 }, deliveries: 57, images: { count: 0 } });
    expect(told).toHaveLength(2);
  });
});

describe('mirrors and trees', () => {
  it('go by age and size, but never in use', async () => {
    const server = await startGitServer();
    const source = await openGitSource({ home, origin: null, token: async () => null });
    const { signal } = new AbortController();
    try {
      const repositories = [];
      for (const [index, name] of ['one', 'two'].entries()) {
        const remote = await server.create(`acme/${name}`);
        const commit = { sha: await remote.commit({ 'a.txt': name.repeat(50_000) }), ref: 'refs/heads/main' };
        const repository = {
          id: index + 1,
          owner: 'acme',
          name,
          defaultBranch: 'main',
          private: false,
          cloneUrl: remote.cloneUrl,
          installationId: 1,
        };
        repositories.push({ repository, commit });
      }
      const [one, two] = repositories;
      if (!one || !two) throw new Error('unreachable');
      const lent = await source.tree(one.repository, one.commit, signal);
      const free = await source.tree(two.repository, two.commit, signal);
      await free[Symbol.asyncDispose]();
      expect(await source.clean({ before: Date.now() - day, bytes: 1024 ** 3 })).toMatchObject({ count: 0 });

      expect(await source.clean({ before: null, bytes: 0 })).toMatchObject({ count: 1 });
      expect(await readFile(join(lent.path, 'a.txt'), 'utf8')).toMatch(/^one/);
      await lent[Symbol.asyncDispose]();
      expect(await source.clean({ before: Date.now() + 1000, bytes: null })).toMatchObject({ count: 1 });
      await source.close();

      // Of an earlier process, long ago.
      const then = new Date(Date.now() - 40 * day);
      for (const name of ['1-one', '2-two']) await utimes(join(home, 'mirrors', `${name}.git`), then, then);
      const later = await openGitSource({ home, origin: null, token: async () => null });
      await later.list(two.repository, two.commit, signal);
      expect(await later.clean({ before: Date.now() - 30 * day, bytes: null })).toMatchObject({ count: 1 });
      expect(await isThere(join(home, 'mirrors', '1-one.git'))).toBe(false);
      expect(await isThere(join(home, 'mirrors', '2-two.git'))).toBe(true);
      expect(await later.list(one.repository, one.commit, signal)).toEqual(['a.txt']);
      await later.close();
    } finally {
      await source.close();
      await server.close();
    }
  });
});

describe('images', () => {
  const names = ['slipway-clean-test/used:1', 'slipway-clean-test/idle:1', 'slipway-clean-test/foreign:1'] as const;
  afterEach(async () => {
    for (const name of names)
      await docker
        .getImage(name)
        .remove()
        .catch(() => {});
  });

  it('that Slipway pulled go after their last use; foreign images, containers, networks and volumes stay', async () => {
    const busybox = await busyboxImage();
    // An image of its own for each name: removing a name of several would say nothing.
    for (const name of names) {
      const [repo, tag] = name.split(':');
      const helper = await docker.createContainer({ Image: busybox, Cmd: ['true'] });
      await helper.commit({ repo: repo ?? '', tag: tag ?? '', changes: `LABEL of=${name}` });
      await helper.remove();
    }
    const abandoned = `slipway-build:${(Date.now() - day).toString(36)}-${'a'.repeat(16)}`;
    const current = `slipway-build:${Date.now().toString(36)}-${'b'.repeat(16)}`;
    const own = 'slipway-build:mine';
    for (const name of [abandoned, current, own]) {
      const [repo, tag] = name.split(':');
      await docker.getImage(busybox).tag({ repo: repo ?? '', tag: tag ?? '' });
    }
    const container = await docker.createContainer({ Image: names[0], Cmd: ['true'] });
    const network = await docker.createNetwork({ Name: `slipway-clean-test-${process.pid}` });
    const volume = `slipway-clean-test-${process.pid}`;
    await docker.createVolume({ Name: volume });
    try {
      let now = Date.now() - 40 * day;
      const file = join(home, 'images.json');
      const pulled = await openPulledImages({ docker, file, now: () => now });
      for (const name of names.slice(0, 2)) pulled.pulled(name);
      await pulled.settled();
      now = Date.now();
      const later = await openPulledImages({ docker, file, now: () => now });
      later.used(names[2]);
      expect(await later.clean({ before: null, bytes: null })).toMatchObject({ count: 1 });
      const has = (name: string) =>
        docker
          .getImage(name)
          .inspect()
          .then(
            () => true,
            () => false,
          );
      expect(await Promise.all([abandoned, current, own].map(has))).toEqual([false, true, true]);
      expect(await later.clean({ before: now - 30 * day, bytes: null })).toMatchObject({ count: 1 });
      expect(await Promise.all(names.map(has))).toEqual([true, false, true]);
      await container.inspect();
      await network.inspect();
      await docker.getVolume(volume).inspect();
    } finally {
      await container.remove();
      await network.remove();
      await docker.getVolume(volume).remove();
      for (const name of [abandoned, current, own])
        await docker
          .getImage(name)
          .remove()
          .catch(() => {});
    }
  });
});
