import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { openClusters } from '#src/adapters/kubernetes/clusters.ts';
import { rollOut } from '#src/engine/rollout.ts';
import type { RolloutTarget, WorkloadKind } from '#src/model/pipeline.ts';
import { kubeconfigFor, startReplay } from './replay.ts';

/**
 * DeploymentConfigs and Argo Rollouts: what their controllers write, by the documents and sources of OpenShift and Argo
 * Rollouts. Not recorded.
 */
type Steps = Parameters<typeof startReplay>[0];
type Part = Readonly<Record<string, unknown>>;

const never = new AbortController().signal;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function clusterOf(steps: Steps) {
  const replay = await startReplay(steps, 1);
  const folder = await mkdtemp(join(tmpdir(), 'slipway-kinds-'));
  closing.push(
    () => replay.close(),
    () => rm(folder, { recursive: true, force: true }),
  );
  const path = join(folder, 'kubeconfig');
  await writeFile(path, kubeconfigFor(replay.url));
  const clusters = new Map([['default', { kubeconfig: path, context: null }]]);
  return { replay, cluster: openClusters({ clusters, logger: { info() {} } }) };
}

function target(kind: WorkloadKind, name = 'api'): RolloutTarget {
  return { kind, cluster: null, namespace: 'shop', name, container: 'api', image: 'image' };
}

async function roll(steps: Steps, workload: RolloutTarget, timeoutMs = 2000) {
  const { replay, cluster } = await clusterOf(steps);
  const progress: string[] = [];
  const result = await rollOut({
    items: [{ target: workload, image: 'r/api:new' }],
    begun: null,
    cluster,
    clock: { now: () => Date.now() },
    timeoutMs,
    onProgress: (message) => progress.push(message),
    onChange: async () => {},
    onLines: () => {},
    signal: never,
    leave: never,
  });
  const patches = replay.requests.filter(({ line }) => line.startsWith('PATCH'));
  return { ...result, progress, patches };
}

let version = 100;
function thing(kind: string, name: string, part: Part & { metadata?: Part }): Steps[number] & object {
  version += 1;
  const metadata = {
    name,
    namespace: 'shop',
    uid: `${kind}-${name}`,
    resourceVersion: String(version),
    ...part.metadata,
  };
  return { atMs: 0, type: 'ADDED', object: { ...part, kind, metadata } };
}
const at = (atMs: number, step: Steps[number]): Steps[number] => ({ ...step, atMs });
const template = (image: string) => ({
  spec: {
    containers: [
      { name: 'proxy', image: 'p' },
      { name: 'api', image },
    ],
  },
});
const owner = (kind: string, name: string) => [{ kind, uid: `${kind}-${name}`, controller: true }];

