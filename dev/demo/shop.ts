import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { shopFiles, writeFiles } from './project.ts';
import type { World } from './world.ts';

const run = promisify(execFile);

/** A working copy of the demo's repository, as its developer has it. */
export interface Shop {
  readonly fullName: string;
  /** Commits files on a branch and pushes it; answers with the commit. */
  push(branch: string, message: string, files: Readonly<Record<string, string>>): Promise<string>;
  /** Tags the branch's head with an annotated tag and pushes it; answers with the commit. */
  tag(name: string, branch: string): Promise<string>;
  /** Fetches and moves the branch to what GitHub has. */
  pull(branch: string): Promise<void>;
}

/** Makes the repository acme/shop and its first commit, not pushed yet. */
export async function createShop(world: World): Promise<Shop> {
  const fullName = 'acme/shop';
  const folder = join(world.folder, 'shop');
  await world.github.people.createRepository({ owner: 'acme', name: 'shop', private: true });
  world.github.people.setRole(fullName, 'ada', 'write');
  world.github.people.setRole(fullName, 'ben', 'write');
  world.github.install(world.app, 'acme');
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('git', args, { cwd: folder, env: gitEnvironment });
    return stdout.trim();
  };
  await writeFiles(folder, shopFiles(`${world.registry.host}/acme/shop`));
  await git('init', '--quiet', '--initial-branch=main');
  await git('remote', 'add', 'origin', world.github.pushUrl(fullName, 'ada'));

  return {
    fullName,
    async push(branch, message, files) {
      const current = await git('branch', '--show-current');
      if (current !== branch) {
        const known = await git('branch', '--list', branch);
        await git('checkout', '--quiet', ...(known === '' ? ['-b', branch, 'main'] : [branch]));
      }
      await writeFiles(folder, files);
      await git('add', '--all');
      await git('commit', '--quiet', '--message', message);
      await git('push', '--quiet', 'origin', branch);
      return await git('rev-parse', 'HEAD');
    },
    async tag(name, branch) {
      await git('tag', '--annotate', '--message', name, name, branch);
      await git('push', '--quiet', 'origin', name);
      return await git('rev-parse', `${name}^{commit}`);
    },
    async pull(branch) {
      await git('fetch', '--quiet', 'origin', branch);
      await git('checkout', '--quiet', '-B', branch, 'FETCH_HEAD');
    },
  };
}

const gitEnvironment = {
  PATH: process.env['PATH'],
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@acme.example',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@acme.example',
};
