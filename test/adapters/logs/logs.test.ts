import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openLogs } from '#src/adapters/logs/logs.ts';
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
      await logs.delete(log);
      expect(await logs.size(log)).toBe(0);
      expect((await readdir(home, { recursive: true })).filter((file) => file.endsWith('.log'))).toEqual([]);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
