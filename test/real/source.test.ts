import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type GitSource, openGitSource } from '#src/adapters/git/source.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import { contractFiles, contractMessage, sourceContract } from '#test/contracts/source.ts';
import { type GitRepository, type GitServer, gitIn, startGitServer } from './git-server.ts';

const token = 'ghs_verySecretToken123';
const { signal } = new AbortController();

function repositoryAt(cloneUrl: string): Repository {
  return { id: 42, owner: 'acme', name: 'shop', defaultBranch: 'main', private: true, cloneUrl, installationId: 1 };
}

sourceContract('git over HTTP', async () => {
  const home = await mkdtemp(join(tmpdir(), 'slipway-home-'));
  const server = await startGitServer({ token });
  const remote = await server.create('acme/shop');
  const sha = await remote.commit(contractFiles, { message: contractMessage });
  await gitIn(remote.work)('tag', '-a', 'v1.2.0', '-m', 'Release');
  await gitIn(remote.work)('push', '--quiet', 'origin', 'v1.2.0');
  const source = await openGitSource({ home, origin: null, token: async () => token });
  return {
    source,
    repository: repositoryAt(remote.cloneUrl),
    commit: { sha, ref: 'refs/heads/main' },
    async close() {
      await source.close();
      await server.close();
      await rm(home, { recursive: true, force: true });
    },
  };
});

