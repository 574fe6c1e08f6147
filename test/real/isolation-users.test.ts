import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, openSite, type Site } from './docker.ts';
import { type OwnEngine, startEngine } from './own-engine.ts';

let engine: OwnEngine;
let image: string;
let site: Site;
beforeAll(async () => {
  image = await bashImage();
  engine = await startEngine({ remaps: true });
  await engine.load(image);
  site = await openSite();
}, 60_000);
afterAll(async () => {
  await site.dispose();
  await engine.dispose();
});

it.each(['none', 'private'] as const)(
  'where the engine maps users, root in a job (network: %s) is nobody on the host, and writes in its workspace',
  async (network) => {
    const logged: string[] = [];
    const logger = { debug() {}, info: (_: object, message: string) => void logged.push(message), warn() {} };
    const executor = site.open({ docker: engine.docker, logger });
    const teller = told();
    const request = jobRequest(
      ['id -u; cat /proc/self/uid_map; echo more >>hello.txt; cat hello.txt; mkdir out; echo "<a/>" >out/a.xml'],
      {
        image,
        artifacts: ['out'],
        reports: ['out/*.xml'],
        access: { privileged: false, network, devices: [], volumes: [] },
      },
    );
    const result = await executor.run(request, Promise.resolve(site.tree), teller.listener, never);
    expect(teller.log()).toMatch(/\n0\n +0 +200000 +65536\n/);
    expect(teller.log()).toContain('hello from the tree\nmore\n');
    expect(result).toMatchObject({ outcome: { kind: 'success' }, reports: new Map([['out/a.xml', '<a/>\n']]) });
    expect(await readFile(join(site.tree.path, 'hello.txt'), 'utf8')).toBe('hello from the tree\n');
    expect(logged).toContain('the engine maps the users of jobs');
    const next = told();
    const needs = jobRequest(['cat out/a.xml'], { image, inputs: [result.artifacts ?? ''] });
    await executor.run(needs, Promise.resolve(site.tree), next.listener, never);
    expect(next.log()).toContain('\n<a/>\n');
    await executor.close();
  },
  60_000,
);

it("what only the host's own users may have is given as such", async () => {
  const teller = told();
  const access = { privileged: false, network: 'host', devices: [], volumes: [] } as const;
  const request = jobRequest(['cat /proc/self/uid_map; echo more >>hello.txt'], { image, access });
  const executor = site.open({ docker: engine.docker });
  const { outcome } = await executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  expect(outcome).toEqual({ kind: 'success' });
  expect(teller.log()).toMatch(/ +0 +0 +4294967295/);
});

it('the network of the jobs is made again if somebody removed it', async () => {
  const executor = site.open({ docker: engine.docker });
  const play = () =>
    executor.run(jobRequest(['ip addr'], { image }), Promise.resolve(site.tree), told().listener, never);
  expect((await play()).outcome).toEqual({ kind: 'success' });
  while ((await engine.docker.listContainers({ all: true })).length > 0) await sleep(50);
  await engine.docker.getNetwork('slipway-jobs').remove();
  expect((await play()).outcome).toEqual({ kind: 'success' });
});
