import { expect, it } from '@jest/globals';
import { service } from '#dev/kubernetes/index.ts';
import type { Ended } from './killer/quay.ts';
import { openScene, type Scene } from './killer/scene.ts';

/**
 * Deployments in every state in which they stay for a while, beside each other, each in an environment of its own: the
 * server is killed there, twice, and started again on the same data. Each must end as if nothing had been.
 */

type Standing = Readonly<Record<string, () => boolean>>;

/** Waits until all stand at once. */
async function allStand({ quay }: Scene, standing: Standing): Promise<void> {
  for (const [name, stands] of Object.entries(standing)) await quay.until(`${name} to stand`, stands);
}

/** What doesn't stand any more. */
function fallen(standing: Standing): readonly string[] {
  return Object.entries(standing).flatMap(([name, stands]) => (stands() ? [] : [name]));
}

const one = (sha: string, conclusion: string, state: string = conclusion) => ({ sha, conclusion, state });
const replaced = (sha: string) => one(sha, 'success', 'inactive');
const simple = (environment: string, sha: string): Ended => {
  return { environment, runs: sha, changes: 1, deployments: [one(sha, 'success')] };
};

it('goes on with what waits, rolls out, goes back or was just asked for', async () => {
  const environments = {
    asked: 'approvals: 1',
    pressed: 'approvals: 1',
    queue: '',
    locked: 'on: { tag: wait }',
    protected: 'on: { tag: wait }, protect: [outside]',
    plain: '',
    back: '',
    undo: '',
  };
  const gitops = 'repository: acme/live, file: api.yaml, field: spec.image, image: image, pull-request: true';
  await using scene = await openScene(environments, { more: `  flux: { gitops: { ${gitops} } }\n` });
  const { github, holds, live, quay, say, shop, victim } = scene;
  await live.push({ 'api.yaml': 'spec:\n  image: old\n' });
  const first = await scene.commit('1');
  const second = await scene.commit('2', 'next');
  holds.behave('shop/back', 'new', 'crash');
  for (const name of ['plain', 'queue']) holds.hold(`shop/${name}`, 'new');
  holds.hold('shop/back', 'old');

  await scene.accepted(say('ada', '/lock locked an incident'));
  say(
    'bob',
    ['undo', 'queue', 'plain', 'back', 'asked', 'pressed', 'flux'].map((it) => `/deploy ${it} main`).join('\n'),
  );
  await quay.check(first, 'deploy undo', 'success');
  await quay.until('the first of the queue', () => quay.workload('queue')?.revision === 2);
  say('bob', '/deploy undo next\n/deploy queue next');
  github.people.setCheck(shop.fullName, { app: 'outside', sha: second, name: 'outside', conclusion: null });
  await shop.tag('wait');
  const standing: Standing = {
    asked: () => quay.find(first, 'deploy asked')?.conclusion === 'action_required',
    pressed: () => quay.find(first, 'deploy pressed')?.conclusion === 'action_required',
    queue: () => quay.workload('queue')?.revision === 2 && /next in line/.test(quay.title(second, 'deploy queue')),
    locked: () => /locked by/.test(quay.title(second, 'deploy locked')),
    protected: () => /`outside`/.test(quay.title(second, 'deploy protected')),
    plain: () => quay.workload('plain')?.revision === 2 && quay.pods('plain') === 3,
    back: () => quay.workload('back')?.revision === 3 && quay.workload('back')?.available === 0,
    flux: () => [...github.world.repo(live.fullName).pulls.values()].some((it) => it.state === 'open'),
  };
  await allStand(scene, standing);
  await quay.check(second, 'deploy undo', 'success');
  const undo = say('bob', '/rollback undo');
  const told = () => github.webhooks.deliveries.find((it) => it.body.includes('/rollback undo'));
  await quay.until('the delivery', () => told()?.status === 'OK');
  await victim.kill();
  expect(fallen(standing)).toEqual([]);
  await victim.start();
  await scene.accepted(undo);
  await victim.kill();
  expect(fallen(standing)).toEqual([]);
  await victim.start();

  holds.letGo();
  github.people.setCheck(shop.fullName, { app: 'outside', sha: second, name: 'outside', conclusion: 'success' });
  const pressed = quay.find(first, 'deploy pressed')?.id ?? 0;
  github.people.pressButton(shop.fullName, pressed, 'approve-deployment', 'carol');
  say('carol', '/approve asked');
  say('ada', '/unlock locked');
  await github.people.mergePullRequest(live.fullName, 1, 'ada');
  const wrong = await scene.wrong([
    ...['asked', 'pressed', 'plain'].map((it) => simple(it, first)),
    ...['locked', 'protected'].map((it) => simple(it, second)),
    { environment: 'queue', runs: second, changes: 2, deployments: [replaced(first), one(second, 'success')] },
    { environment: 'back', runs: 'before', changes: 2, deployments: [one(first, 'failure')] },
    {
      environment: 'undo',
      runs: first,
      changes: 3,
      deployments: [replaced(first), replaced(second), one(first, 'success')],
    },
    { ...simple('flux', first), runs: null },
  ]);
  expect(wrong).toEqual([]);
}, 480_000);

