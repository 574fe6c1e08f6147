import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { deployment } from '#dev/kubernetes/index.ts';
import { UserError } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import { type Deploying, startDeploying } from './deploying.ts';
import { settled, target } from './fixture.ts';

/** Whole deployments: the engine, its store, the real adapter, and a cluster that behaves as recorded. */

let open: Deploying | null = null;
const home = mkdtempSync(join(tmpdir(), 'slipway-deploying-'));
afterEach(async () => {
  await open?.close();
  open = null;
  rmSync(home, { recursive: true, force: true });
});

async function start(...args: Parameters<typeof startDeploying> extends [string, ...infer R] ? R : never) {
  open = await startDeploying(home, ...args);
  return open;
}

async function running({ cluster }: Deploying): Promise<string> {
  return (await cluster.inspect(target, new AbortController().signal)).image;
}

/** Applies the usual Deployment with another spec, and waits for it. */
async function given(s: Deploying, spec: Record<string, unknown>): Promise<void> {
  s.kubernetes.remove('deployments', 'shop', 'api');
  s.kubernetes.apply(deployment('shop', 'api', 'r/demo:v1', spec));
  if (spec['replicas'] !== 0 && spec['paused'] !== true) await settled(s.cluster, target);
}

const quota = (s: Deploying) =>
  s.kubernetes.apply({
    kind: 'ResourceQuota',
    metadata: { name: 'pods', namespace: 'shop' },
    spec: { hard: { pods: '2' } },
  });

describe('a deployment ends as the recordings have it', () => {
  it.each<
    [name: string, tag: string, setUp: (s: Deploying) => Promise<void>, kind: string, text: RegExp, runs: string]
  >([
    ['a good version', 'v2', async () => {}, 'success', /Deployed cccccccc/, 'v2'],
    ['paused', 'v2', (s) => given(s, { paused: true }), 'failure', /is paused, so nothing would roll/, 'v1'],
    [
      'no replicas',
      'v2',
      (s) => given(s, { replicas: 0 }),
      'success',
      /Deployed c+\S*, but not verified: shop\/api has 0 replicas$/,
      'v2',
    ],
    ['no replicas, and no image', 'missing', (s) => given(s, { replicas: 0 }), 'success', /Deployed/, 'missing'],
    ['a quota', 'v2', async (s) => quota(s), 'failure', /no pod can be created.*exceeded quota.*v1 again\.$/, 'v1'],
    [
      'a quota on a version that ran before',
      'v2',
      async (s) => {
        await s.deploy('v2');
        await s.deploy('v1');
        quota(s);
      },
      'failure',
      /no pod can be created.*exceeded quota.*v1 again\.$/,
      'v1',
    ],
    [
      'an image that isn’t there',
      'missing',
      async () => {},
      'failure',
      /can't be pulled.*not found.*v1 again\.$/,
      'v1',
    ],
    ['a crash loop', 'crash', async () => {}, 'failure', /exits with code 1.*v1 again\.$/, 'v1'],
    ['never ready', 'notready', async () => {}, 'failure', /never becomes ready.*404.*v1 again\.$/, 'v1'],
    [
      'slow, past the cluster’s deadline',
      'slow',
      (s) => given(s, { progressDeadlineSeconds: 10 }),
      'success',
      /Deployed/,
      'slow',
    ],
    [
      'watches that end, and expire',
      'slow',
      async (s) => {
        for (const at of [2000, 5000, 9000]) {
          s.kubernetes.faults.after(at, () => {
            s.kubernetes.faults.forget();
            s.kubernetes.faults.endWatches('end');
          });
        }
      },
      'success',
      /Deployed/,
      'slow',
    ],
    ['conflicts', 'v2', async (s) => s.kubernetes.faults.answer(409, 2), 'success', /Deployed/, 'v2'],
  ])('%s', async (_name, tag, setUp, kind, text, runs) => {
    const s = await start();
    await setUp(s);
    const { outcome, record } = await s.deploy(tag);
    expect({ kind: outcome.kind, said: record.description, runs: await running(s) }).toEqual({
      kind,
      said: expect.stringMatching(text) as unknown,
      runs: `r/demo:${runs}`,
    });
    expect(record.state).toBe(kind === 'success' ? 'success' : 'failure');
  });

  it('with rights on one name only', async () => {
    const s = await start();
    const rules = [
      {
        apiGroups: ['apps'],
        resources: ['deployments'],
        resourceNames: ['api'],
        verbs: ['get', 'list', 'watch', 'patch'],
      },
    ];
    await s.useToken(s.kubernetes.addUser('shop', 'slipway', rules));
    Object.assign(s.parts, { cluster: s.reopen() });
    expect((await s.deploy('v2')).outcome).toEqual({ kind: 'success' });
    const failed = await s.deploy('missing');
    expect(failed.record.description).toMatch(/may not read pods there.*v2 again\.$/);
    const elsewhere = await s.deploy('v2', { rollout: [{ ...target, name: 'web' }] });
    expect(elsewhere.record.description).toMatch(/may not get deployment shop\/web.*\(403\).*may be misspelt/);
  });

  it('with a container that isn’t there', async () => {
    const s = await start();
    const { outcome, record } = await s.deploy('v2', { rollout: [{ ...target, container: 'app' }] });
    expect(outcome).toEqual({ kind: 'failure', reason: 'deployment shop/api has no container app; it has api.' });
    expect(record.changes).toEqual([]);
  });
});

