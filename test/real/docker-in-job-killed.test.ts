import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { JobRequest } from '#src/engine/ports.ts';
import { never, told } from '#test/contracts/executor.ts';
import { busyboxImage, docker, openSite, type Site } from './docker.ts';
import { dockerImage, dockerJob, leftovers } from './docker-client.ts';

jest.setTimeout(180_000);

let site: Site;
let image: string;
let box: string;
let scratch: string;
beforeAll(async () => {
  [image, box] = [await dockerImage(), await busyboxImage()];
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
  const program = fileURLToPath(new URL('executor-child.ts', import.meta.url));
  const stdio = ['ignore', 'inherit', 'inherit'] as const;
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], { stdio: [...stdio] });
  const [, signal] = (await once(child, 'exit')) as [number, string];
  expect(signal).toBe('SIGKILL');
}

async function attach(request: JobRequest): Promise<{ readonly lines: readonly string[]; readonly outcome: unknown }> {
  const teller = told(await readFile(join(scratch, 'log'), 'latin1'));
  const executor = site.open();
  const result = await executor.attach(request, teller.listener, never);
  await executor.close();
  const lines = teller.log().split('\n');
  return {
    outcome: result?.outcome,
    lines: lines.filter((line) => line.startsWith('> ')).map((line) => line.slice(2)),
  };
}

/** Containers that run, a network, a volume, an image, a mount and a client in the middle of a stream. */
const much = () => [
  `docker network create net >/dev/null; docker volume create vol >/dev/null; docker tag ${box} own; mkdir sub`,
  `docker run -d --name kept --network net -v vol:/v -v $PWD/sub:/s own sh -c 'while :; do echo tick; sleep 0.2; done' >/dev/null`,
  `docker run -d ${box} sleep 600 >/dev/null; ( docker logs -f kept >/dev/null 2>&1; say the stream ended ) & sleep 1`,
];

describe('a job with an engine of its own, whose server is killed', () => {
  it('goes on with the next server, and nothing of it is left afterwards', async () => {
    const request = dockerJob(image, [
      ...much(),
      'wait; until docker version >/dev/null 2>&1; do sleep 0.1; done',
      'docker ps --format "{{.Names}}" | grep kept | told; docker exec kept echo inside | told',
      `docker run --rm -v $PWD/sub:/s ${box} touch /s/new; ls sub | told; docker images --format '{{.Repository}}' | told`,
    ]);
    await killed(request, 'step 4');
    const { outcome, lines } = await attach(request);
    expect(outcome).toEqual({ kind: 'success' });
    expect(lines).toEqual(['the stream ended', 'kept', 'inside', 'new', 'own']);
    expect(await leftovers(site)).toEqual([]);
  });

  it('and that nobody claims any more is swept away with all that it made, and nothing else is', async () => {
    const [gone, kept] = [dockerJob(image, [...much(), 'sleep 60']), dockerJob(image, [...much(), 'sleep 60'])];
    await killed(gone, 'step 4');
    await killed(kept, 'step 4');
    const executor = site.open();
    await executor.sweep(async () => new Set([`${kept.jobId}-1`]));
    const names = (await leftovers(site)).join('\n');
    expect(names).not.toContain(`${gone.jobId}-1`);
    expect(names.match(new RegExp(`slipway-${kept.jobId}-1-kept`, 'g'))).toHaveLength(1);
    expect(names).toContain(Buffer.from(`${kept.jobId}-1`).toString('hex'));
    await executor.sweep(async () => new Set());
    expect(await leftovers(site)).toEqual([]);
    await executor.close();
    await docker.getImage(box).inspect();
  });

  it.each(['attach', 'sweep'] as const)(
    'in the middle of a push leaves no real name on the engine (%s)',
    async (how) => {
      // A registry that never answers.
      const registry = createServer(() => {});
      await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
      const name = `127.0.0.1:${(registry.address() as AddressInfo).port}/acme/shop:v1`;
      try {
        const push = `docker tag ${box} ${name}; docker push ${name} >/dev/null 2>&1 & sleep 2`;
        const request = dockerJob(image, [push, 'sleep 2']);
        await killed(request, 'step 2');
        await docker.getImage(name).inspect();
        if (how === 'attach') await attach(request);
        else await site.open().sweep(async () => new Set());
        await expect(docker.getImage(name).inspect()).rejects.toMatchObject({ statusCode: 404 });
        expect(await leftovers(site)).toEqual([]);
      } finally {
        registry.closeAllConnections();
        registry.close();
      }
    },
  );
});
