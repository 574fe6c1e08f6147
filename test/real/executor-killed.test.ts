import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { JobRequest } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { jobRequest, leaveBy, never, type Told, told } from '#test/contracts/executor.ts';
import { bashImage, docker, openSite, type Site } from './docker.ts';

const LINES = 50_000;
const steps = ['echo first', `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo "line $i"; done`, 'cat hello.txt'];
const expected = [
  `$ ${steps[0]}\nfirst\n$ ${steps[1]}\n`,
  ...Array.from({ length: LINES }, (_, i) => `line ${i + 1}\n`),
  '$ cat hello.txt\nhello from the tree\n',
].join('');

let site: Site;
let image: string;
let scratch: string;
beforeAll(async () => {
  image = await bashImage();
});
beforeEach(async () => {
  site = await openSite();
  scratch = await mkdtemp(join(tmpdir(), 'slipway-killed-'));
  await writeFile(join(scratch, 'log'), '');
});
afterEach(async () => {
  await site.open().sweep(async () => new Set());
  await site.dispose();
  await rm(scratch, { recursive: true, force: true });
});

/** Runs the job in a process of its own up to its death. */
async function killed(request: JobRequest, die: string): Promise<void> {
  const { home, tree } = site;
  const settings = { home, tree: tree.path, socket: '/var/run/docker.sock', log: join(scratch, 'log'), request, die };
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('executor-child.ts', import.meta.url)), JSON.stringify(settings)],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  const [, signal] = (await once(child, 'exit')) as [number, string];
  expect(signal).toBe('SIGKILL');
}

async function attach(request: JobRequest) {
  const teller = told(await readFile(join(scratch, 'log'), 'latin1'));
  const executor = site.open();
  const result = await executor.attach(request, teller.listener, never);
  await executor.close();
  return { result, teller };
}

async function leftovers(): Promise<readonly string[]> {
  const home = await readFile(join(site.home, 'installation'), 'utf8');
  const filters = { label: [`slipway.home=${home}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const networks = await docker.listNetworks({ filters });
  return [
    ...containers.map(({ Id }) => Id),
    ...networks.map(({ Id }) => Id),
    ...(await readdir(join(site.home, 'jobs'))),
  ];
}

function stepsOf(teller: Told): readonly string[] {
  return teller.events.flatMap((event) => (typeof event === 'string' ? [] : [`${event.kind} ${event.index}`]));
}

describe('a job whose server is killed', () => {
  it.each(['step 0', 'step 1', 'done 1', 'done 2', 'end'])('at "%s" is told whole, once', async (moment) => {
    const request = jobRequest([...steps], { image, reports: ['hello.txt'], artifacts: ['hello.txt'] });
    await killed(request, moment);
    const { result, teller } = await attach(request);
    expect(result?.outcome).toEqual({ kind: 'success' });
    expect(teller.log() === expected).toBe(true);
    expect(stepsOf(teller)).toEqual([0, 1, 2].flatMap((index) => [`started ${index}`, `finished ${index}`]));
    expect([...(result?.reports ?? [])]).toEqual([['./hello.txt'.slice(2), 'hello from the tree\n']]);
    expect(result?.artifacts).toEqual(expect.any(String));
    expect(await leftovers()).toEqual([]);
  });

  it.each(['tree', 'begin'])('before it began, at "%s", is as if it had never been', async (moment) => {
    const request = jobRequest(['echo once'], { image });
    await killed(request, moment);
    const { result } = await attach(request);
    expect(result).toBeNull();
    expect(await leftovers()).toEqual([]);
  });

  it('and that ended by itself meanwhile tells its exit code', async () => {
    const request = jobRequest(['echo out; sleep 1; echo late; exit 7'], { image });
    await killed(request, 'step 0');
    await sleep(2500);
    const { result, teller } = await attach(request);
    expect(result?.outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('exit code 7') });
    expect(teller.log()).toContain('out\nlate\n');
  });

  it('packs 64 MB of artifacts on', async () => {
    const steps = ['head -c 64000000 /dev/urandom >big'];
    const request = jobRequest(steps, { image, artifacts: ['big'] });
    await killed(request, 'done 0');
    const { result } = await attach(request);
    expect(result?.outcome).toEqual({ kind: 'success' });
    expect(result?.artifacts).toEqual(expect.any(String));
  });

  it('keeps its services, and they go with it', async () => {
    const command = ['sh', '-c', 'echo pong >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'];
    const web = { name: 'web', image, env: {}, port: 8080, readyTimeoutSeconds: 20, command };
    const request = jobRequest(['sleep 3; wget -qO- http://web:8080/index.html'], { image, services: [web] });
    await killed(request, 'step 0');
    const { result, teller } = await attach(request);
    expect(result?.outcome).toEqual({ kind: 'success' });
    expect(teller.log()).toContain('pong');
    expect(await leftovers()).toEqual([]);
  });
});

describe('a container that is ended from outside', () => {
  it.each(['kill', 'remove'] as const)('by %s is the platform’s failure, once', async (how) => {
    const request = jobRequest(['echo begun; sleep 30'], { image });
    const executor = site.open();
    const teller = told();
    const running = executor.run(request, Promise.resolve(site.tree), teller.listener, never);
    await Promise.race([teller.shows('\nbegun'), running]);
    const [found] = await docker.listContainers({ filters: { label: [`slipway.job=${request.jobId}`] } });
    const container = docker.getContainer(found?.Id ?? '');
    await (how === 'kill' ? container.kill() : container.remove({ force: true }));
    const failure = await running.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PlatformError);
    expect(failure).toMatchObject({ retry: 'once' });
    await executor.close();
    expect(await leftovers()).toEqual([]);
  });

  it('is told apart from a job that is left and killed while nobody watches', async () => {
    const request = jobRequest(['echo begun; sleep 30'], { image });
    const executor = site.open();
    const teller = told();
    const server = new AbortController();
    const running = executor.run(request, Promise.resolve(site.tree), teller.listener, leaveBy(server.signal));
    await Promise.race([teller.shows('\nbegun'), running]);
    server.abort(new Error('the server ends'));
    await expect(running).rejects.toThrow('the server ends');
    await executor.close();
    const [found] = await docker.listContainers({ filters: { label: [`slipway.job=${request.jobId}`] } });
    await docker.getContainer(found?.Id ?? '').kill();
    await expect(attach(request)).rejects.toMatchObject({ name: 'PlatformError', retry: 'once' });
  });
});

describe('the sweep', () => {
  it('removes what is left of jobs that are not running, and asks after they were listed', async () => {
    const [gone, kept] = [jobRequest(['sleep 30'], { image }), jobRequest(['sleep 30'], { image })];
    await killed(gone, 'step 0');
    await killed(kept, 'step 0');
    const executor = site.open();
    const asked: string[][] = [];
    const names = [gone, kept].map(({ jobId }) => `${jobId}-1`);
    const removed = await executor.sweep(async (all) => {
      asked.push([...all]);
      return new Set([names[1] ?? '']);
    });
    expect(asked.map((all) => all.toSorted())).toEqual([names.toSorted()]);
    expect(removed).toBe(2);
    expect(await leftovers()).toHaveLength(2);
    await executor.close();
  });
});
