import { expect } from '@jest/globals';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import type { Run } from '#src/model/run.ts';
import { idOf, until, viewOf, type World } from './held.ts';
import { pullRequest, repository, scenario, type ScenarioOptions, trigger } from './world.ts';

export const a1 = 'a1'.padEnd(40, '1');
export const a2 = 'a1'.padEnd(40, '2');
export const main = 'b0'.padEnd(40, '0');
export const pipeline = 'jobs: { test: { image: node, run: test } }';

export function pull(sha: string, change: Partial<PullRequest> = {}): PullRequest {
  return {
    number: 3,
    state: 'open',
    title: 'A change',
    sha,
    branch: 'feature',
    base: 'main',
    fork: true,
    author: 'eve',
    association: 'NONE',
    ...change,
  };
}

export const byEve = { actor: 'eve', author: { login: 'eve', bot: false } };
export const ofFork = { ...byEve, fork: true, ref: 'refs/pull/3/head' };

/** A repository of ada's, a pull request of eve's, who may read. */
export async function world(options: Partial<ScenarioOptions> = {}) {
  return await scenario({
    commits: {
      [main]: { 'slipway.yml': pipeline },
      [a1]: { 'slipway.yml': pipeline },
      [a2]: { 'slipway.yml': pipeline },
    },
    refs: { 'refs/heads/main': main },
    ...options,
    forge: {
      roles: { ada: 'write', eve: 'read', tim: 'triage', max: 'maintain' },
      pullRequests: [pull(a1)],
      ...options.forge,
    },
  });
}

let comments = 0;

export function say(s: World, actor: string, body: string): Promise<string> {
  comments += 1;
  return s.engine.intake({
    kind: 'comment',
    repository,
    number: 3,
    commentId: comments,
    body,
    actor,
    at: Date.now(),
  });
}

export function press(s: World, actor: string, run: Run, change: { readonly sha?: string } = {}): Promise<string> {
  return s.engine.intake({
    kind: 'button',
    repository,
    sha: run.trigger.sha,
    actor,
    externalId: run.id,
    identifier: 'approve',
    ...change,
  });
}

/** The run of the commit, once it is known whose it is. */
export async function arrives(s: World, sha: string, change: Parameters<typeof pullRequest>[1] = ofFork): Promise<Run> {
  const id = idOf(await s.engine.intake(trigger(pullRequest(sha, change))));
  await until(async () => (await viewOf(s, id)).run.trust !== null);
  return (await viewOf(s, id)).run;
}

/** Gives the engine every chance to run what must not run. */
export async function staysHeld(s: World, id: string): Promise<void> {
  await s.engine.driveAll();
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setTimeout(resolve, 2));
  const { run, jobs } = await viewOf(s, id);
  expect({ state: run.state, approval: run.trust?.approval, jobs }).toEqual({
    state: 'pending',
    approval: 'needed',
    jobs: [],
  });
  expect(s.executor.requests).toEqual([]);
  expect(s.builder.requests).toEqual([]);
}

export const lastComment = (s: World): string => s.forge.comments.at(-1)?.body ?? '';
export const lastReaction = (s: World) => s.forge.reactions.at(-1)?.reaction;
