import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import type { Rule } from '#dev/kubernetes/access.ts';
import { deployment } from '#dev/kubernetes/index.ts';
import { openClusters } from '#src/adapters/kubernetes/clusters.ts';
import { rollOut } from '#src/engine/rollout.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { type Fixture, settled, startFixture, target } from './fixture.ts';

/** The least rights: the rules of the Role that docs/deployments.md gives, one after the other. */
const page = readFileSync(new URL('../../../docs/deployments.md', import.meta.url), 'utf8');
const role = page.split('kind: Role\n')[1]?.split('---')[0] ?? '';
const leastRights = (parse(`kind: Role\n${role}`) as { readonly rules: readonly Rule[] }).rules;

let fixture: Fixture;
afterEach(async () => fixture.close());
const never = new AbortController().signal;

async function roll(image: string, workload: RolloutTarget = target, timeoutMs = 20_000) {
  let lastLines = '';
  const result = await rollOut({
    items: [{ target: workload, image }],
    begun: null,
    cluster: fixture.cluster,
    clock: { now: () => Date.now() },
    timeoutMs,
    onProgress: () => {},
    onChange: async () => {},
    onLines: (lines) => {
      lastLines = lines;
    },
    signal: never,
    leave: never,
  });
  return { ...result, lastLines };
}

