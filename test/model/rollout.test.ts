import { describe, expect, it } from '@jest/globals';
import { assess, graceMs, refusal, type RolloutContext, type WorkloadState } from '#src/model/rollout.ts';
import { explain, type Trouble } from '#src/model/rollout-trouble.ts';

const done: WorkloadState = {
  kind: 'deployment',
  namespace: 'shop',
  name: 'api',
  generation: 2,
  observedGeneration: 2,
  wanted: 2,
  updated: 2,
  available: 2,
  replicas: 2,
  paused: false,
  strategy: 'RollingUpdate',
  partition: 0,
  settled: true,
  image: 'r/api:new',
  images: { app: 'r/api:new' },
  restarts: 0,
  held: '',
  conditions: [],
  troubles: [],
  hidden: '',
};
const context: RolloutContext = {
  generation: 2,
  image: 'r/api:new',
  startedAt: 0,
  now: 1000,
  timeoutMs: 600_000,
  troubleSince: null,
};
const pull: Trouble = {
  kind: 'image',
  reason: 'ImagePullBackOff',
  message: 'Back-off pulling image "r/api:new": ErrImagePull: rpc error: code = NotFound desc = r/api:new: not found',
  pod: 'api-1-a',
  container: 'app',
  restarts: 0,
  exitCode: null,
};
const crash: Trouble = { ...pull, kind: 'crash', reason: 'CrashLoopBackOff', message: '', restarts: 3, exitCode: 1 };
const unready: Trouble = { ...pull, kind: 'unready', reason: 'Unhealthy', message: 'Readiness probe failed: 404' };
const ended: Trouble = { ...pull, kind: 'ended', reason: 'RolloutAborted', message: 'analysis failed' };
const exceeded = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: '' }];
const newAvailable = [{ type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message: '' }];
const half = { updated: 1, available: 2, replicas: 3 };

