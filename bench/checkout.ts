import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openGitSource } from '#src/adapters/git/source.ts';
import type { Repository } from '#src/model/repository.ts';
import { startGitServer } from '#test/real/git-server.ts';
import { median, type Row, time } from './measure.ts';

const run = promisify(execFile);
const files = 5_000;
const bytesEach = 10_000;

/** A new commit of a repository with 5,000 files and 50 MB, over HTTP, against `git clone --depth 1` of the same. */
export async function checkout(rounds: number): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  const server = await startGitServer();
  const source = await openGitSource({ home: folder, origin: null, token: async () => null });
  try {
    const remote = await server.create('acme/large');
    const repository: Repository = {
      id: 1,
      owner: 'acme',
      name: 'large',
      defaultBranch: 'main',
      private: false,
      cloneUrl: remote.cloneUrl,
      installationId: 0,
    };
    const content: Record<string, string> = {};
    for (let i = 0; i < files; i += 1) content[`src/d${i % 50}/f${i}.txt`] = randomBytes(bytesEach / 2).toString('hex');
    const ours: number[] = [];
    const floor: number[] = [];
    for (let round = -1; round < rounds; round += 1) {
      const changed: Record<string, string> =
        round < 0 ? content : Object.fromEntries([0, 1, 2, 3].map((i) => [`src/d${i}/f${i}.txt`, `round ${round}`]));
      const sha = await remote.commit(changed, { branch: 'main' });
      const took = await time(async () => {
        const tree = await source.tree(repository, { sha, ref: 'refs/heads/main' }, AbortSignal.timeout(120_000));
        await tree[Symbol.asyncDispose]();
      });
      const clone = join(folder, 'clone');
      const cloned = await time(() => run('git', ['clone', '--quiet', '--depth', '1', remote.cloneUrl, clone]));
      await rm(clone, { recursive: true });
      if (round < 0) continue;
      ours.push(took);
      floor.push(cloned);
    }
    return [
      {
        name: 'second checkout of 5,000 files at a new commit, against git clone --depth 1',
        ours: median(ours),
        floor: median(floor),
        unit: 'ms',
        target: { atMost: 0.15 },
        samples: rounds,
      },
    ];
  } finally {
    await source.close();
    await server.close();
    await rm(folder, { recursive: true });
  }
}
