import { describe, expect, it } from '@jest/globals';
import type { WorkloadState } from '#src/model/rollout.ts';
import { workloadHealth, worstHealth } from '#src/model/workload-health.ts';

const state: WorkloadState = {
  kind: 'deployment',
  namespace: 'shop',
  name: 'api',
  generation: 7,
  observedGeneration: 7,
  wanted: 3,
  updated: 3,
  available: 3,
  replicas: 3,
  paused: false,
  strategy: 'RollingUpdate',
  partition: 0,
  settled: true,
  image: 'a',
  images: { api: 'a', proxy: 'p' },
  restarts: 0,
  held: '',
  conditions: [],
  troubles: [],
  hidden: '',
};
const crash = {
  kind: 'crash',
  reason: 'CrashLoopBackOff',
  message: '',
  pod: 'api-1',
  container: 'api',
  restarts: 3,
  exitCode: 1,
} as const;

describe('how a workload does', () => {
  it.each<[string, Partial<WorkloadState>, Readonly<Record<string, string>> | null, string, string]>([
    ['all there', {}, { api: 'a' }, 'healthy', 'shop/api: 3 of 3 available'],
    ['nothing expected', {}, null, 'healthy', 'shop/api: 3 of 3 available'],
    ['fewer', { available: 2 }, { api: 'a' }, 'unhealthy', 'shop/api: 2 of 3 available'],
    [
      'a trouble',
      { available: 2, troubles: [crash] },
      { api: 'a' },
      'unhealthy',
      'shop/api: 2 of 3 available; container api exits with code 1 (CrashLoopBackOff, restarted 3 times). Its last log lines say why',
    ],
    [
      'a trouble beside enough pods',
      { updated: 2, troubles: [crash] },
      null,
      'unhealthy',
      'shop/api: 3 of 3 available; container api exits with code 1 (CrashLoopBackOff, restarted 3 times). Its last log lines say why',
    ],
    ['old pods that go', { replicas: 4 }, { api: 'a' }, 'healthy', 'shop/api: 3 of 3 available'],
    ['a rollout that nobody has seen', { observedGeneration: 6 }, null, 'healthy', 'shop/api: 3 of 3 available'],
    ['paused', { paused: true }, { api: 'a' }, 'healthy', 'shop/api: 3 of 3 available, paused'],
    [
      'none wanted',
      { wanted: 0, updated: 0, available: 0, replicas: 0 },
      { api: 'a' },
      'unknown',
      'shop/api has 0 replicas',
    ],
    ['another image', {}, { api: 'b' }, 'unhealthy', "shop/api runs a in api, which isn't what was deployed"],
    [
      'a container that is gone',
      {},
      { web: 'b' },
      'unhealthy',
      "shop/api has no container web any more, which isn't what was deployed",
    ],
    ['an image that nobody asked about', {}, { proxy: 'p' }, 'healthy', 'shop/api: 3 of 3 available'],
  ])('%s', (_what, change, expected, kind, message) => {
    expect(workloadHealth({ ...state, ...change }, expected)).toEqual({ kind, message });
  });

  it('is for an environment that of the worst', () => {
    const healthy = { kind: 'healthy', message: 'a' } as const;
    const unknown = { kind: 'unknown', message: 'b' } as const;
    const bad = { kind: 'unhealthy', message: 'c' } as const;
    expect(worstHealth([healthy, healthy])).toEqual({ kind: 'healthy', message: 'a; a' });
    expect(worstHealth([healthy, unknown])).toEqual(unknown);
    expect(worstHealth([healthy, bad, unknown, { ...bad, message: 'd' }])).toEqual({
      kind: 'unhealthy',
      message: 'c; d',
    });
    expect(worstHealth([])).toMatchObject({ kind: 'unknown' });
  });
});
