import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { rollOut } from '#src/engine/rollout.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { type Fixture, startFixture, target } from './fixture.ts';

let fixture: Fixture;
afterEach(async () => fixture.close());
const never = new AbortController().signal;

/** Rolls to an image, while at each sentence of progress something may go wrong. */
async function roll(image: string, options: { timeoutMs?: number; onProgress?: (message: string) => void } = {}) {
  const progress: string[] = [];
  const result = await rollOut({
    items: [{ target, image }],
    begun: null,
    cluster: fixture.cluster,
    clock: { now: () => Date.now() },
    timeoutMs: options.timeoutMs ?? 20_000,
    onProgress: (message) => {
      progress.push(message);
      options.onProgress?.(message);
    },
    onChange: async () => {},
    onLines: () => {},
    signal: never,
    leave: never,
  });
  return { ...result, progress };
}

/** Does it when the first sentence that matches comes, once. */
function once(pattern: RegExp, act: () => void): (message: string) => void {
  let done = false;
  return (message) => {
    if (done || !pattern.test(message)) return;
    done = true;
    act();
  };
}

describe('an API server that is away', () => {
  it.each([
    ['at the patch', /setting the image/],
    ['while it rolls', /updated/],
  ])('%s is waited for and told', async (_name, when) => {
    fixture = await startFixture();
    const { faults } = fixture.kubernetes;
    const away = once(when, () => faults.away(true));
    const back = once(/still trying/, () => faults.away(false));
    const result = await roll('r/demo:slow', {
      onProgress: (message) => {
        away(message);
        back(message);
      },
    });
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.progress.join('\n')).toContain("shop/api: the Kubernetes API doesn't answer; still trying.");
  });

  it('to the end is the platform’s failure, and what is said of going back is honest', async () => {
    fixture = await startFixture();
    const { faults } = fixture.kubernetes;
    const result = await roll('r/demo:slow', { timeoutMs: 2000, onProgress: once(/updated/, () => faults.away(true)) });
    expect(result.outcome).toMatchObject({
      kind: 'broken',
      reason: expect.stringMatching(/unknown how the rollout went.*GOING BACK FAILED.*unknown what it runs/) as unknown,
    });
  });

  it.each(['hang', 'reset'] as const)('answers in the end after a %s', async (what) => {
    fixture = await startFixture();
    fixture.kubernetes.faults.next(what, 1);
    expect(await fixture.cluster.inspect(target, never)).toMatchObject({ name: 'api' });
    expect(fixture.logged.join('\n')).toContain('request is repeated');
  });
});

describe('a watch', () => {
  it.each(['silenceWatches', 'garbleWatches', 'repeatWatches'] as const)('is not trusted when %s', async (fault) => {
    fixture = await startFixture();
    const { faults } = fixture.kubernetes;
    const result = await roll('r/demo:slow', { onProgress: once(/updated/, () => faults[fault]()) });
    expect(result.outcome).toEqual({ kind: 'success' });
  });

  it('never shows an older state after a newer one', async () => {
    fixture = await startFixture();
    await fixture.cluster.setImages(target, { api: 'r/demo:v2' }, never);
    const stop = AbortSignal.timeout(10_000);
    const seen: number[] = [];
    for await (const state of fixture.cluster.observe(target, stop)) {
      seen.push(state.generation);
      fixture.kubernetes.faults.repeatWatches();
      if (state.updated === 2 && state.available === 2 && state.replicas === 2) break;
    }
    expect(stop.aborted).toBe(false);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  });
});

it('keeps the pause that the server asks for', async () => {
  fixture = await startFixture();
  fixture.kubernetes.faults.answer(429, 1);
  const began = performance.now();
  await fixture.cluster.inspect(target, never);
  expect(performance.now() - began).toBeGreaterThan(950);
});

describe('credentials that rotate', () => {
  it('come from the plugin again, once for all that were refused', async () => {
    fixture = await startFixture();
    const folder = await mkdtemp(join(tmpdir(), 'slipway-plugin-'));
    try {
      const { kubernetes } = fixture;
      const rules = [{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['get', 'list', 'watch'] }];
      const first = kubernetes.addUser('shop', 'first', rules);
      const second = kubernetes.addUser('shop', 'second', rules);
      const plugin = join(folder, 'plugin.sh');
      const give = (token: string) =>
        writeFile(
          join(folder, 'answer'),
          JSON.stringify({
            apiVersion: 'client.authentication.k8s.io/v1',
            kind: 'ExecCredential',
            status: { token },
          }),
        );
      await give(first);
      await writeFile(plugin, `#!/bin/sh\necho x >> ${folder}/calls\ncat ${folder}/answer\n`);
      await chmod(plugin, 0o755);
      const user = `{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ${plugin}, interactiveMode: Never } }`;
      await fixture.useKubeconfig(kubernetes.kubeconfig().replace(/user: \{ token.*/, `user: ${user}`));
      const cluster = fixture.reopen();
      await cluster.inspect(target, never);
      await give(second);
      kubernetes.revoke(first);
      await Promise.all(Array.from({ length: 8 }, () => cluster.inspect(target, never)));
      const renewals = fixture.logged.filter((it) => it.includes('reading the kubeconfig again'));
      expect(renewals).toHaveLength(1);
      kubernetes.revoke(second);
      await expect(cluster.inspect(target, never)).rejects.toThrow(/refused Slipway's credentials \(401\)/);
      expect(fixture.logged.filter((it) => it.includes('reading the kubeconfig again'))).toHaveLength(2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('are named when the plugin fails or hangs', async () => {
    fixture = await startFixture();
    const text = fixture.kubernetes.kubeconfig();
    for (const command of ['/nowhere/plugin', '/bin/sleep, args: ["2"]']) {
      const user = `{ exec: { apiVersion: client.authentication.k8s.io/v1, command: ${command} } }`;
      await fixture.useKubeconfig(text.replace(/user: \{ token.*/, `user: ${user}`));
      const asked = fixture.reopen().inspect(target, never);
      await expect(asked).rejects.toBeInstanceOf(PlatformError);
      await expect(asked).rejects.toThrow(/gets no credentials for cluster default/);
    }
  });
});

it('says of an address that nobody serves what it is', async () => {
  fixture = await startFixture();
  await fixture.useKubeconfig(fixture.kubernetes.kubeconfig().replace(/http:[^"]+/, 'https://nowhere.invalid:6443'));
  const asked = fixture.reopen().inspect(target, never);
  await expect(asked).rejects.toThrow(/can't be reached \((ENOTFOUND|EAI_AGAIN)/);
});
