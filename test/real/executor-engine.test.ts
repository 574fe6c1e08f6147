import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { busyboxImage, openSite, type Site } from './docker.ts';
import { type OwnEngine, startEngine } from './own-engine.ts';

let engine: OwnEngine;
let image: string;
let site: Site;
beforeAll(async () => {
  image = await busyboxImage();
  engine = await startEngine();
  await engine.load(image);
});
afterAll(() => engine.dispose());
beforeEach(async () => {
  site = await openSite();
});
afterEach(async () => {
  await site.open({ docker: engine.docker }).sweep(async () => new Set());
  await site.dispose();
});

it.each(['SIGTERM', 'SIGKILL'] as const)(
  'a restart by %s is told as such, and the job is to be tried once more',
  async (signal) => {
    const executor = site.open({ docker: engine.docker });
    const request = jobRequest(['echo begun; sleep 50'], { image });
    const teller = told();
    const running = executor.run(request, Promise.resolve(site.tree), teller.listener, never);
    running.catch(() => {});
    await Promise.race([teller.shows('\nbegun'), running]);
    await engine.end(signal);
    await engine.start();
    await expect(running).rejects.toMatchObject({ name: 'PlatformError', retry: 'once' });
    await executor.close();
    expect(await engine.docker.listContainers({ all: true })).toEqual([]);
    const again = await site
      .open({ docker: engine.docker })
      .run(jobRequest(['echo again'], { image }), Promise.resolve(site.tree), told().listener, never);
    expect(again.outcome).toEqual({ kind: 'success' });
  },
  50_000,
);

it('a job that tells its end while the engine is away has ended well', async () => {
  const executor = site.open({ docker: engine.docker });
  const teller = told();
  const request = jobRequest(['echo begun; sleep 2; echo over'], { image });
  const running = executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  running.catch(() => {});
  await Promise.race([teller.shows('\nbegun'), running]);
  await engine.end('SIGKILL');
  const result = await running;
  await engine.start();
  expect(result.outcome).toEqual({ kind: 'success' });
  expect(teller.log()).toContain('over\n');
});
