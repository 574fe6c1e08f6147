import { setTimeout as sleep } from 'node:timers/promises';
import {
  checks,
  deployed,
  expectDigest,
  refused,
  short,
  StoryError,
  tellAnnotations,
  type Tell,
  waitsForApproval,
} from './expect.ts';
import { changes } from './project.ts';
import { createShop } from './shop.ts';
import type { World } from './world.ts';

/**
 * Plays the story on real parts and tells it: a first push reaches staging; a pull request with a mistake, its fix, and
 * `/deploy staging`; the tag v1.0.0, approved, step by step to production; a broken version that staging gives back and
 * production refuses; a promotion, and the way back by a comment. Throws StoryError where reality differs.
 */
export async function playStory(world: World, tell: Tell): Promise<void> {
  const { github, cluster } = world;
  const production = () => cluster.image('shop', 'api', 'api');
  await cluster.deployment('shop-staging', 'api', 'api', 'registry.example/acme/shop:none');
  await cluster.deployment('shop', 'api', 'api', 'registry.example/acme/shop:none');
  const shop = await createShop(world);

  tell('A small Node project is pushed to acme/shop. What is on main goes to staging.');
  const first = await shop.push('main', 'Sell things', {});
  const passed = { lint: 'success', 'test (currency EUR)': 'success', image: 'success' };
  await checks(
    world,
    shop,
    first,
    { ...passed, 'test (currency JPY)': 'success', bundle: 'success', 'deploy staging': 'success' },
    tell,
  );

  tell('Ada opens a pull request. Its lint finds a mistake.');
  const mistake = await shop.push('discount', 'Give discounts', changes.withMistake);
  const pull = await github.people.openPullRequest(shop.fullName, {
    title: 'Give discounts',
    head: 'discount',
    by: 'ada',
  });
  const failed = await checks(
    world,
    shop,
    mistake,
    { lint: 'failure', 'test (currency EUR)': 'success', image: 'skipped' },
    tell,
  );
  tellAnnotations(failed, tell);

  tell('Ada mends it.');
  const mended = await shop.push('discount', 'Use const', changes.mended);
  await checks(world, shop, mended, passed, tell);

  tell('Ada comments /deploy staging.');
  github.people.comment(shop.fullName, pull.number, 'ada', '/deploy staging');
  await deployed(world, shop, 'staging', mended, 'success', tell);
  const staging = await cluster.image('shop-staging', 'api', 'api');
  expectDigest(staging);
  tell(`  staging runs ${short(staging)}`);

  tell(
    'The pull request is merged, and reaches staging. Ada pushes the tag v1.0.0: production waits for somebody else.',
  );
  const merged = await github.people.mergePullRequest(shop.fullName, pull.number, 'ada');
  await deployed(world, shop, 'staging', merged, 'success', tell);
  const built = await cluster.image('shop-staging', 'api', 'api');
  await shop.pull('main');
  const release = await shop.tag('v1.0.0', 'main');
  const waiting = await waitsForApproval(world, shop, 'production', release, tell);
  tell('Ben presses Approve. The digest that runs in staging goes to half of the pods, then to all.');
  github.people.pressButton(shop.fullName, waiting.id, 'approve-deployment', 'ben');
  await deployed(world, shop, 'production', release, 'success', tell);
  const healthy = await production();
  expectDigest(healthy);
  if (healthy !== built) throw new StoryError(`Production should run what staging ran, ${built}, but runs ${healthy}.`);
  tell(`  production runs ${short(healthy)}`);

  tell('The next version passes its tests, but its server ends as soon as it starts. Staging goes back by itself.');
  const broken = await shop.push('main', 'Read the database from the environment', changes.broken);
  await deployed(world, shop, 'staging', broken, 'failure', tell);
  tell('Its tag v1.0.1 is refused: it is not healthy in staging.');
  await refused(world, shop, 'production', await shop.tag('v1.0.1', 'main'), tell);
  if ((await production()) !== healthy) throw new StoryError(`Production should still run ${healthy}.`);

  tell('It is mended. Ada comments /promote staging production, and Ben /approve production.');
  const greeting = await shop.push('main', 'Greet people', changes.greeting);
  await deployed(world, shop, 'staging', greeting, 'success', tell);
  const issue = github.people.openIssue(shop.fullName, 'Release day', 'ada');
  github.people.comment(shop.fullName, issue.number, 'ada', '/promote staging production');
  await waitsForApproval(world, shop, 'production', greeting, tell);
  github.people.comment(shop.fullName, issue.number, 'ben', '/approve production');
  await deployed(world, shop, 'production', greeting, 'success', tell);
  tell(`  production runs ${short(await production())}`);

  tell('People complain. Ada comments /rollback production.');
  const asked = performance.now();
  const last = github.deployments(shop.fullName).at(-1)?.id ?? 0;
  github.people.comment(shop.fullName, issue.number, 'ada', '/rollback production');
  while ((await production()) !== healthy) {
    if (performance.now() - asked > 60_000) throw new StoryError('Nothing went back within a minute.');
    await sleep(10);
  }
  tell(`  after ${((performance.now() - asked) / 1000).toFixed(1)} s production is set to ${short(healthy)}`);
  await deployed(world, shop, 'production', release, 'success', tell, last);

  const violations = github.world.violations.map((v) => JSON.stringify(v));
  if (violations.length > 0) throw new StoryError(`Requests that GitHub would refuse:\n${violations.join('\n')}`);
}