describe('what a failed deployment shows', () => {
  it('is the reason, the events that matter and the last lines', async () => {
    const s = await start();
    const { report, log, record } = await s.deploy('crash', { stableSeconds: 1 });
    expect(report).toContain('| `shop/api` | `api` | `demo:v1` → `demo:crash` |');
    expect(report).toContain('| went back |');
    expect(report).toMatch(
      /\*\*What the cluster says of `shop\/api`\*\*\n\n- BackOff: Back-off restarting failed container api.*/,
    );
    expect(report).toMatch(
      /\*\*Last lines of the failing container of `shop\/api`\*\*\n\n```text\n.*\nfatal: boom\n```/,
    );
    expect(log).toContain('Last lines of the failing container of shop/api:\ndemo version=crash');
    expect(log).toContain('What the cluster says of shop/api:\nBackOff');
    expect(record.changes).toMatchObject([
      {
        workload: 'shop/api',
        container: 'api',
        kind: 'deployment',
        cluster: null,
        before: 'r/demo:v1',
        after: 'r/demo:crash',
      },
    ]);
    const [job] = (await s.parts.store.runs.view(record.runId))?.jobs ?? [];
    expect(job?.report).toBe(report);
  });

  it('never holds a secret', async () => {
    const s = await start();
    const { parts } = s;
    const { cluster } = parts;
    const leaky = {
      ...cluster,
      lastLines: async () => 'password hunter2-hunter2',
      events: async () => ['Failed: hunter2-hunter2'],
    };
    Object.assign(parts, { cluster: leaky });
    const { report, log } = await s.deploy('crash');
    expect(`${report}${log}`).not.toContain('hunter2-hunter2');
    Object.assign(parts, {
      cluster: { ...cluster, setImages: () => Promise.reject(new UserError('No hunter2-hunter2.')) },
    });
    const { record, outcome } = await s.deploy('v2');
    expect(JSON.stringify([record, outcome])).toContain('No ***.');
    expect(JSON.stringify([record, outcome])).not.toContain('hunter2-hunter2');
    expect(report).toContain('password ***');
  });
});

