import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openGitSource } from '#src/adapters/git/source.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { Store } from '#src/engine/store.ts';
import { createSpace } from '#src/engine/space.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { startGitServer } from './git-server.ts';

const mib = 1024 ** 2;
const run = promisify(execFile);

/** A disk of 64 MiB. */
let disk: string;
beforeAll(async () => {
  disk = await mkdtemp(join(tmpdir(), 'slipway-small-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'slipway-small-disk', disk]);
});
afterAll(async () => {
  await run('umount', ['-l', disk]);
  await rm(disk, { recursive: true, force: true });
});
let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(disk, 'home-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Takes all but so many bytes, until it is disposed. */
async function fill(leave: number): Promise<AsyncDisposable> {
  const file = join(disk, 'filler');
  const { bsize, bavail } = await statfs(disk);
  await writeFile(file, Buffer.alloc(Math.max(0, bsize * bavail - leave)));
  return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
}

describe('a full disk', () => {
  it('ends a log at the reserve, and keeps the reserve', async () => {
    const space = createSpace({ path: home, reserve: 32 * mib });
    const logs = openLogs({ home, space });
    const log = { jobId: 'greedy', attempt: 1 };
    const writer = await logs.open(log);
    const line = Buffer.from(`${'x'.repeat(64 * 1024 - 1)}\n`);
    let lines = 0;
    while (!writer.failed.aborted && lines < 2000) {
      writer.write(line);
      lines += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(writer.failed.reason).toBeInstanceOf(PlatformError);
    await expect(writer.close()).rejects.toThrow(/MiB of 64 MiB are free .* 32 MiB are kept/);
    const { bsize, bavail } = await statfs(disk);
    // What may be written between two looks.
    expect(bsize * bavail).toBeGreaterThan(32 * mib - 20 * mib);
    expect(await space.shortage()).not.toBeNull();
    const text = (await logs.read(log, 0)).toString();
    expect(text).toMatch(/^x+\n/);
    expect(text).toMatch(/\n\nSlipway: the log ends here\. Only \d+ MiB of 64 MiB/);
    expect(text).not.toContain('\0');
    await logs.remove(log);
    const again = createSpace({ path: home, reserve: 32 * mib });
    expect(await again.shortage()).toBeNull();
  });

  it('ends a log cleanly where there is no reserve', async () => {
    const logs = openLogs({ home });
    const log = { jobId: 'greedy', attempt: 1 };
    const writer = await logs.open(log);
    await using _ = await fill(mib);
    const block = Buffer.alloc(mib, 46);
    for (let i = 0; i < 4; i++) writer.write(block);
    await expect(writer.close()).rejects.toThrow(/The log can't be written\. ENOSPC.*The disk is full/);
    expect((await logs.read(log, 0)).every((byte) => byte === 46)).toBe(true);
  });

  it('is a platform error of the database, which is whole afterwards and goes on by itself', async () => {
    const path = join(home, 'slipway.db');
    const store: Store = await openStore({ path, clock: { now: Date.now } });
    const body = Buffer.alloc(200_000, 97);
    const deliver = (guid: string) => store.deliveries.add({ guid, event: 'push', body, receivedAt: 1 });
    try {
      const stored: string[] = [];
      let failure: unknown = null;
      {
        await using _ = await fill(2 * mib);
        for (let i = 0; i < 50; i++) {
          try {
            await deliver(`guid-${i}`);
            stored.push(`guid-${i}`);
          } catch (error) {
            failure = error;
            break;
          }
        }
        expect(stored.length).toBeGreaterThan(0);
        expect(failure).toBeInstanceOf(PlatformError);
        expect((failure as Error).message).toMatch(/full.*Free some space; nothing that was acknowledged is lost/s);
        // Reading goes on.
        expect(await store.deliveries.missing([...stored, 'never'])).toEqual(['never']);
      }
      expect(await deliver('afterwards')).toBe(true);
      expect(await store.deliveries.missing([...stored, 'afterwards'])).toEqual([]);
    } finally {
      await store.close();
    }
    using database = new DatabaseSync(path);
    expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
  });

  it('takes deliveries within the reserve, while no job may begin', async () => {
    const space = createSpace({ path: home, reserve: 16 * mib });
    const store = await openStore({ path: join(home, 'slipway.db'), clock: { now: Date.now } });
    try {
      await using _ = await fill(8 * mib);
      expect(await space.shortage()).toMatch(/Only \d+ MiB of 64 MiB/);
      for (let i = 0; i < 20; i++) {
        const delivery = { guid: `guid-${i}`, event: 'push', body: Buffer.alloc(20_000), receivedAt: 1 };
        expect(await store.deliveries.add(delivery)).toBe(true);
      }
    } finally {
      await store.close();
    }
  });

  it('is said of a fetch, leaves nothing behind, and is over when there is space', async () => {
    const server = await startGitServer();
    const source = await openGitSource({ home, origin: null, token: async () => null, retryDelaysMs: [] });
    try {
      const remote = await server.create('acme/shop');
      const sha = await remote.commit({ 'big.bin': randomBytes(6 * mib).toString('base64') });
      const names = { owner: 'acme', name: 'shop', defaultBranch: 'main', private: true, installationId: 1 };
      const repository = { id: 1, ...names, cloneUrl: remote.cloneUrl };
      const commit = { sha, ref: 'refs/heads/main' };
      const { signal } = new AbortController();
      {
        await using _ = await fill(3 * mib);
        const failing = source.list(repository, commit, signal);
        await expect(failing).rejects.toThrow(PlatformError);
        await expect(failing).rejects.toThrow(/the server's disk is full/);
      }
      const { bsize, bavail } = await statfs(disk);
      expect(bsize * bavail).toBeGreaterThan(60 * mib);
      expect(await source.list(repository, commit, signal)).toEqual(['big.bin']);
    } finally {
      await source.close();
      await server.close();
    }
  });
});
