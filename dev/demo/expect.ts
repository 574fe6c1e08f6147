import type { CheckRun } from '#dev/github/world.ts';
import type { Shop } from './shop.ts';
import type { World } from './world.ts';

/** What the story shows, one line a fact, as it happens. */
export type Tell = (line: string) => void;

/** Something did not happen as the story goes. */
export class StoryError extends Error {
  override readonly name = 'StoryError';
}

const deadline = 180_000;
const hasEnded = /^(success|failure|error)$/;

/** Waits until every check run of the commit is completed, tells them, and compares those that are expected. */
export async function checks(
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

export function tellAnnotations(runs: readonly CheckRun[], tell: Tell): void {
  const annotations = runs.flatMap((run) => run.annotations);
  if (annotations.length === 0) throw new StoryError('The failed check run should have an annotation.');
  for (const a of annotations) tell(`    ${a['path']}:${a['start_line']}: ${a['message']}`);
}

/** Waits for the commit's deployment to the environment (one with a higher id than `since`) to end, and tells its statuses. */
export async function deployed(
  world: World,
  shop: Shop,
  environment: string,
  sha: string,
  expected: 'success' | 'failure',
  tell: Tell,
  since = 0,
): Promise<void> {
  const { deployment, skipped } = await world.github.waitFor(
    `the deployment of ${sha.slice(0, 7)} to ${environment}`,
    () => {
      const check = world.github.checkRuns(shop.fullName, sha).find((run) => run.name === `deploy ${environment}`);
      if (check?.conclusion === 'skipped') return { deployment: null, skipped: check };
      const ended = world.github
        .deployments(shop.fullName)
        .filter((it) => it.id > since && it.environment === environment && it.sha === sha)
        .find((it) => it.statuses.some((status) => hasEnded.test(status.state)));
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

/** Waits until the deployment of the commit waits for an approval; answers with its check run. */
export async function waitsForApproval(
  world: World,
  shop: Shop,
  environment: string,
  sha: string,
  tell: Tell,
): Promise<CheckRun> {
  const run = await world.github.waitFor(
    `the deployment of ${sha.slice(0, 7)} to ${environment} to wait`,
    () =>
      world.github
        .checkRuns(shop.fullName, sha)
        .findLast((it) => it.name === `deploy ${environment}` && it.conclusion === 'action_required') ?? null,
    deadline,
  );
  tell(`  ○ ${run.name}: ${run.title}`);
  return run;
}

/** Waits until the deployment of the commit has ended without having begun; tells why. */
export async function refused(world: World, shop: Shop, environment: string, sha: string, tell: Tell): Promise<void> {
  const run = await world.github.waitFor(
    `the deployment of ${sha.slice(0, 7)} to ${environment} to be refused`,
    () =>
      world.github
        .checkRuns(shop.fullName, sha)
        .findLast((it) => it.name === `deploy ${environment}` && it.status === 'completed') ?? null,
    deadline,
  );
  if (run.conclusion !== 'failure') {
    throw new StoryError(`"${run.name}" should be refused, but ended as ${run.conclusion}: ${run.title}`);
  }
  tell(`  ✘ ${run.name}: ${run.title}`);
}

function mark(conclusion: string | null): string {
  if (conclusion === 'success') return '✔';
  return conclusion === 'skipped' || conclusion === 'neutral' ? '○' : '✘';
}

export function expectDigest(image: string | null): void {
  if (image === null || !/@sha256:[0-9a-f]{64}$/.test(image))
    throw new StoryError(`A digest should run, but it is ${image}.`);
}

export function short(image: string | null): string {
  return (image ?? 'nothing').replace(/(@sha256:.{12}).*/, '$1…');
}
