import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { noCommit, openFolderSource } from '#src/adapters/git/folder.ts';
import type { Repository } from '#src/model/repository.ts';
import { contractFiles, contractMessage, sourceContract } from '#test/contracts/source.ts';
import { gitIn } from '#test/real/git-server.ts';

const { signal } = new AbortController();

function repositoryAt(path: string): Repository {
  const names = { owner: 'local', name: 'folder', defaultBranch: 'main' };
  return { id: 0, ...names, private: true, cloneUrl: path, installationId: 0 };
}

async function write(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

async function commitAll(root: string, message: string): Promise<string> {
  const git = gitIn(root);
  await git('init', '--quiet', '--initial-branch=main');
  await git('add', '--all');
  await git('commit', '--quiet', '-m', message);
  return git('rev-parse', 'HEAD');
}

sourceContract('a folder under git', async () => {
  const path = await mkdtemp(join(tmpdir(), 'slipway-folder-'));
  await write(path, contractFiles);
  const sha = await commitAll(path, contractMessage);
  await gitIn(path)('tag', '-a', 'v1.2.0', '-m', 'Release');
  await gitIn(path)('remote', 'add', 'origin', 'https://ada:secret@127.0.0.1/acme/shop.git');
  return {
    source: await openFolderSource({ path }),
    repository: repositoryAt(path),
    commit: { sha, ref: 'refs/heads/main' },
    close: () => rm(path, { recursive: true, force: true }),
  };
});

describe('the folder that a person stands in', () => {
  let path: string;
  beforeEach(async () => {
    path = await mkdtemp(join(tmpdir(), 'slipway-folder-'));
  });
  afterEach(() => rm(path, { recursive: true, force: true }));

  it('is taken as it is: changed, new and deleted files, without ignored ones', async () => {
    await write(path, { '.gitignore': 'dist/\n', 'a.txt': '1', 'b.txt': '1', 'sub/c.txt': '1' });
    const sha = await commitAll(path, 'First');
    await write(path, { 'a.txt': '2', 'new.txt': 'n', 'dist/out.js': 'x' });
    await rm(join(path, 'b.txt'));
    await symlink('a.txt', join(path, 'link'));

    const source = await openFolderSource({ path: join(path, 'sub') });
    const repository = repositoryAt(path);
    const commit = { sha, ref: 'HEAD' };
    expect(await source.resolve(repository, 'HEAD', signal)).toBe(sha);
    expect(await source.list(repository, commit, signal)).toEqual(['.gitignore', 'a.txt', 'new.txt', 'sub/c.txt']);
    expect((await source.read(repository, commit, ['a.txt'], signal)).get('a.txt')).toBe('2');

    const tree = await source.tree(repository, commit, signal);
    expect((await readdir(tree.path)).sort()).toEqual(['.git', '.gitignore', 'a.txt', 'link', 'new.txt', 'sub']);
    expect(await readFile(join(tree.path, 'a.txt'), 'utf8')).toBe('2');
    const status = await gitIn(tree.path)('status', '--porcelain');
    expect(status.split('\n').map((line) => line.trim())).toEqual(['M a.txt', 'D b.txt', '?? link', '?? new.txt']);
    await tree[Symbol.asyncDispose]();
    await expect(readdir(tree.path)).rejects.toThrow(/ENOENT/);
  });

  it('needs no git', async () => {
    await write(path, { 'a.txt': '1', 'sub/b.txt': '2', 'node_modules/x/index.js': 'x' });
    const source = await openFolderSource({ path });
    const repository = repositoryAt(path);
    const commit = { sha: noCommit, ref: 'HEAD' };
    expect(await source.resolve(repository, 'refs/heads/main', signal)).toBe(noCommit);
    expect(await source.message(repository, commit, signal)).toBe('');
    expect(await source.list(repository, commit, signal)).toEqual(['a.txt', 'sub/b.txt']);
    await using tree = await source.tree(repository, commit, signal);
    expect((await readdir(tree.path)).sort()).toEqual(['a.txt', 'sub']);
  });

  it('may have no commit yet', async () => {
    await write(path, { 'a.txt': '1' });
    await gitIn(path)('init', '--quiet');
    const source = await openFolderSource({ path });
    expect(await source.resolve(repositoryAt(path), 'HEAD', signal)).toBe(noCommit);
    await using tree = await source.tree(repositoryAt(path), { sha: noCommit, ref: 'HEAD' }, signal);
    expect((await readdir(tree.path)).sort()).toEqual(['.git', 'a.txt']);
  });

  it('must be a folder', async () => {
    await expect(openFolderSource({ path: join(path, 'absent') })).rejects.toThrow(/absent is not a folder/);
  });
});
