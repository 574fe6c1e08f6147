import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DockerExecutor, type DockerExecutorOptions, openDockerExecutor } from '#src/adapters/docker/executor.ts';
import type { JobRequest } from '#src/engine/ports.ts';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { busyboxImage, docker, openSite, type Site } from './docker.ts';

const run = promisify(execFile);
const mib = 1024 ** 2;
let image: string;
let site: Site;
let disk: string;
const opened: DockerExecutor[] = [];

/** A disk of 512 MiB and 20,000 files, as the server's home. */
beforeAll(async () => {
  image = await busyboxImage();
  site = await openSite();
  disk = await mkdtemp(join(tmpdir(), 'slipway-job-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=512m,nr_inodes=20000', 'slipway-job-disk', disk]);
});
afterAll(async () => {
  for (const executor of opened) await executor.close();
  await run('umount', ['-l', join(disk, 'mounts')]).catch(() => {});
  await run('umount', ['-l', disk]);
  await rm(disk, { recursive: true, force: true });
  await site.dispose();
});

function open(options: Partial<DockerExecutorOptions>): DockerExecutor {
  const executor = openDockerExecutor({
    docker,
    home: disk,
    warm: 0,
    credentialsOf: () => null,
    logger: { debug() {}, info() {}, warn() {} },
    clock: { now: Date.now },
    ...options,
  });
  opened.push(executor);
  return executor;
}

interface Ran {
  readonly outcome: string;
  readonly log: string;
}

async function play(executor: DockerExecutor, script: string, changes: Partial<JobRequest> = {}): Promise<Ran> {
  const teller = told();
  const request = jobRequest([script], { image, timeoutMs: 60_000, ...changes });
  const { outcome } = await executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  return { outcome: `${outcome.kind}${'reason' in outcome ? `: ${outcome.reason}` : ''}`, log: teller.log() };
}

/** Its lines and files must all arrive, until the other job is over and a little longer. */
async function beside(executor: DockerExecutor, bad: Promise<Ran>): Promise<Ran> {
  const good = play(
    executor,
    'for i in $(seq 1 80); do echo "line $i"; echo "$i" >>numbers; sleep 0.1; done; [ $(wc -l <numbers) = 80 ]; echo whole',
  );
  const [ran, well] = await Promise.all([bad, good]);
  expect(well.outcome).toBe('success');
  for (let i = 1; i <= 80; i++) expect(well.log).toContain(`line ${i}\n`);
  expect(well.log).toContain('whole\n');
  return ran;
}

async function free(): Promise<number> {
  const { bsize, bavail } = await statfs(disk);
  return bsize * bavail;
}

/** 40 MiB a second to the file, for ever. */
const forever = (to: string) => `while :; do head -c 4194304 /dev/zero ${to}; sleep 0.1; done`;

const limited = { limits: { disk: 100 * mib } };
const overLimit = /^failure: The job used more disk than it may: \d+ MiB of 100 MiB \(SLIPWAY_JOB_DISK\)\.$/;

describe('a job that uses more disk than it may is ended, and another is not harmed', () => {
  it.each([
    ['in its workspace', forever('>>big')],
    ['in its container', forever('>>/big')],
    ['in its control folder', forever('>>/slipway/big')],
    ['by removed files', `exec 9>big; rm big; ${forever('>&9')}`],
  ])(
    '%s',
    async (_where, script) => {
      const executor = open(limited);
      const { outcome } = await beside(executor, play(executor, script));
      expect(outcome).toMatch(overLimit);
      await executor.close();
      expect(await free()).toBeGreaterThan(480 * mib);
    },
    60_000,
  );

  it('by its service', async () => {
    const executor = open(limited);
    const service = {
      name: 'db',
      image,
      env: {},
      command: ['sh', '-c', forever('>>/big')],
      port: null,
      readyTimeoutSeconds: 5,
    };
    const { outcome } = await beside(executor, play(executor, 'sleep 40', { services: [service] }));
    expect(outcome).toMatch(overLimit);
  }, 60_000);

  it('not for what it only says to be long', async () => {
    const executor = open(limited);
    const { outcome } = await play(executor, 'truncate -s 100G big; truncate -s 100G /slipway/other; sleep 3');
    expect(outcome).toBe('success');
  }, 60_000);
});

describe('when the disk falls to the reserve', () => {
  it('the job that uses most is ended', async () => {
    const executor = open({ reserve: 256 * mib });
    const { outcome } = await beside(executor, play(executor, forever('>>big')));
    expect(outcome).toMatch(
      /^failure: The job filled the disk: it used \d+ MiB, more than any other job, and only \d+ MiB were left on the disk, of which 256 MiB are kept \(SLIPWAY_RESERVE\)\.$/,
    );
    await executor.close();
    expect(await free()).toBeGreaterThan(480 * mib);
  }, 60_000);

  it('also if it took all at once', async () => {
    const executor = open({ reserve: 128 * mib });
    const { outcome } = await play(executor, 'dd if=/dev/zero of=big bs=1M || :; sleep 40');
    expect(outcome).toMatch(/^failure: The job filled the disk: it used/);
    await executor.close();
    expect(await free()).toBeGreaterThan(480 * mib);
  }, 60_000);

  it('the job that made most files is ended, where those run out', async () => {
    const executor = open({ reserve: mib });
    const script = 'i=0; while :; do for j in $(seq 1 100); do : >"f-$i-$j"; done; i=$((i + 1)); sleep 0.04; done';
    const { outcome } = await beside(executor, play(executor, script));
    expect(outcome).toMatch(
      /^failure: The job filled the disk: it made [\d,]+ files, more than any other job, and only [\d,]+ more can be made/,
    );
  }, 60_000);

  it('no job is ended for what others did to the disk', async () => {
    const executor = open({ reserve: 400 * mib });
    await run('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=1M', 'count=200']);
    const { outcome } = await play(executor, 'sleep 3');
    await rm(join(disk, 'filler'));
    expect(outcome).toBe('success');
  }, 60_000);
});
