import { createServer } from 'node:http';
import { mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type GitSource, openGitSource } from '#src/adapters/git/source.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import { type GitRepository, type GitServer, gitIn, startGitServer } from './git-server.ts';

const { signal } = new AbortController();
const main = 'refs/heads/main';

describe('a mirror that a kill or a full disk damaged', () => {
  let home: string;
  let server: GitServer;
  let remote: GitRepository;
  let repository: Repository;
  const sources: GitSource[] = [];
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'slipway-home-'));
    server = await startGitServer();
    remote = await server.create('acme/shop');
    repository = repositoryAt(remote.cloneUrl);
  });
  afterEach(async () => {
    for (const source of sources.splice(0)) await source.close();
    await server.close();
    await rm(home, { recursive: true, force: true });
  });

  /** As the next process has it. */
  async function reopen(): Promise<GitSource> {
    for (const source of sources.splice(0)) await source.close();
    const source = await openGitSource({ home, origin: null, token: async () => null, retryDelaysMs: [10] });
    sources.push(source);
    return source;
  }
  const mirror = () => join(home, 'mirrors', '42-shop.git');

  async function mirrored(): Promise<{ sha: string; ref: string }> {
    const commit = { sha: await remote.commit({ 'a.txt': 'one\n', 'b/c.txt': 'x'.repeat(100_000) }), ref: main };
    const source = await reopen();
    await (await source.tree(repository, commit, signal))[Symbol.asyncDispose]();
    return commit;
  }

  it.each([
    ['locks of a git that was killed', ['HEAD.lock', 'packed-refs.lock', 'shallow.lock', 'refs/heads/main.lock']],
    ['half a pack', ['objects/pack/tmp_pack_abc123', 'objects/pack/tmp_idx_abc123']],
  ])('goes on after %s, at once, and removes them', async (_what, files) => {
    await mirrored();
    await gitIn(mirror())('pack-refs', '--all');
    for (const file of files) await writeFile(join(mirror(), file), 'half');
    const sha = await remote.commit({ 'a.txt': 'two\n' });
    const source = await reopen();
    const read = await source.read(repository, { sha, ref: main }, ['a.txt'], signal);
    expect(read.get('a.txt')).toBe('two\n');
    const left = await readdir(mirror(), { recursive: true });
    expect(left.filter((file) => file.includes('.lock') || file.includes('tmp_'))).toEqual([]);
  });

  const damages: readonly [string, (dir: string) => Promise<void>][] = [
    ['a truncated pack', (dir) => eachPack(dir, '.pack', async (file) => truncate(file, (await stat(file)).size >> 1))],
    ['an empty pack', (dir) => eachPack(dir, '.pack', (file) => truncate(file, 0))],
    ['a lost pack', (dir) => eachPack(dir, '.pack', (file) => rm(file))],
    ['a pack without its index', (dir) => eachPack(dir, '.idx', (file) => rm(file))],
    ['a truncated index', (dir) => eachPack(dir, '.idx', (file) => truncate(file, 100))],
    ['a pack of zeros', (dir) => eachPack(dir, '.pack', zeros)],
    ['empty refs', (dir) => writeFile(join(dir, 'refs/heads/main'), '')],
    ['no HEAD', (dir) => rm(join(dir, 'HEAD'))],
    [
      'an empty folder',
      (dir) =>
        rm(dir, { recursive: true })
          .then(() => gitIn(home)('init', '--bare', dir))
          .then(() => rm(join(dir, 'objects'), { recursive: true })),
    ],
    ['no folder at all', (dir) => rm(dir, { recursive: true })],
  ];

  describe.each(damages)('%s', (_what, damage) => {
    it.each(['in a running server', 'at the start'])('heals, %s', async (when) => {
      const commit = await mirrored();
      if (when === 'at the start') await reopen();
      const source = sources[0] as GitSource;
      await damage(mirror());
      const files = await source.read(repository, commit, ['a.txt', 'b/c.txt'], signal);
      expect(files.get('a.txt')).toBe('one\n');
      expect(files.get('b/c.txt')).toHaveLength(100_000);

      const sha = await remote.commit({ 'a.txt': 'two\n' });
      await damage(mirror()).catch(() => {});
      await using tree = await source.tree(repository, { sha, ref: main }, signal);
      const git = gitIn(tree.path);
      expect(await git('rev-parse', 'HEAD')).toBe(sha);
      expect(await git('status', '--porcelain')).toBe('');
      expect(await git('fsck', '--full')).not.toMatch(/missing|broken|corrupt/);
    });
  });

  it('is kept if the failure is the server it comes from', async () => {
    await mirrored();
    const before = await stat(join(mirror(), 'HEAD'));
    const sha = await remote.commit({ 'a.txt': 'two\n' });
    server.fail(503);
    const source = sources[0] as GitSource;
    await expect(source.list(repository, { sha, ref: main }, signal)).rejects.toThrow(PlatformError);
    await expect(source.resolve(repository, main, signal)).rejects.toThrow(PlatformError);
    expect((await stat(join(mirror(), 'HEAD'))).ino).toBe(before.ino);
    server.fail(null);
    expect(await source.list(repository, { sha, ref: main }, signal)).toEqual(['a.txt', 'b/c.txt']);
  });
});

describe('a git server that hangs', () => {
  it('is given up in time', async () => {
    const home = await mkdtemp(join(tmpdir(), 'slipway-home-'));
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/acme/shop.git`;
    const source = await openGitSource({
      home,
      origin: null,
      token: async () => null,
      fetchTimeoutMs: 500,
      retryDelaysMs: [10],
    });
    try {
      const listing = source.list(repositoryAt(url), { sha: 'a'.repeat(40), ref: main }, signal);
      await expect(listing).rejects.toThrow(PlatformError);
      await expect(listing).rejects.toThrow(/took longer than/);
    } finally {
      await source.close();
      server.closeAllConnections();
      server.close();
      await rm(home, { recursive: true, force: true });
    }
  });
});

function repositoryAt(cloneUrl: string): Repository {
  return { id: 42, owner: 'acme', name: 'shop', defaultBranch: 'main', private: true, cloneUrl, installationId: 1 };
}

async function eachPack(dir: string, end: string, work: (file: string) => Promise<unknown>): Promise<void> {
  const packs = join(dir, 'objects/pack');
  for (const file of await readdir(packs)) if (file.endsWith(end)) await work(join(packs, file));
}

async function zeros(file: string): Promise<void> {
  const { size } = await stat(file);
  await rm(file);
  await using handle = await open(file, 'w');
  await handle.write(Buffer.alloc(size));
}
