import type { PullRequest } from '#src/engine/ports-forge.ts';
import type { CommentEvent } from '#src/model/event.ts';
import type { RunView } from '#src/model/run.ts';
import { ended, idOf, type World } from './held.ts';
import { pullRequest, push, repository, type ScenarioOptions, scenario, trigger } from './world.ts';

/** Commits of a repository of ada's, who may write; max maintains it, eve may read, rob is of the release team. */
export const main = 'ma1'.replace('m', 'a').padEnd(40, '0');
export const head = 'b2'.padEnd(40, '2');
export const older = 'b1'.padEnd(40, '1');
export const foreign = 'ee'.padEnd(40, 'e');

export const pipeline = `
jobs:
  lint: { image: node, run: lint }
  image: { build: { image: registry.example/acme/shop } }
environments:
  staging:
    stable: 0s
    rollout: [{ deployment: staging/api, container: api, image: image }]
  production:
    stable: 0s
    after: staging
    rollout: [{ deployment: shop/api, container: api, image: image }]
  asked:
    stable: 0s
    approvals: 1
    rollout: [{ deployment: asked/api, container: api, image: image }]
  vault:
    stable: 0s
    allow: { teams: [acme/release] }
    rollout: [{ deployment: vault/api, container: api, image: image }]
`;

export const pull: PullRequest = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: head,
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
};

/** When the pull request's head was pushed, long before any comment. */
export const pushedAt = Date.parse('2026-11-21T10:00:00Z');
export const commentedAt = pushedAt + 3_600_000;

export function options(change: Partial<ScenarioOptions> = {}): ScenarioOptions {
  const files = { 'slipway.yml': pipeline };
  return {
    commits: { [main]: files, [head]: files, [older]: files, [foreign]: files },
    refs: { 'refs/heads/main': main, 'refs/heads/feature': head, 'refs/tags/v1': main },
    ...change,
    forge: {
      roles: { ada: 'write', bob: 'write', max: 'maintain', eve: 'read', rob: 'read' },
      teams: { 'acme/release': ['rob'] },
      pullRequests: [pull],
      commits: { [main]: main, [head]: head, [older]: older, [foreign]: foreign },
      authors: { [head]: ['ada'] },
      // Nothing is on a branch unless a test says so.
      compare: (_base, sha) => ({ ahead: sha === main ? 0 : 1, behind: 0, commits: [] }),
      ...change.forge,
    },
    cluster: {
      workloads: ['shop/api', 'staging/api', 'asked/api', 'vault/api'].map((name) => ({
        name,
        image: 'old',
        containers: ['api'],
      })),
      behave: () => [{ afterMs: 0 }],
      sleep: async () => {},
      ...change.cluster,
    },
  };
}

export async function world(change: Partial<ScenarioOptions> = {}): Promise<World> {
  return await scenario(options(change));
}

/** The pull request with its head as GitHub tells it. */
export async function opened(s: World, sha = head, at = pushedAt): Promise<RunView> {
  return await s.play(trigger(pullRequest(sha, { at })));
}

export async function pushed(s: World, sha = main): Promise<RunView> {
  return await s.play(trigger(push(sha)));
}

let comments = 100;

export function comment(body: string, change: Partial<CommentEvent> = {}): CommentEvent {
  comments += 1;
  const base = { repository, number: 3, commentId: comments, actor: 'ada', at: commentedAt };
  return { kind: 'comment', body, ...base, ...change };
}

export function onIssue(body: string, change: Partial<CommentEvent> = {}): CommentEvent {
  return comment(body, { number: 9, onPullRequest: false, ...change });
}

export async function say(s: World, body: string, change: Partial<CommentEvent> = {}): Promise<string> {
  return await s.engine.intake(comment(body, change));
}

/** Says it, and waits for the run that it makes. */
export async function deploys(s: World, body: string, change: Partial<CommentEvent> = {}): Promise<RunView> {
  return await ended(s, idOf(await say(s, body, change)));
}

export const replies = (s: World): readonly string[] => s.forge.comments.map((it) => it.body);
export const reactions = (s: World): readonly string[] => s.forge.reactions.map((it) => it.reaction);
/** Image repository's part of each patch is the same: `staging/api`. */
export const patched = (s: World): readonly string[] => s.cluster.patches.map((it) => it.split('=')[0] ?? '');
