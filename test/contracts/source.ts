import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Commit, Source } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import { gitIn } from '#test/real/git-server.ts';

/** A source of the repository below, whose branch `main` is at `commit`. */
export interface SourceUnderTest {
  readonly source: Source;
  readonly repository: Repository;
  readonly commit: Commit;
  close(): Promise<void>;
}

/** What the repository must hold, committed to `main` with the message, and the annotated tag v1.2.0 on it. */
export const contractFiles: Readonly<Record<string, string>> = {
  'README.md': '# Größe\n',
  'slipway.yml': 'jobs: {}\n',
  'a/b/c.txt': 'two folders deep\n',
  'a/b/c/d.txt': 'three folders deep\n',
  'with space/ä "quoted".txt': 'names are data\n',
  'large.txt': 'x'.repeat(1_000_001),
};
export const contractMessage = 'Say hello\n\nWith a body: ä';

/** What every Source must do. */
export function sourceContract(name: string, make: () => Promise<SourceUnderTest>): void {
  describe(`${name} is a Source`, () => {
    const { signal } = new AbortController();
    let made: SourceUnderTest;
    beforeEach(async () => {
      made = await make();
    });
    afterEach(() => made.close());

    it('says which commit a branch and an annotated tag name, and null for one that is not there', async () => {
      const { source, repository, commit } = made;
      expect(await source.resolve(repository, 'refs/heads/main', signal)).toBe(commit.sha);
      expect(await source.resolve(repository, 'refs/tags/v1.2.0', signal)).toBe(commit.sha);
      expect(await source.resolve(repository, 'refs/heads/absent', signal)).toBeNull();
    });

    it('gives the message of a commit', async () => {
      expect(await made.source.message(made.repository, made.commit, signal)).toBe(contractMessage);
    });

    it('lists files down to two folders', async () => {
      const files = await made.source.list(made.repository, made.commit, signal);
      expect([...files].sort()).toEqual(
        Object.keys(contractFiles)
          .filter((path) => path !== 'a/b/c/d.txt')
          .sort(),
      );
    });

    it('lists all files of a folder, however deep', async () => {
      const { source, repository, commit } = made;
      const inside = Object.keys(contractFiles).filter((path) => path.startsWith('a/'));
      expect([...(await source.list(repository, commit, signal, 'a'))].sort()).toEqual(inside.sort());
      expect(inside).toContain('a/b/c/d.txt');
      for (const strange of ['absent', 'a/../a', '..', '.git', ':(top)a', '-r'])
        expect([strange, await source.list(repository, commit, signal, strange)]).toEqual([strange, []]);
    });

    it('reads files, and null for what is no file of the repository', async () => {
      const { source, repository, commit } = made;
      const strange = [
        'absent',
        'a',
        'a/',
        '/etc/passwd',
        '../secret',
        'a/../slipway.yml',
        '',
        '.git/config',
        ':(top)README.md',
      ];
      const wanted = ['slipway.yml', 'README.md', 'a/b/c/d.txt', 'with space/ä "quoted".txt'];
      const contents = await source.read(repository, commit, [...wanted, ...strange], signal);
      for (const path of wanted) expect(contents.get(path)).toBe(contractFiles[path]);
      for (const path of strange) expect([path, contents.get(path)]).toEqual([path, null]);
      expect((await source.read(repository, commit, [], signal)).size).toBe(0);
    });

    it('refuses to read a file over 1 MB', async () => {
      const reading = made.source.read(made.repository, made.commit, ['large.txt'], signal);
      await expect(reading).rejects.toThrow(UserError);
      await expect(reading).rejects.toThrow(/large\.txt has 1000001 bytes/);
    });

    it('lends a tree that knows its history and tags, also when it is copied elsewhere', async () => {
      const { source, repository, commit } = made;
      const away = await mkdtemp(join(tmpdir(), 'slipway-copy-'));
      try {
        {
          await using tree = await source.tree(repository, commit, signal);
          await cp(tree.path, join(away, 'copy'), {
            recursive: true,
            preserveTimestamps: true,
            verbatimSymlinks: true,
          });
        }
        const git = gitIn(join(away, 'copy'));
        expect(await git('describe', '--tags')).toBe('v1.2.0');
        expect(await git('rev-parse', 'HEAD')).toBe(commit.sha);
        expect(await git('status', '--porcelain')).toBe('');
        expect(await git('fsck', '--full')).not.toMatch(/missing|broken/);
        expect(await git('config', '--list', '--local')).not.toMatch(/extraheader|credential|@127/i);
        for (const [path, text] of Object.entries(contractFiles)) {
          expect(await readFile(join(away, 'copy', path), 'utf8')).toBe(text);
        }
      } finally {
        await rm(away, { recursive: true, force: true });
      }
    });

    it('does nothing for a signal that is aborted', async () => {
      const gone = AbortSignal.abort(new Error('the run was cancelled'));
      const { source, repository, commit } = made;
      await expect(source.tree(repository, commit, gone)).rejects.toThrow('the run was cancelled');
      await expect(source.list(repository, commit, gone)).rejects.toThrow('the run was cancelled');
    });
  });
}
