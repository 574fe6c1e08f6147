import { execFile, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ensureImage } from '#dev/images/index.ts';
import { openDockerExecutor } from '#src/adapters/docker/executor.ts';
import type { JobRequest } from '#src/engine/ports.ts';
import { docker } from './house.ts';
import { interleave, median, type Row, time } from './measure.ts';

const run = promisify(execFile);
const BYTES = 50_000_000;

/** Docker's client on a job's own engine, against the same client on the engine itself. */
export async function dockerInJobs(rounds: number): Promise<readonly Row[]> {
  const image = await ensureImage('slipway-dev/busybox');
  await using job = await openJob(image);
  await writeFile(job.file, Buffer.alloc(BYTES));
  const client = (host: string, args: readonly string[]) => () => time(() => run('docker', ['-H', host, ...args]));
  const direct = 'unix:///var/run/docker.sock';
  const started = ['run', '--rm', image, 'true'];
  const input = (host: string) => () => time(() => feed(host, image, job.file));
  const samples = await interleave(rounds, 2, [
    client(job.host, ['version']),
    client(direct, ['version']),
    client(job.host, started),
    client(direct, started),
    input(job.host),
    input(direct),
  ]);
  const [version, versionFloor, start, startFloor, stdin, stdinFloor] = samples.map(median);
  const common = { unit: 'ms', target: null, samples: rounds } as const;
  return [
    {
      name: '`docker version` in a job, against the engine itself',
      ours: version ?? 0,
      floor: versionFloor ?? 0,
      ...common,
    },
    {
      name: '`docker run --rm` in a job, against the same on the engine itself',
      ours: start ?? 0,
      floor: startFloor ?? 0,
      ...common,
    },
    {
      name: '`docker run -i` with 50 MB of input in a job, against the same',
      ours: stdin ?? 0,
      floor: stdinFloor ?? 0,
      ...common,
    },
  ];
}

async function feed(host: string, image: string, file: string): Promise<void> {
  const child = spawn('docker', ['-H', host, 'run', '-i', '--rm', image, 'wc', '-c'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const exit = once(child, 'exit');
  await pipeline(createReadStream(file), child.stdin);
  const [code] = (await exit) as [number];
  if (code !== 0) throw new Error(`docker run -i ended with ${code}`);
}

interface OpenJob extends AsyncDisposable {
  /** DOCKER_HOST, as seen from here. */
  readonly host: string;
  /** Where a file may be put. */
  readonly file: string;
}

/** A job that waits, with an engine of its own. */
async function openJob(image: string): Promise<OpenJob> {
  const home = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  const tree = join(home, 'tree');
  await mkdir(tree);
  const logger = { debug() {}, info() {}, warn() {} };
  const executor = openDockerExecutor({
    docker,
    home,
    warm: 0,
    credentialsOf: () => null,
    logger,
    clock: { now: Date.now },
  });
  const over = new AbortController();
  const ended = executor.run(
    waiting(image),
    Promise.resolve({ path: tree, [Symbol.asyncDispose]: async () => {} }),
    { begin: () => 0, async rewind() {}, log() {}, step() {} },
    { cancel: over.signal, leave: new AbortController().signal },
  );
  const socket = join(home, 'jobs', 'bench-1', 'control', 'docker.sock');
  while (!(await stat(socket).catch(() => null))) await Promise.race([sleep(20), ended]);
  return {
    host: `unix://${socket}`,
    file: join(home, 'input'),
    async [Symbol.asyncDispose]() {
      over.abort(new Error('the bench is over'));
      await ended;
      await executor.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

function waiting(image: string): JobRequest {
  return {
    jobId: 'bench',
    runId: 'bench',
    attempt: 1,
    repository: 'acme/bench',
    key: 'bench',
    image,
    shell: 'sh',
    workdir: null,
    steps: [{ name: 'wait', script: 'sleep 600' }],
    env: {},
    secrets: [],
    services: [],
    artifacts: [],
    reports: [],
    inputs: [],
    timeoutMs: 600_000,
    trusted: true,
    given: [],
    access: { privileged: false, network: 'private', devices: [], volumes: [] },
    runtime: null,
    docker: { refusePush: () => null, mayUse: () => false },
  };
}
