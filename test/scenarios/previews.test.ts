import { describe, expect, it } from '@jest/globals';
import { fakeTrouble } from '#src/adapters/fake/cluster.ts';
import { createFakePreviews } from '#src/adapters/fake/previews.ts';
import type { PullRequest } from '#src/engine/ports-forge.ts';
import type { PreviewRule } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RunView } from '#src/model/run.ts';
import { outcomes, pullRequest, repository, type ScenarioOptions, scenario, trigger } from './world.ts';

const pipeline = `
jobs:
  image: { build: { image: registry.example/acme/shop } }
preview:
  manifests: k8s/preview
  images: { ghcr.io/acme/shop: image }
  url: https://shop-pr-\${{ event.number }}.example.com
  keep: 2d
`;
const api = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: api }
spec: { selector: { matchLabels: { app: api } }, template: { metadata: { labels: { app: api } }, spec: { containers: [{ name: api, image: "ghcr.io/acme/shop:dev" }] } } }
`;
const service = 'apiVersion: v1\nkind: Service\nmetadata: { name: api }\nspec: { ports: [{ port: 80 }] }\n';
const files = {
  'slipway.yml': pipeline,
  'k8s/preview/api.yaml': api,
  'k8s/preview/service.yaml': service,
  'k8s/preview/deep/no.yaml': 'no',
};

const pull: PullRequest = {
  number: 3,
  state: 'open',
  title: 'A change',
  sha: 'b2',
  branch: 'feature',
  base: 'main',
  fork: false,
  author: 'ada',
};
const rule: PreviewRule = {
  cluster: null,
  prefix: 'shop-pr',
  max: 2,
  quota: { pods: '20' },
  limits: {},
  kinds: ['Deployment', 'Service'],
};

/** Workloads take up what is applied at once, and are healthy unless `troubles` says otherwise. */
async function world(change: Partial<ScenarioOptions> & { readonly crashes?: boolean; readonly never?: boolean } = {}) {
  const { crashes = false, never = false, ...more } = change;
  let taken = (_name: string, _image: string): void => {};
  const previews = createFakePreviews({
    onApply: ({ namespace, name }, image) => taken(`${namespace}/${name}`, image),
  });
  const s = await scenario({
    commits: { a1: files, b2: files, c3: { ...files, 'k8s/preview/service.yaml': '# nothing\n' } },
    refs: { 'refs/heads/main': 'a1' },
    forge: { pullRequests: [pull, { ...pull, number: 4 }, { ...pull, number: 5 }] },
    cluster: {
      workloads: [3, 4, 5].map((n) => ({ name: `shop-pr-${n}/api`, containers: ['api'] })),
      behave: () => [],
      sleep: async () => {},
      log: 'no database\n',
    },
    policy: { previews: () => rule },
    parts: { previews },
    ...more,
  });
  taken = (name, image) => {
    const crash = {
      available: 0,
      troubles: [fakeTrouble({ kind: 'crash', reason: 'CrashLoopBackOff', container: 'api' })],
      conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: '' }],
    };
    s.cluster.change(name, { image, ...(never ? { available: 0 } : crashes ? crash : { available: 2, troubles: [] }) });
  };
  const record = async (n = 3) => (await s.store.deployments.list(repository.id, `preview/pr-${n}`, 1))[0];
  const gone = async (n = 3) => {
    for (let tries = 0; tries < 1000 && (await record(n))?.details.preview?.removedAt === undefined; tries += 1)
      await new Promise((resolve) => setImmediate(resolve));
    return record(n);
  };
  const close = async () => {
    s.forge.setPullRequest({ ...pull, state: 'closed' });
    return s.engine.intake({ kind: 'pull_request_closed', repository, number: 3 });
  };
  return { ...s, previews, record, gone, closePull: close };
}

const of = (view: RunView) => outcomes(view)['preview'];

describe('a pull request', () => {
  it('gets a preview, which follows its pushes and goes when it is closed', async () => {
    const s = await world();
    const view = await s.play(trigger(pullRequest('b2')));
    expect(of(view)).toBe('success');
    const built = s.builder.requests[0];
    expect(built?.tags).toEqual(['b2']);
    expect(s.previews.standing.get('shop-pr-3')).toEqual([
      expect.stringMatching(/^Service api$/),
      expect.stringMatching(/^Deployment api=registry\.example\/acme\/shop@sha256:/),
    ]);
    const first = await s.record();
    expect(first).toMatchObject({
      state: 'success',
      details: {
        mode: 'preview',
        number: 3,
        url: 'https://shop-pr-3.example.com',
        preview: { namespace: 'shop-pr-3', number: 3 },
        rollout: [{ name: 'api' }],
      },
    });
    expect((first?.details.preview?.expiresAt ?? 0) - Date.now()).toBeGreaterThan(47 * 3_600_000);
    expect(await s.store.deployments.environments(repository.id)).toEqual(['preview/pr-3']);

    const pushed = await s.play(trigger(pullRequest('c3')));
    expect(of(pushed)).toBe('success');
    expect(s.previews.standing.get('shop-pr-3')).toEqual([expect.stringMatching(/^Deployment api=/)]);
    expect((await s.store.deployments.get(first?.id ?? ''))?.state).toBe('inactive');

    await s.closePull();
    expect(await s.gone()).toMatchObject({ state: 'inactive', description: 'Removed. Pull request #3 was closed.' });
    expect(s.previews.standing.size).toBe(0);
    expect(await s.store.deployments.previews()).toEqual([]);
    const audit = await s.store.audit.list('acme/shop', 10);
    expect(audit.map((it) => [it.action, it.decision])).toEqual([
      ['remove preview', 'allowed'],
      ['preview', 'allowed'],
      ['preview', 'allowed'],
    ]);
  });

  it('gets it again when it is opened again', async () => {
    const s = await world();
    const view = await s.play(trigger(pullRequest('b2')));
    await s.closePull();
    await s.gone();
    s.forge.setPullRequest(pull);
    expect(await s.engine.intake(trigger(pullRequest('b2')))).toMatch(/Starts over: preview/);
    await s.engine.completed(view.run.id);
    expect(s.previews.standing.has('shop-pr-3')).toBe(true);
    expect(await s.record()).toMatchObject({ state: 'success', details: { preview: { namespace: 'shop-pr-3' } } });
    expect((await s.record())?.details.preview?.removedAt).toBeUndefined();
  });

  it('that is closed meanwhile leaves nothing behind', async () => {
    const s = await world();
    s.forge.setPullRequest({ ...pull, state: 'closed' });
    const view = await s.play(trigger(pullRequest('b2')));
    expect(of(view)).toBe('skipped: Pull request #3 is closed.');
    expect(s.previews.calls).toEqual([]);
  });

  it('that is closed while its preview is on its way gets it removed', async () => {
    const s = await world({ never: true });
    const said = await s.engine.intake(trigger(pullRequest('b2')));
    while (s.previews.standing.size === 0) await new Promise((resolve) => setImmediate(resolve));
    await s.closePull();
    await s.engine.completed(/run (\w+)/i.exec(said)?.[1] ?? '');
    expect(await s.gone()).toMatchObject({ state: 'failure' });
    expect(s.previews.standing.size).toBe(0);
  });

  it('of a stranger gets none', async () => {
    const s = await world();
    const view = await s.play(trigger(pullRequest('b2', { fork: true, ref: 'refs/pull/3/head' })));
    expect(of(view)).toBeUndefined();
    expect(s.previews.calls).toEqual([]);
  });
});

describe('a preview that fails', () => {
  it('shows why and stays, and goes with its pull request', async () => {
    const s = await world({ crashes: true });
    const view = await s.play(trigger(pullRequest('b2')));
    expect(of(view)).toMatch(/^failure: shop-pr-3\/api: .*crash/i);
    const job = view.jobs.find((it) => it.plan.key === 'preview');
    expect(job?.report).toContain('shop-pr-3/api');
    expect(job && (await s.logOf(job))).toContain('no database');
    expect(s.previews.standing.has('shop-pr-3')).toBe(true);
    await s.closePull();
    expect(await s.gone()).toMatchObject({ state: 'failure' });
    expect(s.previews.standing.size).toBe(0);
  });

  it.each<[string, Partial<ScenarioOptions>, RegExp]>([
    [
      'the operator allows none',
      { policy: { previews: () => null } },
      /^failure: acme\/shop may have no previews: .*previews: \{ prefix: shop-pr \} to repositories: acme\/shop/,
    ],
    [
      'its manifests reach out',
      {
        commits: {
          a1: files,
          b2: { ...files, 'k8s/preview/api.yaml': api.replace('containers:', 'hostNetwork: true, containers:') },
        },
      },
      /^failure: The manifests can't be a preview:\nk8s\/preview\/api\.yaml \(Deployment api\): spec\.template\.spec\.hostNetwork/,
    ],
    [
      'its folder is empty',
      { commits: { a1: files, b2: { 'slipway.yml': pipeline } } },
      /^failure: The folder k8s\/preview holds no YAML or JSON file at the commit b2/,
    ],
  ])('because %s leaves no namespace', async (_name, change, reason) => {
    const s = await world(change);
    expect(of(await s.play(trigger(pullRequest('b2'))))).toMatch(reason);
    expect(s.previews.calls).toEqual([]);
    expect(await s.store.deployments.previews()).toEqual([]);
  });

  it('because there are as many as may be names them, and gives its place back', async () => {
    const s = await world();
    for (const number of [3, 4])
      await s.play(trigger(pullRequest('b2', { number, branch: `f${number}`, ref: `refs/heads/f${number}` })));
    const view = await s.play(trigger(pullRequest('c3', { number: 5, branch: 'f5', ref: 'refs/heads/f5' })));
    expect(of(view)).toMatch(
      /^failure: There are 2 previews of acme\/shop already \(#4 and #3\), and at most 2 may be/,
    );
    expect((await s.store.deployments.previews()).map((it) => it.environment)).toEqual([
      'preview/pr-4',
      'preview/pr-3',
    ]);
  });

  it('because of the cluster is the user’s mistake or the platform’s, as that says', async () => {
    const s = await world();
    s.previews.failure = new UserError('Deployment api is wrong.');
    expect(of(await s.play(trigger(pullRequest('b2'))))).toBe('failure: Deployment api is wrong.');
    s.previews.failure = new PlatformError('No rights.', { retry: 'never' });
    expect(of(await s.play(trigger(pullRequest('c3'))))).toBe('broken: No rights.');
  });
});

describe('the time of a preview', () => {
  it('ends, also if nobody closes the pull request', async () => {
    const s = await world();
    await s.play(trigger(pullRequest('b2')));
    await s.engine.tidy();
    expect(s.previews.standing.size).toBe(1);
    const record = await s.record();
    if (!record?.details.preview) throw new Error('There is no preview.');
    await s.store.deployments.save({
      ...record,
      details: { ...record.details, preview: { ...record.details.preview, expiresAt: Date.now() - 1 } },
    });
    await s.engine.tidy();
    expect(s.previews.standing.size).toBe(0);
    expect(await s.record()).toMatchObject({ state: 'inactive', description: 'Removed. Its time was over.' });
  });

  it('a removal that fails is audited once and tried again', async () => {
    const s = await world();
    await s.play(trigger(pullRequest('b2')));
    s.previews.failure = new PlatformError('The namespace is still there.');
    await s.closePull();
    for (let round = 0; round < 3; round += 1) await s.engine.tidy();
    expect(await s.record()).toMatchObject({ state: 'success' });
    s.previews.failure = null;
    await s.engine.tidy();
    expect(await s.record()).toMatchObject({ state: 'inactive' });
    const removals = (await s.store.audit.list('acme/shop', 20)).filter((it) => it.action === 'remove preview');
    expect(removals.map((it) => it.decision)).toEqual(['allowed', 'refused']);
  });

  it('a namespace that is somebody else’s by now is left alone, once and for all', async () => {
    const s = await world();
    await s.play(trigger(pullRequest('b2')));
    s.previews.failure = new UserError('It is not the preview of acme/shop#3.');
    await s.closePull();
    expect(await s.gone()).toMatchObject({
      state: 'inactive',
      description: 'Not removed: It is not the preview of acme/shop#3.',
    });
    const calls = s.previews.calls.length;
    await s.engine.tidy();
    expect(s.previews.calls).toHaveLength(calls);
  });
});
