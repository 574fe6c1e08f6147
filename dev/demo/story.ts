import type { CheckRun } from '#dev/github/world.ts';
import { changes } from './project.ts';
import { createShop, type Shop } from './shop.ts';
import type { World } from './world.ts';

/** What the story shows, one line a fact, as it happens. */
export type Tell = (line: string) => void;

/** Something did not happen as the story goes. */
class StoryError extends Error {
  override readonly name = 'StoryError';
}

const deadline = 180_000;
const hasEnded = /^(success|failure|error)$/;

/**
 * Plays the story on real parts and tells it: a first push, a pull request with a mistake, its fix, /deploy staging,
 * the tag v1.0.0 to production, and a broken v1.0.1 that doesn't get there. Throws StoryError where reality differs.
 */
export async function playStory(world: World, tell: Tell): Promise<void> {
  const { github, cluster } = world;
  await cluster.deployment('shop-staging', 'api', 'api', 'registry.example/acme/shop:none');
  await cluster.deployment('shop', 'api', 'api', 'registry.example/acme/shop:none');
  const shop = await createShop(world);

  tell('A small Node project is pushed to acme/shop.');
  const first = await shop.push('main', 'Sell things', {});
  await checks(
    world,
    shop,
    first,
    {
      lint: 'success',
      'test (currency EUR)': 'success',
      'test (currency JPY)': 'success',
      bundle: 'success',
      image: 'success',
    },
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
  await checks(world, shop, mended, { lint: 'success', 'test (currency EUR)': 'success', image: 'success' }, tell);

  tell('Ada comments /deploy staging.');
  github.people.comment(shop.fullName, pull.number, 'ada', '/deploy staging');
  await deployed(world, shop, 'staging', mended, 'success', tell);
  const staging = await cluster.image('shop-staging', 'api', 'api');
  expectDigest(staging);
  tell(`  staging runs ${short(staging)}`);

  tell('The pull request is merged, and the tag v1.0.0 is pushed.');
  await github.people.mergePullRequest(shop.fullName, pull.number, 'ada');
  await shop.pull('main');
  const release = await shop.tag('v1.0.0', 'main');
  await deployed(world, shop, 'production', release, 'success', tell);
  const healthy = await cluster.image('shop', 'api', 'api');
  expectDigest(healthy);
  tell(`  production runs ${short(healthy)}`);

  tell('v1.0.1 passes its tests, but its server ends as soon as it starts.');
  await shop.push('main', 'Read the database from the environment', changes.broken);
  const broken = await shop.tag('v1.0.1', 'main');
  await deployed(world, shop, 'production', broken, 'failure', tell);
  const now = await cluster.image('shop', 'api', 'api');
  if (now !== healthy) throw new StoryError(`Production should still run ${healthy}, but runs ${now}.`);
  tell(`  production still runs ${short(now)}`);

  const violations = github.world.violations.map((v) => JSON.stringify(v));
  if (violations.length > 0) throw new StoryError(`Requests that GitHub would refuse:\n${violations.join('\n')}`);
}

/** Waits until every check run of the commit is completed, tells them, and compares those that are expected. */
async function checks(
  world: World,
  shop: Shop,
  sha: string,
  expected: Readonly<Record<string, string>>,
  tell: Tell,
): Promise<readonly CheckRun[]> {
  const runs = await world.github.waitFor(
    `check runs of ${sha.slice(0, 7)}`,
    () => {
      const all = world.github.checkRuns(shop.fullName, sha);
      const there = Object.keys(expected).every((name) => all.some((run) => run.name === name));
      return there && all.every((run) => run.status === 'completed') ? all : null;
    },
    deadline,
  );
  for (const run of runs) tell(`  ${mark(run.conclusion)} ${run.name}: ${run.title ?? run.conclusion}`);
  for (const [name, conclusion] of Object.entries(expected)) {
    const run = runs.find((r) => r.name === name);
    if (run?.conclusion !== conclusion) {
      throw new StoryError(
        `"${name}" should end as ${conclusion}, but ended as ${run?.conclusion}: ${run?.title}\n${run?.summary}\n${run?.text}`,
      );
    }
  }
  return runs;
}

function tellAnnotations(runs: readonly CheckRun[], tell: Tell): void {
  const annotations = runs.flatMap((run) => run.annotations);
  if (annotations.length === 0) throw new StoryError('The failed check run should have an annotation.');
  for (const a of annotations) tell(`    ${a['path']}:${a['start_line']}: ${a['message']}`);
}

/** Waits for the commit's deployment to the environment to end, and tells its statuses. */
async function deployed(
  world: World,
  shop: Shop,
  environment: string,
  sha: string,
  expected: 'success' | 'failure',
  tell: Tell,
): Promise<void> {
  const { deployment, skipped } = await world.github.waitFor(
    `the deployment of ${sha.slice(0, 7)} to ${environment}`,
    () => {
      const check = world.github.checkRuns(shop.fullName, sha).find((run) => run.name === `deploy ${environment}`);
      if (check?.conclusion === 'skipped') return { deployment: null, skipped: check };
      const ended = world.github
        .deployments(shop.fullName)
        .find((d) => d.environment === environment && d.sha === sha && d.statuses.some((s) => hasEnded.test(s.state)));
      return ended ? { deployment: ended, skipped: null } : null;
    },
    deadline,
  );
  if (deployment === null) {
    throw new StoryError(`Nothing was deployed to ${environment}: ${skipped.title}\n${skipped.summary}`);
  }
  for (const status of deployment.statuses) tell(`  ${environment}: ${status.state}: ${status.description}`);
  const last = deployment.statuses.findLast((s) => hasEnded.test(s.state));
  if (last?.state === expected) return;
  const check = world.github.checkRuns(shop.fullName, sha).find((run) => run.name === `deploy ${environment}`);
  throw new StoryError(
    `The deployment to ${environment} should end as ${expected}, but ended as ${last?.state}: ${last?.description}\n${check?.summary}\n${check?.text}`,
  );
}

function mark(conclusion: string | null): string {
  if (conclusion === 'success') return '✔';
  return conclusion === 'skipped' || conclusion === 'neutral' ? '○' : '✘';
}

function expectDigest(image: string | null): void {
  if (image === null || !/@sha256:[0-9a-f]{64}$/.test(image))
    throw new StoryError(`A digest should run, but it is ${image}.`);
}

function short(image: string | null): string {
  return (image ?? 'nothing').replace(/(@sha256:.{12}).*/, '$1…');
}