it('goes on with steps, blue and green, and previews', async () => {
  const environments = {
    canary: 'steps: [50%, 100%]',
    paused: 'steps: [50%, { pause: 1m }, 100%]',
    stepped: 'steps: [50%, approval, 100%]',
    checked: 'steps: [50%, { job: smoke }, 100%]',
    last: 'steps: [50%, 100%]',
    aborted: 'steps: [50%, approval, 100%]',
    green: 'blue-green: { service: shop/green, after: [approval] }',
  };
  const more = 'preview: { manifests: preview.yaml, images: { shop: image }, timeout: 5m }\n';
  await using scene = await openScene(environments, { more, files: { 'preview.yaml': preview } });
  const { github, holds, kubernetes, quay, say, shop, victim } = scene;
  kubernetes.apply(service('shop', 'green'));
  // The issue is the first number.
  const [closed, open] = [2, 3];
  for (const name of ['last', 'canary-slipway-canary']) holds.hold(`shop/${name}`, 'new');
  holds.hold('shop/aborted', 'old');
  holds.hold(`shop-pr-${open}/web`, 'new');
  const first = await scene.commit('1');
  const opened = async (branch: string): Promise<string> => {
    await scene.commit('1', branch);
    await github.people.openPullRequest(shop.fullName, { title: branch, head: branch, by: 'ada' });
    return await scene.commit(branch, branch);
  };
  const third = await opened('other');
  await quay.check(third, 'preview', 'success');
  const kept = { namespace: `shop-pr-${closed}`, name: 'kept', finalizers: ['example.com/kept'] };
  kubernetes.apply({ kind: 'ConfigMap', metadata: kept });
  await github.people.closePullRequest(shop.fullName, closed, 'ada');
  const second = await opened('next');

  const asked = ['aborted', 'canary', 'stepped', 'checked', 'last', 'green'];
  say('bob', asked.map((it) => `/deploy ${it} main`).join('\n'));
  await quay.check(first, 'deploy aborted', 'action_required');
  say('carol', '/reject aborted not this one');
  const asks = (name: string) => quay.find(first, `deploy ${name}`)?.conclusion === 'action_required';
  const beside = (name: string) => quay.workload(`${name}-slipway-canary`)?.available;
  const phase = (number: number) => kubernetes.get('namespaces', '', `shop-pr-${number}`)?.status.phase;
  const standing: Standing = {
    canary: () => beside('canary') === 0 && quay.pods('canary-slipway-canary') === 1,
    stepped: () => asks('stepped') && beside('stepped') === 1,
    checked: () => quay.find(first, 'smoke (checked, step 2)')?.status === 'in_progress' && beside('checked') === 1,
    last: () => quay.workload('last')?.revision === 2 && beside('last') === 2,
    aborted: () => quay.workload('aborted')?.replicas === 2 && quay.workload('aborted')?.available === 1,
    green: () => asks('green') && kubernetes.get('services', 'shop', 'green')?.spec.selector?.['app'] !== 'green',
    open: () => phase(open) === 'Active' && kubernetes.list('pods', `shop-pr-${open}`).length === 1,
    closed: () => phase(closed) === 'Terminating',
  };
  await allStand(scene, standing);
  // Its time runs, and GitHub is told what a step does each ten seconds: last.
  say('bob', '/deploy paused main');
  const pause = { paused: () => beside('paused') === 1 && /pause/i.test(quay.title(first, 'deploy paused')) };
  await allStand(scene, pause);
  await victim.kill();
  expect(fallen({ ...standing, ...pause })).toEqual([]);
  await victim.start();
  await victim.kill();
  expect(fallen(standing)).toEqual([]);
  await victim.start();

  holds.letGo();
  await scene.openGate();
  kubernetes.remove('configmaps', `shop-pr-${closed}`, 'kept');
  say('carol', '/approve stepped\n/approve green');
  const wrong = await scene.wrong([
    ...['canary', 'paused', 'stepped', 'checked', 'last', 'green'].map((it) => simple(it, first)),
    {
      environment: 'aborted',
      runs: 'before',
      changes: 0,
      deployments: [{ sha: first, conclusion: 'cancelled', state: 'error', stored: 'failure' }],
    },
    { environment: `preview/pr-${closed}`, runs: null, changes: 0, deployments: [replaced(third)] },
    { environment: `preview/pr-${open}`, runs: null, changes: 0, deployments: [one(second, 'success')] },
  ]);
  expect(wrong).toEqual([]);
  expect(kubernetes.get('services', 'shop', 'green')?.spec.selector).toEqual({ app: 'green' });
  expect(kubernetes.get('namespaces', '', `shop-pr-${closed}`)).toBeNull();
  expect(quay.title(third, 'preview')).toContain('Pull request #2 was closed.');
}, 480_000);

const preview = `apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  progressDeadlineSeconds: 12000
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: web, image: shop }] }
`;