describe('what a deployment remembers', () => {
  it('is all that restores it, and who replaced it', async () => {
    const s = await start();
    const rules = { allow: { permission: 'maintain', people: ['ada'], teams: [] } } as unknown as DeployWork['rules'];
    const first = await s.deploy(
      'v2',
      { url: 'https://shop.example', ...(rules ? { rules } : {}) },
      { tag: 'v1.0', params: { a: 'b' } },
    );
    expect(first.record).toMatchObject({
      state: 'success',
      actor: 'ada',
      sha: first.sha,
      details: {
        mode: 'deploy',
        title: 'Change 1',
        branch: 'main',
        tag: 'v1.0',
        number: 7,
        url: 'https://shop.example',
        rollout: [target],
        images: { image: 'r/demo:v2' },
        allow: { people: ['ada'] },
        params: { a: 'b' },
        healthyAt: expect.any(Number) as unknown,
      },
    });
    const second = await s.deploy('v3');
    const { deployments, audit } = s.parts.store;
    expect(await deployments.get(first.record.id)).toMatchObject({ state: 'inactive' });
    const back = await s.deploy('v2', { mode: 'rollback', images: { image: 'r/demo:v2' }, restores: first.record.id });
    expect(await running(s)).toBe('r/demo:v2');
    expect(back.record).toMatchObject({
      state: 'success',
      description: expect.stringMatching(/^Rolled back to /) as unknown,
      details: { mode: 'rollback', restores: first.record.id, images: { image: 'r/demo:v2' } },
    });
    expect(await deployments.get(second.record.id)).toMatchObject({ state: 'inactive', details: { rolledBack: true } });
    const [entry] = await audit.list('acme/shop', 1);
    expect(entry).toMatchObject({
      actor: 'ada',
      action: 'rollback',
      decision: 'allowed',
      subject: expect.stringContaining(`production ${back.sha} r/demo:v2`) as unknown,
      reason: `by command refs/heads/main, restoring deployment ${first.record.id}`,
    });
  });

  it.each([
    ['canary', 'success', '', 2],
    ['green', 'broken', 'a Service may lead to it', 1],
  ] as const)('of a rollback doesn’t leave a %s of what ran', async (kind, outcome, reason, replicas) => {
    const s = await start();
    const { record } = await s.deploy('v2');
    await s.deploy('v3');
    const never = new AbortController().signal;
    const name = `api-slipway-${kind}`;
    await s.canaries().place(target, { name, images: { api: 'r/demo:v3' }, replicas: 1, labels: null }, never);
    await s.canaries().scale(target, 'api', 1, never);
    const back = await s.deploy('v2', { mode: 'rollback', images: { image: 'r/demo:v2' }, restores: record.id });
    expect(back.outcome.kind).toBe(outcome);
    expect(JSON.stringify(back.outcome)).toContain(reason);
    expect(await running(s)).toBe('r/demo:v2');
    expect(s.kubernetes.get('deployments', 'shop', name) === null).toBe(kind === 'canary');
    expect(s.kubernetes.get('deployments', 'shop', 'api')).toHaveProperty('spec.replicas', replicas);
  });

  it('is what it goes back to when what ran was broken, by container', async () => {
    const s = await start();
    await s.deploy('v2');
    // Somebody sets what never becomes ready, by hand.
    await s.cluster.setImages(target, { api: 'r/demo:notready' }, new AbortController().signal);
    const { record } = await s.deploy('crash');
    expect(record.description).toMatch(/shop\/api runs r\/demo:v2 again\.$/);
    expect(await running(s)).toBe('r/demo:v2');
  });

  it('is enough to roll back within a second of the claim', async () => {
    const s = await start();
    const { record } = await s.deploy('v2');
    await s.deploy('v3');
    const back = await s.deploy('v2', { mode: 'rollback', images: { image: 'r/demo:v2' }, restores: record.id });
    expect(back.outcome).toEqual({ kind: 'success' });
    expect(back.claimToPatchMs).toBeGreaterThan(0);
    expect(back.claimToPatchMs).toBeLessThan(1000);
  });
});

describe('a deployment is refused', () => {
  it.each<[string, Partial<DeployWork>, RegExp]>([
    ['where the operator says no', {}, /^Not there\.$/],
    ['with digests that don’t fit', { images: { other: 'r/demo:v2' } }, /has none of the job "image"/],
  ])('%s, at the last moment', async (name, change, text) => {
    const s = await start(name.startsWith('where') ? { policy: { refuseRollout: () => 'Not there.' } } : {});
    const { record } = await s.deploy('v2', change);
    expect(record).toMatchObject({
      state: 'failure',
      description: expect.stringMatching(text) as unknown,
      changes: [],
    });
    expect(await running(s)).toBe('r/demo:v1');
    expect(await s.parts.store.audit.list('acme/shop', 9)).toMatchObject([{ action: 'deploy', decision: 'refused' }]);
  });

  it('without an image of the commit', async () => {
    const s = await start();
    const { record } = await s.deploy('v2', { rollout: [{ ...target, image: 'other' }] });
    expect(record.description).toMatch(/No image is recorded for the job "other" and commit cccc/);
  });
});
