import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { openClusters } from '#src/adapters/kubernetes/clusters.ts';
import { explained, StatusError } from '#src/adapters/kubernetes/errors.ts';
import type { Cluster } from '#src/engine/ports.ts';
import { type RolloutItem, rollOut } from '#src/engine/rollout.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { kubeconfigFor, recording, type Replay, startReplay } from './replay.ts';

/** The real adapter and the real rollout on what a real v1.32 cluster told, fifty times as fast. */

const demo = (tag: string) => `127.0.0.1:5055/demo:${tag}`;
const nobody = { kind: 'deployment', cluster: null, container: 'api', image: 'image' } as const;
const never = new AbortController().signal;
const open: { replay: Replay; folder: string }[] = [];
afterEach(async () => {
  for (const { replay, folder } of open.splice(0)) {
    await replay.close();
    await rm(folder, { recursive: true, force: true });
  }
});

async function replayOf(scenario: string, scale?: number) {
  const replay = await startReplay(recording(scenario).steps, scale);
  const folder = await mkdtemp(join(tmpdir(), 'slipway-replay-'));
  open.push({ replay, folder });
  const path = join(folder, 'kubeconfig');
  await writeFile(path, kubeconfigFor(replay.url));
  const logged: string[] = [];
  const cluster = openClusters({
    clusters: new Map([['default', { kubeconfig: path, context: null }]]),
    patience: { outageMs: 3000, answerMs: 1000, silenceMs: 3000 },
    logger: { info: (fields, message) => void logged.push(`${message} ${JSON.stringify(fields)}`) },
  });
  const target: RolloutTarget = { ...nobody, namespace: replay.namespace, name: 'api' };
  const patches = () => replay.requests.filter(({ line }) => line.startsWith('PATCH'));
  return { replay, cluster, target, logged, patches };
}

async function roll(cluster: Cluster, items: readonly RolloutItem[], timeoutMs: number, stableMs = 0) {
  const progress: string[] = [];
  const events: string[] = [];
  const result = await rollOut({
    items,
    begun: null,
    cluster,
    clock: { now: () => Date.now() },
    timeoutMs,
    stableMs,
    onProgress: (message) => progress.push(message),
    onChange: async () => {},
    onLines: () => {},
    onEvents: (texts) => events.push(...texts),
    signal: never,
    leave: never,
  });
  return { ...result, progress, events };
}