describe('a whole rollout', () => {
  it('ends with the old version running when the new one crashes', async () => {
    fixture = await startFixture();
    const result = await roll('r/demo:crash');
    expect(result.outcome).toMatchObject({ kind: 'failure' });
    expect(result.summary).toBe('shop/api runs r/demo:v1 again.');
    expect(result.lastLines).toContain('fatal: boom');
    expect(await fixture.cluster.inspect(target, never)).toMatchObject({
      image: 'r/demo:v1',
      updated: 2,
      available: 2,
    });
  });

  it('says why no pod can be created', async () => {
    fixture = await startFixture();
    const metadata = { name: 'pods', namespace: 'shop' };
    fixture.kubernetes.apply({ kind: 'ResourceQuota', metadata, spec: { hard: { pods: '2' } } });
    const result = await roll('r/demo:v2');
    expect(result.outcome).toHaveProperty(
      'reason',
      expect.stringMatching(/no pod can be created.*exceeded quota: pods/),
    );
  });

  it.each([400, 403, 422])('ends at once when the cluster’s own rules refuse the image with %s', async (code) => {
    fixture = await startFixture();
    fixture.kubernetes.faults.deny(code);
    const { outcome } = await roll('r/demo:v2');
    expect(outcome).toMatchObject({
      kind: 'failure',
      reason: expect.stringMatching(/doesn't let anybody patch deployment shop\/api.*images must be signed/),
    });
  });

  it('needs no more than the least rights', async () => {
    fixture = await startFixture();
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', leastRights));
    fixture = { ...fixture, cluster: fixture.reopen() };
    expect((await roll('r/demo:v2')).outcome).toEqual({ kind: 'success' });
    const failed = await roll('r/demo:crash');
    expect(failed.lastLines).toContain('fatal: boom');
  });

  it('works without seeing pods, and says so', async () => {
    fixture = await startFixture();
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', leastRights.slice(0, 1)));
    fixture = { ...fixture, cluster: fixture.reopen() };
    expect((await roll('r/demo:v2')).outcome).toEqual({ kind: 'success' });
    const failed = await roll('r/demo:missing', target, 1500);
    expect(failed.outcome).toHaveProperty('reason', expect.stringMatching(/may not read pods there/));
    expect(failed.lastLines).toBe('');
  });

  it('isn’t led astray by watches that end, break or expire', async () => {
    fixture = await startFixture();
    const rolled = roll('r/demo:slow');
    for (const how of ['end', 'break', 'end'] as const) {
      await new Promise((resolve) => {
        setTimeout(resolve, 100);
      });
      fixture.kubernetes.faults.forget();
      fixture.kubernetes.faults.endWatches(how);
    }
    expect((await rolled).outcome).toEqual({ kind: 'success' });
  });

  it.each([429, 500, 503, 409])('repeats a request that was answered with %s', async (code) => {
    fixture = await startFixture();
    fixture.kubernetes.faults.answer(code, 1);
    expect(await fixture.cluster.inspect(target, never)).toMatchObject({ name: 'api' });
    expect(fixture.logged.join('\n')).toContain('request is repeated');
  });

  it('reads the kubeconfig again when its token was rotated', async () => {
    fixture = await startFixture();
    const first = fixture.kubernetes.addUser('shop', 'slipway', leastRights);
    await fixture.useToken(first);
    const cluster = fixture.reopen();
    await cluster.inspect(target, never);
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', leastRights));
    fixture.kubernetes.revoke(first);
    expect(await cluster.inspect(target, never)).toMatchObject({ name: 'api' });
    expect(fixture.logged.join('\n')).not.toContain(first);
  });
});

describe('other workloads', () => {
  const template = (name: string) => ({
    metadata: { labels: { app: name } },
    spec: { containers: [{ name: 'api', image: 'r/demo:v1' }] },
  });

  it.each(['statefulset', 'daemonset'] as const)('rolls a %s and goes back where that is possible', async (kind) => {
    fixture = await startFixture();
    const workload = { ...target, kind, name: 'db' };
    fixture.kubernetes.apply({
      kind: kind === 'statefulset' ? 'StatefulSet' : 'DaemonSet',
      metadata: { name: 'db', namespace: 'shop' },
      spec: { replicas: 2, selector: { matchLabels: { app: 'db' } }, template: template('db') },
    });
    await settled(fixture.cluster, workload);
    expect((await roll('r/demo:v2', workload)).outcome).toEqual({ kind: 'success' });
    const failed = await roll('r/demo:missing', workload, 1000);
    expect(failed.outcome).toHaveProperty('reason', expect.stringMatching(/can't be pulled/));
    expect(failed.summary).toMatch(
      kind === 'statefulset' ? /GOING BACK FAILED.*delete it by hand/ : /runs r\/demo:v2 again/,
    );
  });

  it('tells a canary’s pods from its own', async () => {
    fixture = await startFixture();
    const { spec, ...canary } = deployment('shop', 'api-canary', 'r/demo:crash');
    const labels = { app: 'api', track: 'canary' };
    const pods = { ...spec.template, metadata: { labels } };
    fixture.kubernetes.apply({ ...canary, spec: { ...spec, selector: { matchLabels: labels }, template: pods } });
    expect((await roll('r/demo:v2')).outcome).toEqual({ kind: 'success' });
  });
});

describe('what is refused', () => {
  it('changes one container and leaves the others alone', async () => {
    fixture = await startFixture();
    const containers = [
      { name: 'api', image: 'r/demo:v1', ports: [{ containerPort: 8080 }] },
      { name: 'proxy', image: 'r/proxy:1' },
    ];
    const { spec, ...rest } = deployment('shop', 'two', 'r/demo:v1');
    fixture.kubernetes.apply({ ...rest, spec: { ...spec, template: { ...spec.template, spec: { containers } } } });
    const two = { ...target, name: 'two' };
    await settled(fixture.cluster, two);
    expect((await roll('r/demo:v2', two)).outcome).toEqual({ kind: 'success' });
    expect(fixture.kubernetes.get('deployments', 'shop', 'two')).toMatchObject({
      spec: { template: { spec: { containers: [{ ...containers[0], image: 'r/demo:v2' }, containers[1]] } } },
    });
  });

  it.each<[string, Partial<RolloutTarget>]>([
    ['a namespace', { namespace: '..' }],
    ['a namespace', { namespace: 'a/b' }],
    ['a deployment', { name: '../../secrets/x' }],
    ['a deployment', { name: 'api?dryRun=All' }],
  ])('never puts what isn’t the name of %s into a path', async (what, change) => {
    fixture = await startFixture();
    await expect(fixture.cluster.inspect({ ...target, ...change }, never)).rejects.toThrow(`is no name of ${what}`);
  });

  it('takes no image with a space', async () => {
    fixture = await startFixture();
    const asked = fixture.cluster.setImages(target, { api: ' r/demo:v2' }, never);
    await expect(asked).rejects.toBeInstanceOf(UserError);
  });

  it('explains missing rights', async () => {
    fixture = await startFixture();
    await fixture.useToken(fixture.kubernetes.addUser('shop', 'slipway', []));
    const asked = fixture.reopen().inspect(target, never);
    await expect(asked).rejects.toThrow(/may not get deployment shop\/api.*may be misspelt.*lacks the right/);
    await expect(asked).rejects.toBeInstanceOf(UserError);
  });

  it.each<[string, (text: string) => string, RegExp]>([
    [
      'a token that isn’t valid',
      (text) => text.replace(/token: .*/, 'token: "wrong" }'),
      /refused Slipway's credentials/,
    ],
    ['no credentials', (text) => text.replace(/user: \{ token.*/, 'user: {}'), /no credentials/],
    ['no encryption', (text) => text.replace('true', 'false'), /isn't encrypted/],
    ['no current context', (text) => text.replace(/current-context: .*/, ''), /no current cluster/],
    ['text that isn’t YAML', () => '{', /can't be read/],
  ])('explains a kubeconfig with %s', async (_name, change, text) => {
    fixture = await startFixture();
    await fixture.useKubeconfig(change(fixture.kubernetes.kubeconfig()));
    const asked = fixture.reopen().inspect(target, never);
    await expect(asked).rejects.toThrow(text);
    await expect(asked).rejects.toBeInstanceOf(PlatformError);
  });

  it('names the contexts and clusters that there are', async () => {
    fixture = await startFixture();
    await expect(fixture.reopen('other').inspect(target, never)).rejects.toThrow(/no context other; it has stand-in/);
    const elsewhere = { ...target, cluster: 'eu' };
    await expect(fixture.cluster.inspect(elsewhere, never)).rejects.toThrow(/no cluster eu.*default/);
    const none = openClusters({ clusters: new Map(), logger: { info: () => {} } });
    await expect(none.inspect(target, never)).rejects.toThrow(/KUBECONFIG/);
  });

  it('gives up waiting for a server that is gone when the signal says so', async () => {
    fixture = await startFixture();
    await fixture.kubernetes.close();
    const asked = fixture.cluster.inspect(target, AbortSignal.timeout(300));
    await expect(asked).rejects.toHaveProperty('name', 'TimeoutError');
  });

  it('says that a workload was deleted meanwhile', async () => {
    fixture = await startFixture();
    const rolled = roll('r/demo:slow');
    setTimeout(() => fixture.kubernetes.remove('deployments', 'shop', 'api'), 150);
    expect((await rolled).outcome).toHaveProperty('reason', expect.stringMatching(/was deleted during the rollout/));
  });
});