describe('git over HTTP', () => {
  let home: string;
  let server: GitServer;
  let remote: GitRepository;
  let source: GitSource;
  let repository: Repository;
  const main = 'refs/heads/main';

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'slipway-home-'));
    server = await startGitServer({ token });
    remote = await server.create('acme/shop');
    repository = repositoryAt(remote.cloneUrl);
    source = await open();
  });
  afterEach(async () => {
    await source.close();
    await server.close();
    await rm(home, { recursive: true, force: true });
  });

  function open(more: Partial<Parameters<typeof openGitSource>[0]> = {}): Promise<GitSource> {
    return openGitSource({ home, origin: null, token: async () => token, retryDelaysMs: [10], ...more });
  }
  async function filesUnder(dir: string): Promise<string[]> {
    const entries = await readdir(dir, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  }

  it('keeps the token out of files, and off the command line', async () => {
    const sha = await remote.commit({ 'a.txt': '1' });
    let seen = '';
    const watch = setInterval(() => {
      seen += execFileSync('ps', ['-eww', '-o', 'args'], { encoding: 'utf8' });
    }, 5);
    await using tree = await source.tree(repository, { sha, ref: main }, signal);
    clearInterval(watch);
    const secrets = [token, Buffer.from(`x-access-token:${token}`).toString('base64')];
    for (const file of [...(await filesUnder(home)), ...(await filesUnder(tree.path))]) {
      const text = await readFile(file, 'latin1');
      for (const secret of secrets) expect(text.includes(secret)).toBe(false);
    }
    for (const secret of secrets) expect(seen).not.toContain(secret);
    expect(await gitIn(tree.path)('remote', 'get-url', 'origin')).toBe(remote.cloneUrl);
  });

  it('asks the network once for many who want the same commit', async () => {
    const sha = await remote.commit({ 'slipway.yml': 'jobs: {}' });
    const commit = { sha, ref: main };
    await Promise.all(Array.from({ length: 10 }, () => source.read(repository, commit, ['slipway.yml'], signal)));
    const fetches = server.requests.filter((path) => path.endsWith('git-upload-pack'));
    const before = fetches.length;
    await source.message(repository, commit, signal);
    await source.list(repository, commit, signal);
    expect(server.requests.filter((path) => path.endsWith('/info/refs?service=git-upload-pack'))).toHaveLength(1);
    expect(server.requests.filter((path) => path.endsWith('git-upload-pack')).length - before).toBe(0);
  });

  it('fetches a pull request from its own ref', async () => {
    await remote.commit({ 'a.txt': '1' });
    const sha = await remote.commit({ 'a.txt': '2' }, { branch: 'feature', ref: 'refs/pull/7/head' });
    const commit = { sha, ref: 'refs/pull/7/head' };
    expect(await source.resolve(repository, commit.ref, signal)).toBe(sha);
    await using tree = await source.tree(repository, commit, signal);
    expect(await readFile(join(tree.path, 'a.txt'), 'utf8')).toBe('2');
    expect(await gitIn(tree.path)('branch', '--show-current')).toBe('');
  });

  it('is on the branch after a push, and knows the other branches as origin', async () => {
    await remote.commit({ 'a.txt': '1' }, { branch: 'other' });
    const sha = await remote.commit({ 'a.txt': '2' });
    await using tree = await source.tree(repository, { sha, ref: main }, signal);
    const git = gitIn(tree.path);
    expect(await git('branch', '--show-current')).toBe('main');
    expect(await git('branch', '--remotes', '--format=%(refname:short)')).toBe('origin/main\norigin/other');
  });

  it('knows a tag that came later on a known commit', async () => {
    const sha = await remote.commit({ 'a.txt': '1' });
    await (await source.tree(repository, { sha, ref: main }, signal))[Symbol.asyncDispose]();
    await gitIn(remote.work)('tag', 'v2.0.0');
    await gitIn(remote.work)('push', '--quiet', 'origin', 'v2.0.0');
    await using tree = await source.tree(repository, { sha, ref: 'refs/tags/v2.0.0' }, signal);
    expect(await gitIn(tree.path)('describe', '--tags')).toBe('v2.0.0');
  });

  it('still has a commit that a force push left behind', async () => {
    const old = await remote.commit({ 'a.txt': 'old' });
    const sha = await remote.commit({ 'a.txt': 'new' }, { orphan: true });
    const contents = await source.read(repository, { sha: old, ref: main }, ['a.txt'], signal);
    expect(contents.get('a.txt')).toBe('old');
    expect(await source.resolve(repository, main, signal)).toBe(sha);
  });

  it('says that a commit is gone for good', async () => {
    await remote.commit({ 'a.txt': '1' });
    const gone = source.tree(repository, { sha: 'd'.repeat(40), ref: 'refs/heads/deleted' }, signal);
    await expect(gone).rejects.toThrow(UserError);
    await expect(gone).rejects.toThrow(/force-pushed or deleted/);
  });

  it.each([
    ['refs/heads/a..b'],
    ['--upload-pack=touch /tmp/x'],
    ['refs/heads/$(id) x'],
    ['main'],
    ['refs/heads/x.lock'],
    ['refs/heads/x:refs/heads/main'],
  ])('refuses the ref %j', async (ref) => {
    await expect(source.resolve(repository, ref, signal)).rejects.toThrow(/not a valid ref/);
    await expect(source.tree(repository, { sha: 'a'.repeat(40), ref }, signal)).rejects.toThrow(/not a valid ref/);
  });

  it('says what a refusal means, without the token', async () => {
    const stranger = await openGitSource({ home: join(home, 'other'), origin: null, token: async () => 'wrong-token' });
    const sha = await remote.commit({ 'a.txt': '1' });
    const refused = stranger.tree(repository, { sha, ref: main }, signal);
    await expect(refused).rejects.toThrow(PlatformError);
    await expect(refused).rejects.toThrow(/App is installed on this repository.*Contents: read/);
    await expect(refused).rejects.not.toThrow(/wrong-token/);
    const absent = repositoryAt(`${server.url}/acme/absent.git`);
    await expect(source.resolve(absent, main, signal)).rejects.toThrow(/App is installed/);
    await stranger.close();
  });

  it("calls an outage the platform's, and works when it is over", async () => {
    const sha = await remote.commit({ 'a.txt': '1' });
    server.fail(503);
    const failed = source.tree(repository, { sha, ref: main }, signal);
    await expect(failed).rejects.toThrow(PlatformError);
    await expect(failed).rejects.toThrow(/connection to GitHub failed.*503/);
    server.fail(null);
    await using tree = await source.tree(repository, { sha, ref: main }, signal);
    expect(await readFile(join(tree.path, 'a.txt'), 'utf8')).toBe('1');
  });

  it('ends git when the remote never answers', async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const host = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const hasty = await open({ home: join(home, 'hasty'), fetchTimeoutMs: 300 });
    try {
      const waiting = hasty.tree(repositoryAt(`http://${host}/x.git`), { sha: 'a'.repeat(40), ref: main }, signal);
      await expect(waiting).rejects.toThrow(PlatformError);
      await expect(waiting).rejects.toThrow(/took longer than/);
      const processes = execFileSync('ps', ['-eww', '-o', 'args'], { encoding: 'utf8' });
      expect(processes.split('\n').filter((line) => line.includes(host))).toEqual([]);
    } finally {
      await hasty.close();
      silent.closeAllConnections();
      silent.close();
    }
  });

  it('carries the token to no other host', async () => {
    const elsewhere = await startGitServer();
    const mover = createServer((request, response) => {
      response.writeHead(301, { location: `${elsewhere.url}${request.url}` }).end();
    });
    await new Promise<void>((resolve) => mover.listen(0, '127.0.0.1', resolve));
    try {
      const moved = repositoryAt(`http://127.0.0.1:${(mover.address() as AddressInfo).port}/acme/shop.git`);
      await expect(source.resolve(moved, main, signal)).rejects.toThrow(/renamed or moved/);
      expect(elsewhere.requests).toEqual([]);
    } finally {
      await elsewhere.close();
      mover.closeAllConnections();
      mover.close();
    }
  });

  it('gives up when the signal is aborted, others who wait are not disturbed', async () => {
    const sha = await remote.commit({ 'a.txt': '1' });
    const impatient = new AbortController();
    const first = source.tree(repository, { sha, ref: main }, impatient.signal);
    const second = source.tree(repository, { sha, ref: main }, signal);
    impatient.abort(new Error('never mind'));
    await expect(first).rejects.toThrow('never mind');
    await using tree = await second;
    expect(await readFile(join(tree.path, 'a.txt'), 'utf8')).toBe('1');
  });

  it('moves the last tree of the branch to the new commit, or leaves it alone if it is in use', async () => {
    const one = await remote.commit({ 'same.txt': 's', 'old.txt': 'o', 'changed.txt': '1', 'run.sh': '#!' });
    const work = gitIn(remote.work);
    const first = await source.tree(repository, { sha: one, ref: main }, signal);
    await work('update-index', '--chmod=+x', 'run.sh');
    await symlink('same.txt', join(remote.work, 'link'));
    const two = await remote.commit({ 'old.txt': null, 'changed.txt': '2', 'new/er.txt': 'n' });
    const second = await source.tree(repository, { sha: two, ref: main }, signal);

    expect(await readFile(join(first.path, 'changed.txt'), 'utf8')).toBe('1');
    expect((await stat(join(first.path, 'run.sh'))).mode & 0o111).toBe(0);
    expect(await gitIn(first.path)('status', '--porcelain')).toBe('');
    expect(await gitIn(first.path)('rev-parse', 'HEAD')).toBe(one);
    expect(await gitIn(second.path)('status', '--porcelain')).toBe('');
    expect((await readdir(second.path)).sort()).toEqual(['.git', 'changed.txt', 'link', 'new', 'run.sh', 'same.txt']);
    expect((await lstat(join(second.path, 'link'))).isSymbolicLink()).toBe(true);
    const shared = (await stat(join(first.path, 'same.txt'))).ino;
    expect((await stat(join(second.path, 'same.txt'))).ino).toBe(shared);

    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    const three = await remote.commit({ 'changed.txt': '3' });
    await using third = await source.tree(repository, { sha: three, ref: main }, signal);
    expect(await readFile(join(third.path, 'changed.txt'), 'utf8')).toBe('3');
    expect(await gitIn(third.path)('status', '--porcelain')).toBe('');
    await expect(stat(second.path)).rejects.toThrow(/ENOENT/);
    await using again = await source.tree(repository, { sha: three, ref: main }, signal);
    expect(again.path).toBe(third.path);
  });

  it('writes all files anew when attributes change', async () => {
    const one = await remote.commit({ 'a.txt': 'x\ny\n' });
    await (await source.tree(repository, { sha: one, ref: main }, signal))[Symbol.asyncDispose]();
    const two = await remote.commit({ '.gitattributes': '*.txt text eol=crlf\n' });
    await using tree = await source.tree(repository, { sha: two, ref: main }, signal);
    expect(await readFile(join(tree.path, 'a.txt'), 'utf8')).toBe('x\r\ny\r\n');
  });

  it('keeps no more trees than it may, and clears what a crash left', async () => {
    await source.close();
    source = await open({ keepTrees: 2 });
    for (const branch of ['a', 'b', 'c', 'd']) {
      const sha = await remote.commit({ 'a.txt': branch }, { branch });
      await (await source.tree(repository, { sha, ref: `refs/heads/${branch}` }, signal))[Symbol.asyncDispose]();
    }
    await source.close();
    const dir = join(home, 'trees/42-shop');
    expect(await readdir(dir)).toHaveLength(2);

    await writeFile(join(dir, 'new-1-1'), 'half made');
    source = await open({ keepTrees: 2 });
    await source.close();
    expect(await readdir(dir)).toHaveLength(2);
    source = await open({ keepTrees: 2 });
    const sha = await remote.git('rev-parse', 'd');
    await using tree = await source.tree(repository, { sha, ref: 'refs/heads/d' }, signal);
    expect(await readFile(join(tree.path, 'a.txt'), 'utf8')).toBe('d');
  });

  it('goes on after a crash that left locks and half a pack in the mirror', async () => {
    const one = await remote.commit({ 'a.txt': '1' });
    await source.list(repository, { sha: one, ref: main }, signal);
    const lock = join(home, 'mirrors/42-shop.git/refs/heads/main.lock');
    const half = join(home, 'mirrors/42-shop.git/objects/pack/tmp_pack_x');
    for (const left of [lock, half]) {
      await writeFile(left, '');
      await utimes(left, new Date(0), new Date(0));
    }
    await source.close();
    source = await open();
    const two = await remote.commit({ 'b.txt': '2' });
    expect(await source.list(repository, { sha: two, ref: main }, signal)).toContain('b.txt');
    await expect(stat(half)).rejects.toThrow(/ENOENT/);
  });

  it('runs nothing that the repository brings, and reads no symbolic links', async () => {
    await symlink('/etc/passwd', join(remote.work, 'link'));
    const marker = join(home, 'ran');
    const files = { '.gitattributes': '* filter=evil\n', '.gitconfig': `[filter "evil"]\n smudge = touch ${marker}\n` };
    const sha = await remote.commit(files);
    const commit = { sha, ref: main };
    await using tree = await source.tree(repository, commit, signal);
    await expect(stat(marker)).rejects.toThrow(/ENOENT/);
    expect((await lstat(join(tree.path, 'link'))).isSymbolicLink()).toBe(true);
    expect((await source.read(repository, commit, ['link'], signal)).get('link')).toBeNull();
    expect(await source.list(repository, commit, signal)).not.toContain('link');
  });

  it.each([['..'], ['.git'], ['.GIT'], ['git~1']])('refuses a commit with a path named %s', async (name) => {
    const work = gitIn(remote.work);
    await remote.commit({ 'a.txt': '1' });
    const blob = await work('hash-object', '-w', 'a.txt');
    await writeFile(join(home, 'tree'), Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(blob, 'hex')]));
    const tree = await work('hash-object', '-t', 'tree', '-w', '--literally', join(home, 'tree'));
    const sha = await work('commit-tree', tree, '-m', 'Hostile');
    await work('push', '--quiet', 'origin', `${sha}:refs/heads/hostile`);
    const refused = source.tree(repository, { sha, ref: 'refs/heads/hostile' }, signal);
    await expect(refused).rejects.toThrow(UserError);
    await expect(refused).rejects.toThrow(/path that git refuses/);
  });
});
