import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, docker, openSite, type Site } from './docker.ts';

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.dispose());

/** Ids of this site's containers that run, once there is one. */
async function containers(): Promise<readonly string[]> {
  for (;;) {
    const home = await readFile(join(site.home, 'installation'), 'utf8').catch(() => 'none yet');
    const all = await docker.listContainers({ filters: { label: [`slipway.home=${home}`] } });
    if (all.length > 0) return all.map(({ Id }) => Id);
    await sleep(20);
  }
}

it('runs a job in the container that was started because it was expected', async () => {
  const image = await bashImage();
  const executor = site.open({ warm: 1 });
  executor.expect(image);
  const [ready] = await containers();
  const teller = told();
  const request = jobRequest(['hostname; cat hello.txt'], { image });
  const result = await executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  expect(result.outcome).toEqual({ kind: 'success' });
  // A container's host name is the start of its id.
  expect(teller.log()).toContain(ready?.slice(0, 12));
  expect(teller.log()).toContain('hello from the tree');
});

it('leaves nothing behind if the expected job never comes, and pulls nothing for it', async () => {
  const executor = site.open({ warm: 1 });
  executor.expect('registry.example/never/there:1');
  executor.expect(await bashImage());
  const ids = await containers();
  expect(ids).toHaveLength(1);
  await executor.close();
  await expect(docker.getContainer(ids[0] ?? '').inspect()).rejects.toMatchObject({ statusCode: 404 });
});
