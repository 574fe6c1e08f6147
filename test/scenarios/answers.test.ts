import { createRequire } from 'node:module';
import { afterEach, expect, it } from '@jest/globals';
import type { WebhookDefinition } from '@octokit/webhooks-examples';
import { type Dispatcher, openDispatcher } from '#src/adapters/github/dispatch.ts';
import { openTestGitHub, silent } from '#test/adapters/github/support.ts';
import { patched, reactions, replies, world } from './commanding.ts';
import { until, type World } from './held.ts';
import { repository } from './world.ts';

interface CommentPayload {
  readonly repository: object;
  readonly comment: { readonly user: object };
  readonly sender: object;
}

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookDefinition[];
const example = examples.find(({ name }) => name === 'issue_comment')?.examples[3] as unknown as CommentPayload;

const open: Dispatcher[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((it) => it.close()));
});

/** GitHub tells of comments on an issue, written by ada. */
async function told(s: World, bodies: readonly string[]): Promise<void> {
  const { id, owner, name, defaultBranch } = repository;
  const place = { id, name, full_name: `${owner}/${name}`, default_branch: defaultBranch };
  for (const [index, text] of bodies.entries()) {
    const user = { ...example.comment.user, login: 'ada' };
    const payload = {
      ...example,
      repository: { ...example.repository, ...place, owner: { login: owner } },
      comment: { ...example.comment, id: 1_000 + index, body: text, user },
      sender: { ...example.sender, login: 'ada' },
    };
    const body = Buffer.from(JSON.stringify(payload));
    await s.store.deliveries.add({ guid: `g${index}`, event: 'issue_comment', body, receivedAt: index });
  }
}

/** Of a server: of each there is one at a time. */
async function dispatcher(s: World): Promise<Dispatcher> {
  const it = await openDispatcher({
    github: await openTestGitHub(),
    store: s.store.deliveries,
    intake: s.engine.intake,
    resolve: async () => null,
    logger: silent,
    retryMs: [1],
  });
  open.push(it);
  it.wake();
  return it;
}

it('a deployment waits for none of the answers before it, which the next server tells, and does nothing twice', async () => {
  const s = await world();
  const before = { ...s.forge };
  const stuck = Promise.withResolvers<void>();
  // The content that GitHub takes in an hour is used up.
  Object.assign(s.forge, { comment: () => stuck.promise, react: () => stuck.promise });
  await told(s, [...Array.from({ length: 40 }, () => '/deploy stagging main'), '/deploy staging main']);
  const first = await dispatcher(s);
  await until(async () => patched(s).length === 1);
  expect(await s.store.deliveries.pending(100)).toHaveLength(41);
  await first.close(1);

  Object.assign(s.forge, before);
  await dispatcher(s);
  await until(async () => (await s.store.deliveries.pending(100)).length === 0);
  expect(replies(s).filter((it) => it.includes('Did you mean `staging`?'))).toHaveLength(40);
  expect(replies(s).filter((it) => it.includes('Deploys to `staging`'))).toHaveLength(1);
  expect(reactions(s).filter((it) => it === 'confused')).toHaveLength(40);
  expect(reactions(s).filter((it) => it === 'rocket')).toHaveLength(1);
  expect(await s.store.runs.list({ limit: 10 })).toHaveLength(1);
  expect(patched(s)).toEqual(['staging/api']);
  stuck.reject(new Error('The first server is gone.'));
});