describe('a recorded rollout', () => {
  it.each<[scenario: string, image: string, timeoutMs: number, outcome: string, text: RegExp, images: string[]]>([
    ['rollout-success', 'v2', 20_000, 'success', /2 of 2 updated and available/, ['v2']],
    ['image-pull-backoff', 'missing', 3000, 'failure', /can't be pulled.* runs \S+demo:v1 again\.$/, ['missing', 'v1']],
    ['crash-loop', 'crash', 3000, 'failure', /exits with code 1.*GOING BACK FAILED/, ['crash', 'v1']],
    ['never-ready', 'notready', 1500, 'failure', /never becomes ready.*GOING BACK FAILED/, ['notready', 'v1']],
    ['slow-flips-deadline', 'slow', 20_000, 'success', /2 of 2 updated and available/, ['slow']],
    ['quota-failed-create', 'v2', 3000, 'failure', /no pod can be created.*exceeded quota/, ['v2', 'v1']],
    ['quota-known-replicaset', 'v1', 2000, 'failure', /no pod can be created.*exceeded quota/, ['v1', 'v2']],
    ['paused-deployment', 'v2', 3000, 'failure', /is paused, so nothing would roll.*kubectl rollout resume/, []],
    ['zero-replicas', 'v2', 3000, 'success', /set, but not verified: 0 replicas/, ['v2']],
    ['rollback-to-previous', 'v2', 20_000, 'success', /2 of 2 updated and available/, ['v2']],
    ['same-image', 'v1', 3000, 'success', /2 of 2 updated and available/, []],
    ['undo-twice', 'missing', 1500, 'failure', /can't be pulled.* runs \S+demo:v1 again\.$/, ['missing', 'v1']],
    ['two-containers-one-changed', 'v2', 20_000, 'success', /2 of 2 updated and available/, ['v2']],
    ['watch-timeout', 'v2', 20_000, 'success', /2 of 2 updated and available/, ['v2']],
    ['rbac-resource-names', 'v2', 20_000, 'success', /2 of 2 updated and available/, ['v2']],
  ])('%s ends as it must', async (scenario, tag, timeoutMs, outcome, text, images) => {
    const { cluster, target, patches } = await replayOf(scenario);
    const result = await roll(cluster, [{ target, image: demo(tag) }], timeoutMs);
    const said =
      result.outcome.kind === 'success' ? result.summary : 'reason' in result.outcome && result.outcome.reason;
    expect({ kind: result.outcome.kind, said }).toEqual({
      kind: outcome,
      said: expect.stringMatching(text) as unknown,
    });
    expect(patches().map(({ body }) => /"image":"[^"]*:(\w+)"/.exec(body)?.[1])).toEqual(images);
    for (const { contentType } of patches()) expect(contentType).toBe('application/strategic-merge-patch+json');
  });

  it('goes back to the version before by setting it, whose ReplicaSet is there still', async () => {
    const { cluster, target } = await replayOf('rollback-to-previous');
    await roll(cluster, [{ target, image: demo('v2') }], 20_000);
    const back = await roll(cluster, [{ target, image: demo('v1') }], 20_000);
    expect(back.outcome).toEqual({ kind: 'success' });
    expect(back.summary).toContain('2 of 2 updated and available');
  });

  it('tells the warnings that matter, each once', async () => {
    const { cluster, target } = await replayOf('image-pull-backoff', 0.1);
    const { events } = await roll(cluster, [{ target, image: demo('missing') }], 5000);
    expect(events.length).toBeGreaterThan(0);
    expect(events.length).toBeLessThanOrEqual(10);
    expect(new Set(events).size).toBe(events.length);
    expect(events.join('\n')).toMatch(/Failed: Failed to pull image "127.0.0.1:5055\/demo:missing".*not found/);
  });

  it('sets one container and leaves the other, then both by one patch', async () => {
    const { cluster, target, patches } = await replayOf('two-containers-one-changed');
    await roll(cluster, [{ target, image: demo('v2') }], 20_000);
    const both = [
      { target, image: demo('v3') },
      { target: { ...target, container: 'proxy' }, image: demo('v2') },
    ];
    expect((await roll(cluster, both, 20_000)).outcome).toEqual({ kind: 'success' });
    const containers = patches().map(({ body }) => (JSON.parse(body) as Patch).spec.template.spec.containers);
    expect(containers).toEqual([
      [{ name: 'api', image: demo('v2') }],
      [
        { name: 'api', image: demo('v3') },
        { name: 'proxy', image: demo('v2') },
      ],
    ]);
  });

  it('never adds a container by a wrong name', async () => {
    const { cluster, target, patches } = await replayOf('wrong-container-name');
    const result = await roll(cluster, [{ target: { ...target, container: 'app' }, image: demo('v2') }], 3000);
    expect(result.outcome).toMatchObject({
      kind: 'failure',
      reason: expect.stringContaining('has no container app; it has api.') as unknown,
    });
    await expect(cluster.setImages(target, { app: demo('v2') }, never)).rejects.toThrow(/no container app/);
    expect(patches()).toEqual([]);
  });

  it('waits for a server that restarts, and says what it never did', async () => {
    const { cluster, target, replay } = await replayOf('watch-server-restart', 0.02);
    const result = await roll(cluster, [{ target, image: demo('v2') }], 2000);
    expect(result.outcome).toMatchObject({
      kind: 'timed_out',
      reason: expect.stringMatching(/didn't take up the change after 2 s \(observed generation 0 of 2\)/) as unknown,
    });
    const lists = replay.requests.filter(({ line }) => line.endsWith('/deployments')).length;
    expect(lists).toBeGreaterThan(3);
  });
});

interface Patch {
  readonly spec: { readonly template: { readonly spec: { readonly containers: unknown } } };
}

describe('a recorded watch', () => {
  it('from a version that is too old is opened again from a new list', async () => {
    const { cluster, target, replay } = await replayOf('watch-gone-410');
    const stop = AbortSignal.timeout(1200);
    const seen: number[] = [];
    for await (const state of cluster.observe(target, stop)) seen.push(state.available);
    // It is 410, bookmarks and clean ends throughout: nothing of that is a state, or the end.
    expect(seen).toEqual([2]);
    const lists = replay.requests.filter(({ line }) => line.endsWith('/deployments')).length;
    expect(lists).toBeGreaterThan(2);
  });
});

describe('a recorded refusal', () => {
  it.each<
    [scenario: string, change: Partial<RolloutTarget>, kind: typeof UserError | typeof PlatformError, text: RegExp]
  >([
    [
      'forbidden-403',
      {},
      UserError,
      /may not get deployment .*\/api in cluster default \(403\).*misspelt.*lacks the right/,
    ],
    ['unauthorized-401', {}, PlatformError, /cluster default refused Slipway's credentials \(401\)/],
    ['not-found-404', { name: 'web' }, UserError, /There is no deployment trace-not-found-404\/web/],
    ['not-found-404', { namespace: 'no-such-namespace' }, UserError, /There is no deployment no-such-namespace\/api/],
    [
      'rbac-resource-names',
      { name: 'no-such-deployment' },
      UserError,
      /may not get .*no-such-deployment.*may be misspelt/,
    ],
  ])('%s (%j) is told in the user’s terms', async (scenario, change, kind, text) => {
    const { cluster, target } = await replayOf(scenario);
    const asked = cluster.inspect({ ...target, ...change }, never);
    await expect(asked).rejects.toThrow(text);
    await expect(asked).rejects.toBeInstanceOf(kind);
  });

  it('429 is waited for as long as the server asks', async () => {
    const { cluster, target, logged } = await replayOf('too-many-requests-429');
    const began = performance.now();
    expect(await cluster.inspect(target, never)).toMatchObject({ name: 'api' });
    expect(performance.now() - began).toBeGreaterThan(900);
    expect(logged.join('\n')).toContain('request is repeated');
  });

  it('409 is tried again, more than once', async () => {
    const { cluster, target, logged, patches } = await replayOf('conflict-409');
    expect(await cluster.setImages(target, { api: demo('v2') }, never)).toEqual({
      generation: 3,
      images: { api: demo('v2') },
    });
    expect(patches()).toHaveLength(3);
    // Without a resourceVersion it would go through at once; a conflict may come all the same.
    for (const { body } of patches()) expect(body).not.toContain('resourceVersion');
    expect(logged.filter((it) => it.includes('request is repeated'))).toHaveLength(2);
  });

  it('422 says what the server found wrong', async () => {
    const said = recording('invalid-422').steps.flatMap((step) => {
      if (!('request' in step) || step.response?.status !== 422) return [];
      const error = new StatusError(422, JSON.stringify(step.response.body), step.response.headers);
      const target: RolloutTarget = { ...nobody, namespace: 'shop', name: 'api' };
      const told = explained(error, 'cluster default', target, 'patch deployment shop/api');
      expect(told).toBeInstanceOf(UserError);
      return [told.message];
    });
    expect(said).toEqual([
      expect.stringMatching(
        /^deployment shop\/api can't be changed so \(422\):.*unknown field "spec.template.spec.con/,
      ),
      expect.stringMatching(/containers\[0\].image: Required value/),
      expect.stringMatching(/`selector` does not match template `labels`/),
      expect.stringMatching(/the server rejected our request due to an error in our request/),
      expect.stringMatching(/unrecognized type: int32/),
    ]);
  });

  it('415 never meets what Slipway sends', async () => {
    const { cluster, target, patches } = await replayOf('same-image');
    await cluster.setImages(target, { api: demo('v1') }, never);
    const { steps } = recording('unsupported-415');
    expect(steps).toHaveLength(2);
    expect(patches().map(({ contentType }) => contentType)).toEqual(['application/strategic-merge-patch+json']);
  });

  it('of a log is no reason to say nothing', async () => {
    const { cluster, target } = await replayOf('pods-logs', 0.01);
    const { generation } = await cluster.setImages(target, { api: demo('crash') }, never);
    for await (const state of cluster.observe(target, AbortSignal.timeout(5000))) {
      if (state.observedGeneration >= generation && state.troubles[0]?.reason === 'CrashLoopBackOff') break;
    }
    expect(await cluster.lastLines(target, 20, never)).toBe('demo version=crash mode=crash pid=1\nfatal: boom\n');
    expect(await cluster.events(target, never)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^BackOff: Back-off restarting failed container api/)]),
    );
  });
});
