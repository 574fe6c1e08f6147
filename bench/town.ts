import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { freePort } from '#dev/ports.ts';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type GitHub, startGitHub } from '#dev/github/index.ts';
import { startProcess } from '#dev/processes.ts';
import { registerSlipway } from '#dev/slipway.ts';
import { docker } from './house.ts';

const run = promisify(execFile);
const root = new URL('../', import.meta.url);

/** A small GitHub with one repository, and the whole server as a process of its own. */
export interface Town extends AsyncDisposable {
  readonly github: GitHub;
  readonly url: string;
  readonly pid: number;
  /** Where the server keeps logs; the folders in it are made already, so that they can be watched. */
  readonly logs: string;
  /** Pushes a commit with these files to main; answers with it. */
  push(files: Readonly<Record<string, string>>): Promise<string>;
  /** Ends the containers that the server keeps ready. */
  endReady(): Promise<void>;
  /** Waits until all check runs of the commit are completed. All must succeed. */
  succeeded(sha: string): Promise<void>;
}

export async function openTown(settings: Readonly<Record<string, string>>): Promise<Town> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, 'github'));
  const github = await startGitHub({ home: join(folder, 'github') });
  stack.defer(() => github.close());
  const port = await freePort();
  const home = join(folder, 'slipway');
  const { app, env } = await registerSlipway(github, { port, home });
  for (let i = 0; i < 256; i += 1) {
    await mkdir(join(home, 'logs', i.toString(16).padStart(2, '0')), { recursive: true });
  }
  const server = await startProcess(process.execPath, await startArguments(), {
    ready: /"msg":"listening"/,
    deadlineMs: 60_000,
    cwd: folder,
    env: { ...env, SLIPWAY_URL: '', ...settings },
  });
  stack.defer(() => server.stop());
  const commit = await openRepository(github, app, join(folder, 'work'));
  const owned = stack.move();
  return {
    github,
    url: `http://127.0.0.1:${port}`,
    pid: server.pid,
    logs: join(home, 'logs'),
    push: commit,
    async endReady() {
      const mine = `slipway.home=${await readFile(join(home, 'installation'), 'utf8')}`;
      const filters = { label: [mine, 'slipway.kind=idle'] };
      const ready = await docker.listContainers({ all: true, filters });
      await Promise.all(ready.map(({ Id }) => docker.getContainer(Id).remove({ force: true })));
    },
    async succeeded(sha) {
      const runs = await github.waitFor(
        `the check runs of ${sha}`,
        () => {
          const all = github.checkRuns('acme/bench', sha);
          return all.length > 0 && all.every((check) => check.status === 'completed') ? all : null;
        },
        120_000,
      );
      const failed = runs.find((check) => check.conclusion !== 'success');
      if (failed) throw new Error(`${failed.name}: ${failed.title}\n${failed.summary}\n${server.tail()}`);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What `npm start` gives to Node. */
async function startArguments(): Promise<readonly string[]> {
  const { scripts } = JSON.parse(await readFile(new URL('package.json', root), 'utf8')) as {
    scripts: { start: string };
  };
  const [, ...given] = scripts.start.split(' ');
  return given.map((word) => (word.startsWith('src/') ? new URL(word, root).pathname : word));
}

async function openRepository(
  github: GitHub,
  app: Parameters<GitHub['install']>[0],
  folder: string,
): Promise<Town['push']> {
  await github.people.createRepository({ owner: 'acme', name: 'bench', private: true });
  github.people.setRole('acme/bench', 'ada', 'write');
  github.install(app, 'acme');
  const person = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.example'];
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', [...person, ...args], { cwd: folder })).stdout.trim();
  await mkdir(folder);
  await git('init', '--quiet', '--initial-branch=main');
  await git('remote', 'add', 'origin', github.pushUrl('acme/bench', 'ada'));
  return async (files) => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'Change something');
    await git('push', '--quiet', 'origin', 'main');
    return git('rev-parse', 'HEAD');
  };
}
