import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { appendFile, type FileHandle, mkdtemp, open, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { followFile } from '#src/adapters/docker/log.ts';

describe('followFile', () => {
  let folder: string;
  let path: string;
  let file: FileHandle;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-log-'));
    path = join(folder, 'log');
    file = await open(path, 'w+');
  });

  afterEach(async () => {
    await file.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('hands on what is appended, also after the file was cut', async () => {
    let text = '';
    const follower = followFile(file, path, (bytes) => {
      text += bytes.toString();
    });
    await appendFile(path, 'one\n');
    await follower.drain();
    await appendFile(path, 'two\n');
    await follower.drain();
    await truncate(path);
    await follower.drain();
    await appendFile(path, 'new\n');
    await follower.drain();
    await follower.stop();
    expect(text).toBe('one\ntwo\nnew\n');
  });

  it('ends at once when it is told to stop in the middle of a file without end', async () => {
    await truncate(path, 2 ** 42);
    let size = 0;
    const follower = followFile(file, path, (bytes) => {
      size += bytes.length;
      if (size > 1_000_000) void follower.stop();
    });
    await follower.drain();
    expect(size).toBeGreaterThan(1_000_000);
    expect(size).toBeLessThan(2_000_000);
  });
});
