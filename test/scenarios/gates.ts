import type { CheckState } from '#src/engine/ports-forge.ts';
import type { CommentEvent } from '#src/model/event.ts';
import type { Job } from '#src/model/run.ts';
import { idOf, until, viewOf, type World } from './held.ts';
import { push, repository, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

/** Commits by letter: `a` is `aaaa...`. */
export const sha = (letter: string): string => letter.repeat(40);

/** A pipeline with the environments `staging` (by pushes to main) and `production` (by tags), the latter with these keys. */
export function pipelineWith(keys: string): string {
  return `
jobs:
  image: { build: { image: registry.example/acme/shop, args: { COMMIT: "\${{ event.sha }}" } } }
environments:
  staging:
    on: { branch: main }
    stable: 0s
    rollout: [{ deployment: staging/api, container: api, image: image }]
  production:
    on: { tag: "v*" }
    stable: 0s
    rollout: [{ deployment: shop/api, container: api, image: image }]
${keys
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => `    ${line.trim()}\n`)
  .join('')}`;
}

/** A cluster whose rollouts stand until they are let go. */
export function heldRollouts() {
  let held = false;
  let free: (() => void)[] = [];
  return {
    hold: () => void (held = true),
    letGo(): void {
      held = false;
      for (const go of free.splice(0)) go();
    },
    /** The next one alone. */
    letOneGo: () => free.shift()?.(),
    sleep: async (): Promise<void> => {
      if (held) await new Promise<void>((resolve) => void free.push(resolve));
    },
  };
}

export interface GatesOptions extends Partial<ScenarioOptions> {
  readonly sleep?: () => Promise<void>;
  /** What others say of each commit; a test may change it. */
  readonly checks?: CheckState[];
}

export async function gates(keys: string, { sleep, checks = [], ...more }: GatesOptions = {}): Promise<World> {
  const files = { 'slipway.yml': pipelineWith(keys) };
  const letters = ['a', 'b', 'c', 'd'];
  return await scenario({
    commits: Object.fromEntries(letters.map((letter) => [sha(letter), files])),
    refs: { 'refs/heads/main': sha('a') },
    cluster: {
      workloads: [
        { name: 'shop/api', image: 'old', containers: ['api'] },
        { name: 'staging/api', image: 'old', containers: ['api'] },
      ],
      behave: () => [{ afterMs: 0 }],
      sleep: sleep ?? (async () => {}),
    },
    ...more,
    forge: {
      roles: { ada: 'write', bob: 'write', BOB: 'write', carol: 'write', max: 'maintain', eve: 'read' },
      commits: Object.fromEntries(letters.map((letter) => [sha(letter), sha(letter)])),
      checks: Object.fromEntries(letters.map((letter) => [sha(letter), checks])),
      ...more.forge,
    },
  });
}

/** Pushes the tag `v1` for the commit `a` and so on; answers the run's id. */
export async function release(s: World, letter: string): Promise<string> {
  return idOf(await s.engine.intake(trigger(tag(sha(letter), `v${letter}`))));
}

export async function pushMain(s: World, letter: string): Promise<string> {
  return idOf(await s.engine.intake(trigger(push(sha(letter)))));
}

let comments = 5_000;

/** A comment on an issue. */
export async function says(s: World, actor: string, body: string, change: Partial<CommentEvent> = {}): Promise<string> {
  comments += 1;
  const at = Date.now();
  const event = { repository, number: 9, onPullRequest: false, commentId: comments, body, actor, at };
  return await s.engine.intake({ kind: 'comment', ...event, ...change });
}

export async function deployJob(s: World, runId: string, environment = 'production'): Promise<Job | undefined> {
  return (await viewOf(s, runId)).jobs.find((job) => job.plan.key === `deploy ${environment}`);
}

/** Resolves once the deployment waits at a gate of this kind; answers what it says. */
export async function waitsFor(s: World, runId: string, kind: string, says: RegExp = /./): Promise<Job> {
  let found: Job | undefined;
  await until(async () => {
    found = await deployJob(s, runId);
    return found?.gate?.kind === kind && says.test(found.note ?? '');
  });
  if (found === undefined) throw new Error('There is no such job.');
  return found;
}

/** Every server looks at it again, as it does now and then. */
export async function lookAgain(s: World): Promise<void> {
  await s.engine.driveAll();
}

/** What the image of a commit was made into, by the workload's last patch. */
export function patches(s: World, workload = 'shop/api'): number {
  return s.cluster.patches.filter((patch) => patch.startsWith(`${workload}=`)).length;
}