describe('a DeploymentConfig', () => {
  const config = (generation: number, image: string, status: Part, spec: Part = {}) =>
    thing('DeploymentConfig', 'api', {
      metadata: { generation },
      spec: {
        replicas: 2,
        selector: { app: 'api' },
        strategy: { type: 'Rolling' },
        template: template(image),
        ...spec,
      },
      status,
    });
  const controller = (number: number, image: string, phase: string, reason = '') =>
    thing('ReplicationController', `api-${number}`, {
      metadata: {
        ownerReferences: owner('DeploymentConfig', 'api'),
        annotations: {
          'openshift.io/deployment-config.latest-version': String(number),
          'openshift.io/deployment.phase': phase,
          'openshift.io/deployment.status-reason': reason,
        },
      },
      spec: { template: template(image) },
    });
  const full = (observedGeneration: number) => ({
    observedGeneration,
    replicas: 2,
    updatedReplicas: 2,
    availableReplicas: 2,
  });
  const before = [config(1, 'r/api:old', full(1)), controller(1, 'r/api:old', 'Complete')];
  const patched: Steps[number] = { atMs: 1, patched: { generation: 2, image: 'r/api:new' } };

  it('is complete when its new ReplicationController is, not by the counters of the old one', async () => {
    const steps: Steps = [
      ...before,
      patched,
      // Taken up, but the new ReplicationController isn't there yet: everything looks full.
      at(100, config(2, 'r/api:new', full(2))),
      at(300, controller(2, 'r/api:new', 'Running')),
      at(600, controller(2, 'r/api:new', 'Complete')),
    ];
    const began = performance.now();
    const result = await roll(steps, target('deploymentconfig'), 5000);
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(performance.now() - began).toBeGreaterThan(590);
    expect(result.patches.map(({ line, contentType }) => `${line} ${contentType}`)).toEqual([
      'PATCH /apis/apps.openshift.io/v1/namespaces/shop/deploymentconfigs/api application/strategic-merge-patch+json',
    ]);
  });

  it('fails at once when its deployer has failed, with the reason', async () => {
    const steps: Steps = [
      ...before,
      patched,
      at(50, config(2, 'r/api:new', { ...full(2), updatedReplicas: 0 })),
      at(100, controller(2, 'r/api:new', 'Failed', 'pre hook failed')),
      { atMs: 200, patched: { generation: 3, image: 'r/api:old' } },
      at(210, config(3, 'r/api:old', full(3))),
      at(220, controller(3, 'r/api:old', 'Complete')),
    ];
    const result = await roll(steps, target('deploymentconfig'), 20_000);
    expect(result.outcome).toMatchObject({
      kind: 'failure',
      reason: expect.stringMatching(
        /the cluster itself ended the rollout \(DeploymentFailed\): pre hook failed\..*runs r\/api:old again/,
      ) as unknown,
    });
  });

  it.each<[string, Part, RegExp]>([
    ['rolls on no change', { triggers: [] }, /no ConfigChange trigger/],
    [
      'takes the image from an ImageStream',
      {
        triggers: [
          { type: 'ConfigChange' },
          { type: 'ImageChange', imageChangeParams: { automatic: true, containerNames: ['api'] } },
        ],
      },
      /takes the image of container api from an ImageStream/,
    ],
    ['is paused', { paused: true }, /is paused.*oc rollout resume dc\/api -n shop/],
  ])('that %s is refused', async (_name, spec, text) => {
    const result = await roll([config(1, 'r/api:old', full(1), spec), patched], target('deploymentconfig'));
    expect(result.outcome).toMatchObject({ kind: 'failure', reason: expect.stringMatching(text) as unknown });
    expect(result.patches).toEqual([]);
  });

  it('is unknown where there is no OpenShift', async () => {
    const { cluster } = await clusterOf([
      {
        atMs: 0,
        request: { method: 'GET', path: '/apis/apps.openshift.io/v1/namespaces/shop/deploymentconfigs/api', query: {} },
        response: { status: 404, headers: { 'content-type': 'text/plain' }, body: '404 page not found\n' },
      },
    ]);
    await expect(cluster.inspect(target('deploymentconfig'), never)).rejects.toThrow(/it isn't OpenShift/);
  });
});

describe('an Argo Rollout', () => {
  const rollout = (generation: number, image: string | null, status: Part, spec: Part = {}) =>
    thing('Rollout', 'api', {
      metadata: { generation },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'api' } },
        ...(image === null
          ? { workloadRef: { kind: 'Deployment', name: 'api-template' } }
          : { template: template(image) }),
        ...spec,
      },
      status,
    });
  const healthy = (observedGeneration: string, hash: string) => ({
    observedGeneration,
    phase: 'Healthy',
    replicas: 4,
    updatedReplicas: 2,
    availableReplicas: 2,
    stableRS: hash,
    currentPodHash: hash,
  });
  const paused = {
    ...healthy('2', 'a'),
    phase: 'Paused',
    currentPodHash: 'b',
    updatedReplicas: 1,
    pauseConditions: [{ reason: 'CanaryPauseStep', startTime: '2026-01-01T00:00:00Z' }],
  };
  const patched: Steps[number] = { atMs: 1, patched: { generation: 2, image: 'r/api:new' } };

  it('is patched by place, with the name tested, and waits at its own steps', async () => {
    const steps: Steps = [
      rollout(1, 'r/api:old', healthy('1', 'a')),
      patched,
      at(50, rollout(2, 'r/api:new', healthy('1', 'a'))),
      at(200, rollout(2, 'r/api:new', paused)),
      at(500, rollout(2, 'r/api:new', healthy('2', 'b'))),
    ];
    const result = await roll(steps, target('rollout'), 5000);
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.progress).toContain(
      'shop/api: waits at a step of its own (CanaryPauseStep); to promote it: kubectl argo rollouts promote api -n shop',
    );
    const [patch] = result.patches;
    expect(patch).toMatchObject({
      line: 'PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/api',
      contentType: 'application/json-patch+json',
    });
    expect(JSON.parse(patch?.body ?? '')).toEqual([
      { op: 'test', path: '/spec/template/spec/containers/1/name', value: 'api' },
      { op: 'replace', path: '/spec/template/spec/containers/1/image', value: 'r/api:new' },
    ]);
  });

  it('that aborts goes back at once, with what it says', async () => {
    const aborted = {
      ...healthy('2', 'a'),
      phase: 'Degraded',
      abort: true,
      message: 'analysis failed',
      currentPodHash: 'b',
    };
    const steps: Steps = [
      rollout(1, 'r/api:old', healthy('1', 'a')),
      patched,
      at(50, rollout(2, 'r/api:new', aborted)),
      { atMs: 300, patched: { generation: 3, image: 'r/api:old' } },
      at(310, rollout(3, 'r/api:old', healthy('3', 'a'))),
    ];
    const result = await roll(steps, target('rollout'), 20_000);
    expect(result.outcome).toMatchObject({
      kind: 'failure',
      reason: expect.stringMatching(/\(RolloutAborted\): analysis failed\..*runs r\/api:old again/) as unknown,
    });
  });

  it('that nobody promotes is told so when the time is over', async () => {
    const steps: Steps = [
      rollout(1, 'r/api:old', healthy('1', 'a')),
      patched,
      at(50, rollout(2, 'r/api:new', paused)),
      { atMs: 300, patched: { generation: 3, image: 'r/api:old' } },
      at(310, rollout(3, 'r/api:old', healthy('3', 'a'))),
    ];
    const result = await roll(steps, target('rollout'), 600);
    expect(result.outcome).toMatchObject({
      kind: 'timed_out',
      reason: expect.stringMatching(/It waits at a step of its own.*promote api -n shop.*again\.$/) as unknown,
    });
  });

  it('is found where a deployment of that name was meant', async () => {
    const steps: Steps = [
      rollout(1, 'r/api:old', healthy('1', 'a')),
      patched,
      at(50, rollout(2, 'r/api:new', healthy('2', 'b'))),
    ];
    const result = await roll(steps, target('deployment'));
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(result.patches[0]?.line).toBe('PATCH /apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/api');
  });

  const deployment = (generation: number, image: string) =>
    thing('Deployment', 'api-template', {
      metadata: { generation },
      spec: { replicas: 0, selector: { matchLabels: { app: 'api' } }, template: template(image) },
      status: { observedGeneration: generation },
    });
  it.each([
    ['the Rollout', target('rollout')],
    ['its Deployment', target('deployment', 'api-template')],
  ])('with its template in a Deployment is patched there and followed itself: %s named', async (_name, named) => {
    const seen = (status: Part, workloadObservedGeneration: string) => ({ ...status, workloadObservedGeneration });
    const steps: Steps = [
      rollout(1, null, seen(healthy('1', 'a'), '1')),
      deployment(1, 'r/api:old'),
      patched,
      // The Deployment itself has no pods: it is "complete" at once.
      at(50, deployment(2, 'r/api:new')),
      at(250, rollout(1, null, seen(paused, '2'))),
      at(600, rollout(1, null, seen(healthy('1', 'b'), '2'))),
    ];
    const began = performance.now();
    const result = await roll(steps, named, 5000);
    expect(result.outcome).toEqual({ kind: 'success' });
    expect(performance.now() - began).toBeGreaterThan(590);
    expect(result.patches.map(({ line }) => line)).toEqual([
      'PATCH /apis/apps/v1/namespaces/shop/deployments/api-template',
    ]);
  });
});
