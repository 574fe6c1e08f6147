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

it('an engine that hangs keeps no job beyond its limit', async () => {
  const executor = site.open({ docker: engine.docker });
  const teller = told();
  const request = jobRequest(['echo begun; sleep 300'], { image, timeoutMs: 3000 });
  const running = executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  await Promise.race([teller.shows('\nbegun'), running]);
  engine.signal('SIGSTOP');
  try {
    expect((await running).outcome).toMatchObject({ kind: 'timed_out' });
    await expect(executor.ping()).rejects.toMatchObject({ name: 'PlatformError' });
  } finally {
    engine.signal('SIGCONT');
  }
  await executor.close();
}, 45_000);
