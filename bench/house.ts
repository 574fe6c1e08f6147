import { nothingDeploys } from '#src/adapters/fake/nothing.ts';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Docker from 'dockerode';
import { FakeCluster } from '#src/adapters/fake/cluster.ts';
import { createFakeForge } from '#src/adapters/fake/forge.ts';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import { openPolicy } from '#src/engine/policy.ts';
import { createFakeReporter } from '#src/adapters/fake/reporter.ts';
import { openDockerParts } from '#src/adapters/docker/index.ts';
import { openLogs } from '#src/adapters/logs/logs.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { createEngine } from '#src/engine/engine.ts';
import type { Source } from '#src/engine/ports.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, RunView } from '#src/model/run.ts';

export const docker = new Docker();

/** The engine with its real store, logs and Docker; GitHub, git and Kubernetes are left out. */
export interface House extends AsyncDisposable {
  /** A small source tree, the same for every run. */
  readonly tree: string;
  /** Runs the pipeline as a push would, and waits until the run is completed. All jobs must succeed. */
  play(pipeline: string): Promise<RunView>;
  /** Waits until what is left of earlier jobs is removed and `warm` containers are ready. */
  quiet(): Promise<void>;
}

export const repository: Repository = {
  id: 1,
  owner: 'acme',
  name: 'bench',
  defaultBranch: 'main',
  private: true,
  cloneUrl: 'https://git.example/acme/bench.git',
  installationId: 0,
};

/** `warm`: containers kept started ahead; `jobs`: how many run at once. */
export async function openHouse(options: { readonly warm: number; readonly jobs: number }): Promise<House> {
  await using stack = new AsyncDisposableStack();
  const home = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  stack.defer(() => rm(home, { recursive: true, force: true }));
  const tree = join(home, 'tree');
  await mkdir(tree);
  for (let i = 0; i < 20; i += 1) await writeFile(join(tree, `file-${i}.txt`), `${i}\n`.repeat(200));
  const clock = { now: Date.now };
  const store = await openStore({ path: join(home, 'slipway.db'), clock });
  stack.defer(() => store.close());
  const parts = openDockerParts({
    dockerHost: 'unix:///var/run/docker.sock',
    home,
    limits: { disk: 20 * 1024 ** 3 },
    warm: options.warm,
    credentials: () => null,
    guard: { deny: [], bridges: [], image: null },
    reserve: 1024 ** 3,
    logger: silent,
    clock,
  });
  stack.defer(() => parts.executor.close());
  const commits = new Map<string, string>();
  const engine = createEngine({
    source: fixedSource(tree, commits),
    executor: parts.executor,
    builder: parts.builder,
    cluster: new FakeCluster({ workloads: [], behave: () => [], sleep: async () => {} }),
    ...nothingDeploys,
    reporter: createFakeReporter(),
    forge: createFakeForge({}),
    logs: openLogs({ home }),
    store,
    policy: openPolicy(),
    secrets: fakeSecrets(),
    clock,
    log: silent,
    limits: {
      jobs: options.jobs,
      worker: 'bench',
      secrets: ['a-secret-of-the-operator', 'another one of them'],
      cancelSuperseded: true,
      repeatsItself: false,
    },
    shortage: async () => null,
    runUrl: (run) => `https://slipway.example/runs/${run.id}`,
  });
  stack.defer(() => engine.stop());
  await engine.start({ alone: true });
  // The engine is looked at.
  await engine.sweep();
  const label = `slipway.home=${await readFile(join(home, 'installation'), 'utf8')}`;
  const owned = stack.move();

  return {
    tree,
    async play(pipeline) {
      const sha = (commits.size + 1).toString(16).padStart(40, '0');
      commits.set(sha, pipeline);
      const push = { kind: 'push', sha, ref: 'refs/heads/main', branch: 'main', actor: 'ada', title: 'Bench' } as const;
      const said = await engine.intake({ kind: 'trigger', repository, trigger: push });
      const id = /^Run (\w+)\.$/.exec(said)?.[1] ?? '';
      await engine.completed(id);
      const view = await store.runs.view(id);
      if (view?.run.outcome?.kind !== 'success') {
        const jobs = view?.jobs.map((job) => [job.plan.key, job.outcome]);
        throw new Error(`The run failed: ${JSON.stringify({ ...view?.run, jobs })}`);
      }
      return view;
    },
    async quiet() {
      for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(50)) {
        const left = await docker.listContainers({ all: true, filters: { label: [label] } });
        const idle = left.filter((c) => c.State === 'running' && c.Names[0]?.startsWith('/slipway-idle-'));
        if (idle.length === left.length && left.length === options.warm) return sleep(100);
      }
      throw new Error('What is left of jobs was not removed within 30 s.');
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Milliseconds from the first claim to the last end. */
export function span(jobs: readonly Job[]): number {
  const starts = jobs.map((job) => job.startedAt ?? Number.NaN);
  const ends = jobs.map((job) => job.finishedAt ?? Number.NaN);
  return Math.max(...ends) - Math.min(...starts);
}

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function fixedSource(path: string, pipelines: ReadonlyMap<string, string>): Source {
  return {
    resolve: async () => null,
    message: async () => 'Bench',
    list: async () => ['slipway.yml'],
    read: async (_repository, { sha }, paths) =>
      new Map(paths.map((name) => [name, name === 'slipway.yml' ? (pipelines.get(sha) ?? null) : null])),
    tree: async () => ({ path, [Symbol.asyncDispose]: async () => {} }),
  };
}
