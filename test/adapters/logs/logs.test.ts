import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { createSpace } from '#src/engine/space.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { logsContract } from '#test/contracts/logs.ts';

logsContract('a folder', async () => {
  const home = await mkdtemp(join(tmpdir(), 'slipway-logs-'));
  return {
    logs: openLogs({ home }),
    reopen: () => openLogs({ home }),
    close: () => rm(home, { recursive: true, force: true }),
  };
});

describe('log files', () => {
  it('keep order and lose nothing when more comes than the disk takes', async () => {
    const home = await mkdtemp(join(tmpdir(), 'slipway-logs-'));
    try {
      const logs = openLogs({ home });
      const log = { jobId: 'busy', attempt: 1 };
      const writer = await logs.open(log);
      const block = Buffer.alloc(1024 * 1024);
      for (let i = 0; i < 40; i++) writer.write(Buffer.from(block.fill(i)));
      await writer.close();
      const all = await logs.read(log, 0);
      expect(all.length).toBe(40 * block.length);
      for (let i = 0; i < 40; i++) {
        expect(all.subarray(i * block.length, (i + 1) * block.length).equals(block.fill(i))).toBe(true);
      }
      await logs.remove(log);
      expect(await logs.size(log)).toBe(0);
      expect((await readdir(home, { recursive: true })).filter((file) => file.endsWith('.log'))).toEqual([]);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it('end when the reserve is reached, soon, and say so', async () => {
    const home = await mkdtemp(join(tmpdir(), 'slipway-logs-'));
    try {
      let free = 1000;
      const statfs = async () => ({ bsize: 1024 * 1024, blocks: 2000, bavail: free });
      const space = createSpace({ path: '/data', reserve: 500 * 1024 * 1024, statfs });
      const log = { jobId: 'greedy', attempt: 1 };
      const logs = openLogs({ home, space });
      const writer = await logs.open(log);
      const { promise: failed, resolve } = Promise.withResolvers<void>();
      writer.failed.addEventListener('abort', () => resolve());
      writer.write(Buffer.from('at first all is well\n'));
      for await (const _ of logs.follow(log, 0, AbortSignal.timeout(10_000))) break;
      free = 400;
      // No more than what may be written between two looks.
      for (let i = 0; i < 100; i++) writer.write(Buffer.alloc(64 * 1024, 46));
      await failed;
      writer.write(Buffer.from('too late'));
      await expect(writer.close()).rejects.toThrow(PlatformError);
      await expect(writer.close()).rejects.toThrow(/Only 400 MiB of 2\.0 GiB are free.*\/data.*SLIPWAY_RESERVE/);
      const text = (await logs.read(log, 0)).toString();
      expect(text.slice(0, 21)).toBe('at first all is well\n');
      expect(text).toMatch(/\n\nSlipway: the log ends here\. Only 400 MiB .*\n$/);
      expect(writer.failed.reason).toBeInstanceOf(PlatformError);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