describe('assess', () => {
  it.each<[string, Partial<WorkloadState>, Partial<RolloutContext>, string, RegExp]>([
    ['all pods new and available', {}, {}, 'complete', /^shop\/api: 2 of 2 updated and available$/],
    [
      'the old status in the answer to the patch',
      { observedGeneration: 1 },
      {},
      'progressing',
      /waiting for the cluster/,
    ],
    ['a state from before the patch', { generation: 1, observedGeneration: 1 }, {}, 'progressing', /waiting/],
    [
      'an old ProgressDeadlineExceeded in the old status',
      { observedGeneration: 1, conditions: exceeded, troubles: [pull] },
      { troubleSince: 0, now: 100_000 },
      'progressing',
      /waiting/,
    ],
    ['absent counters', { updated: 0, available: 0, replicas: 0 }, {}, 'progressing', /0 of 2 updated, 0 available/],
    [
      'NewReplicaSetAvailable left from the last rollout',
      { updated: 0, conditions: newAvailable },
      {},
      'progressing',
      /0 of 2 updated, 2 available/,
    ],
    ['old pods that still end', { replicas: 4, available: 3 }, {}, 'progressing', /2 of 2 updated, 3 available/],
    ['available but not updated', { updated: 1 }, {}, 'progressing', /1 of 2/],
    ['zero replicas', { wanted: 0, updated: 0, available: 0, replicas: 0 }, {}, 'complete', /not verified: 0 replicas/],
    [
      'zero replicas, old pods still there',
      { wanted: 0, updated: 0, available: 1, replicas: 1 },
      {},
      'progressing',
      /0 of 0/,
    ],
    ['scaled by somebody meanwhile', { generation: 3, observedGeneration: 3 }, {}, 'complete', /2 of 2/],
    [
      'image set by somebody meanwhile',
      { generation: 3, image: 'r/api:other' },
      {},
      'failed',
      /somebody else set the image to r\/api:other/,
    ],
    [
      'a pull trouble that is new',
      { ...half, troubles: [pull] },
      {},
      'progressing',
      /1 of 2 updated, 2 available; ImagePullBackOff/,
    ],
    [
      'a pull trouble that stands',
      { ...half, troubles: [pull] },
      { troubleSince: 0, now: 60_000 },
      'failed',
      /r\/api:new: not found/,
    ],
    [
      'a pull trouble and the cluster gives up',
      { ...half, troubles: [pull], conditions: exceeded },
      {},
      'failed',
      /can't be pulled/,
    ],
    [
      'a crash that may pass',
      { ...half, troubles: [{ ...crash, restarts: 1 }] },
      { now: 60_000 },
      'progressing',
      /CrashLoop/,
    ],
    [
      'a crash that stands',
      { ...half, troubles: [crash] },
      { troubleSince: 0, now: 60_000 },
      'failed',
      /exits with code 1/,
    ],
    [
      'a crash and the cluster gives up',
      { ...half, troubles: [{ ...crash, restarts: 2 }], conditions: exceeded },
      {},
      'failed',
      /restarted 2 times/,
    ],
    ['slow, past the cluster’s own deadline', { ...half, conditions: exceeded }, {}, 'progressing', /1 of 2/],
    [
      'slow with a failing probe, past the cluster’s own deadline',
      { ...half, conditions: exceeded, troubles: [unready] },
      { troubleSince: null, now: 590_000 },
      'progressing',
      /Unhealthy/,
    ],
    [
      'never ready at our deadline',
      { ...half, troubles: [unready] },
      { now: 600_000 },
      'failed',
      /never becomes ready.*404/,
    ],
    ['slow at our deadline', half, { now: 600_000 }, 'failed', /1 of 2 updated, 2 available after 10 min.*timeout/],
    ['pods can’t be seen', { ...half, hidden: 'pods' }, { now: 600_000 }, 'failed', /may not read pods/],
    ['never observed', { observedGeneration: 1 }, { now: 600_000 }, 'failed', /didn't take up.*1 of 2/],
    ['paused meanwhile', { paused: true, updated: 0 }, {}, 'progressing', /paused/],
    [
      'paused to the end',
      { paused: true, updated: 0 },
      { now: 600_000 },
      'failed',
      /rollout resume deployment\/api -n shop/,
    ],
    ['StatefulSet done', { kind: 'statefulset' }, {}, 'complete', /2 of 2/],
    [
      'StatefulSet whose revision isn’t current yet',
      { kind: 'statefulset', settled: false },
      {},
      'progressing',
      /2 of 2/,
    ],
    [
      'StatefulSet with a partition',
      { kind: 'statefulset', partition: 1, updated: 1, settled: false },
      {},
      'complete',
      /1 of 2 updated \(partition 1\)/,
    ],
    ['DaemonSet done', { kind: 'daemonset', replicas: 2 }, {}, 'complete', /2 of 2/],
    ['DaemonSet under way', { kind: 'daemonset', updated: 1 }, {}, 'progressing', /1 of 2/],
    [
      'DaemonSet without nodes',
      { kind: 'daemonset', wanted: 0, updated: 0, available: 0 },
      {},
      'complete',
      /not verified/,
    ],
    [
      'DeploymentConfig whose new ReplicationController isn’t complete',
      { kind: 'deploymentconfig', settled: false },
      {},
      'progressing',
      /2 of 2/,
    ],
    ['DeploymentConfig done', { kind: 'deploymentconfig' }, {}, 'complete', /2 of 2/],
    [
      'DeploymentConfig whose deployer failed',
      { kind: 'deploymentconfig', ...half, troubles: [{ ...ended, reason: 'DeploymentFailed' }] },
      {},
      'failed',
      /cluster itself ended the rollout \(DeploymentFailed\): analysis failed\./,
    ],
    ['Rollout done, old pods still there', { kind: 'rollout', replicas: 4 }, {}, 'complete', /2 of 2/],
    ['Rollout before it is healthy', { kind: 'rollout', settled: false }, {}, 'progressing', /2 of 2/],
    [
      'Rollout at a step of its own',
      { kind: 'rollout', settled: false, held: 'waits at a step of its own' },
      {},
      'progressing',
      /^shop\/api: waits at a step of its own$/,
    ],
    [
      'Rollout at a step of its own, to the end',
      { kind: 'rollout', settled: false, held: 'waits at a step of its own' },
      { now: 600_000 },
      'failed',
      /after 10 min\. It waits at a step/,
    ],
    [
      'Rollout at a step with a pod that crashes',
      { kind: 'rollout', settled: false, held: 'waits at a step of its own', troubles: [crash] },
      {},
      'progressing',
      /CrashLoopBackOff/,
    ],
    [
      'Rollout that aborted, for a crash',
      { kind: 'rollout', settled: false, troubles: [{ ...crash, restarts: 1 }, ended] },
      {},
      'failed',
      /exits with code 1/,
    ],
    [
      'Rollout that aborted before, as long as the new generation isn’t observed',
      { kind: 'rollout', settled: false, observedGeneration: 1, troubles: [ended] },
      {},
      'progressing',
      /waiting for the cluster/,
    ],
    [
      'another container that was set too, and is ours',
      { generation: 3, observedGeneration: 3, images: { app: 'r/api:new', proxy: 'p:new' } },
      { images: { app: 'r/api:new', proxy: 'p:new' } },
      'complete',
      /2 of 2/,
    ],
    [
      'another container that was set too, and is somebody else’s now',
      { generation: 3, observedGeneration: 3, images: { app: 'r/api:new', proxy: 'p:other' } },
      { images: { app: 'r/api:new', proxy: 'p:new' } },
      'failed',
      /somebody else set the image to p:other/,
    ],
    [
      'a container that is gone',
      { generation: 3, observedGeneration: 3, images: {} },
      { images: { app: 'r/api:new' } },
      'failed',
      /the container is gone/,
    ],
  ])('%s', (_name, state, change, kind, text) => {
    const verdict = assess({ ...done, ...state }, { ...context, ...change });
    expect(verdict.kind).toBe(kind);
    expect('reason' in verdict ? verdict.reason : verdict.message).toMatch(text);
  });

  it('gives a trouble a tenth of the timeout, at most a minute', () => {
    expect(graceMs(60_000)).toBe(6_000);
    expect(graceMs(3_600_000)).toBe(60_000);
  });
});

describe('refusal', () => {
  it.each<[string, Partial<WorkloadState>, RegExp]>([
    ['healthy', {}, /^accepted$/],
    ['zero replicas', { wanted: 0 }, /^accepted$/],
    ['paused', { paused: true }, /paused.*kubectl rollout resume/],
    ['paused DeploymentConfig', { paused: true, kind: 'deploymentconfig' }, /oc rollout resume dc\/api -n shop/],
    ['paused Rollout', { paused: true, kind: 'rollout' }, /kubectl argo rollouts promote api -n shop/],
    ['OnDelete', { strategy: 'OnDelete', kind: 'daemonset' }, /OnDelete.*RollingUpdate/],
    ['partition above all', { kind: 'statefulset', partition: 2 }, /partition 2 with 2 replicas/],
  ])('%s', (_name, state, text) => {
    expect(refusal({ ...done, ...state }) ?? 'accepted').toMatch(text);
  });
});

describe('explain', () => {
  it.each<[string, Trouble, RegExp]>([
    ['pull', pull, /image of container app can't be pulled \(ImagePullBackOff\): rpc error.*not found\. Check/],
    ['crash', crash, /exits with code 1 \(CrashLoopBackOff, restarted 3 times\)/],
    ['ends by itself', { ...crash, exitCode: 0 }, /exit code 0.*must keep running/],
    ['memory', { ...crash, reason: 'OOMKilled', exitCode: 137, restarts: 1 }, /more memory than its limit.*1 time\)/],
    [
      'config',
      { ...pull, kind: 'config', reason: 'CreateContainerConfigError', message: 'secret "x" not found' },
      /secret "x" not found\. Create/,
    ],
    [
      'quota',
      { ...pull, kind: 'create', reason: 'FailedCreate', message: 'exceeded quota: pods' },
      /no pod can be created.*exceeded quota/,
    ],
    [
      'node',
      { ...pull, kind: 'schedule', reason: 'Unschedulable', message: '0/1 nodes are available' },
      /no node takes/,
    ],
    ['probe', unready, /never becomes ready: Readiness probe failed: 404\. Check/],
  ])('%s', (_name, trouble, text) => {
    expect(explain(trouble)).toMatch(text);
  });

  it('keeps a long message short', () => {
    expect(explain({ ...pull, message: 'x'.repeat(5000) }).length).toBeLessThan(500);
  });
});
