import { setTimeout as sleep } from 'node:timers/promises';
import { createShop } from '#dev/demo/shop.ts';
import { startWorld, type World } from '#dev/demo/world.ts';
import { median, type Row } from './measure.ts';

const deadline = 120_000;

/**
 * From a comment `/rollback staging` to the moment when the cluster has the earlier digest, with the whole server as a
 * process of its own; against asking the cluster once, from the same place.
 */
export async function deploys(rounds: number): Promise<readonly Row[]> {
  await using world = await startWorld({ kubeconfig: null, logLevel: 'info' });
  await world.cluster.deployment('shop-staging', 'api', 'api', 'registry.example/acme/shop:none');
  const shop = await createShop(world);
  const versions: { readonly sha: string; readonly image: string }[] = [];
  for (const number of [1, 2]) {
    const sha = await shop.push('main', `Version ${number}`, { 'version.txt': `${number}\n` });
    await healthy(world, sha);
    versions.push({ sha, image: (await now(world)) ?? '' });
  }
  const issue = world.github.people.openIssue(shop.fullName, 'Measurements', 'ada');
  const took: number[] = [];
  const floor: number[] = [];
  for (let round = -1; round < rounds; round += 1) {
    const to = versions[(round + 1) % 2];
    if (to === undefined) continue;
    const start = performance.now();
    world.github.people.comment(shop.fullName, issue.number, 'ada', `/rollback staging ${to.sha}`);
    while ((await now(world)) !== to.image) {
      if (performance.now() - start > deadline) throw new Error('The rollback did not come.');
      await sleep(2);
    }
    if (round >= 0) took.push(performance.now() - start);
    await healthy(world, to.sha);
    const asked = performance.now();
    await now(world);
    if (round >= 0) floor.push(performance.now() - asked);
  }
  const common = { unit: 'ms', samples: rounds } as const;
  return [
    { ...common, name: 'from `/rollback` to the patch', ours: median(took), floor: null, target: { atMost: 3_000 } },
    { ...common, name: 'one question to the cluster', ours: median(floor), floor: null, target: null },
  ];
}

function now(world: World): Promise<string | null> {
  return world.cluster.image('shop-staging', 'api', 'api');
}

/** Waits until the newest deployment is the commit's and healthy. */
async function healthy(world: World, sha: string): Promise<void> {
  await world.github.waitFor(
    `the deployment of ${sha.slice(0, 7)}`,
    () => {
      const last = world.github.deployments('acme/shop').at(-1);
      const state = last?.statuses.at(-1)?.state;
      if (state === 'failure' || state === 'error') throw new Error(`It failed: ${last?.statuses.at(-1)?.description}`);
      return last?.sha === sha && state === 'success' ? true : null;
    },
    deadline,
  );
}
