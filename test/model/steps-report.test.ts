import { describe, expect, it } from '@jest/globals';
import type { StepsProgress, Strategy } from '#src/model/delivery.ts';
import type { WorkloadState } from '#src/model/rollout.ts';
import { limits, stepsReport } from '#src/model/steps-report.ts';

const target = {
  kind: 'deployment',
  cluster: null,
  namespace: 'shop',
  name: 'api',
  container: 'app',
  image: 'i',
} as const;
const every = { intervalSeconds: 5, count: 3, failures: 0 };
const canary: Strategy = {
  kind: 'canary',
  steps: [
    { kind: 'weight', percent: 10 },
    { kind: 'prometheus', server: 'main', query: 'sum(x{code=~"5..|4.."})', min: null, max: 0.5, every },
    { kind: 'pause', seconds: 3600 },
    { kind: 'weight', percent: 100 },
  ],
};
const green: Strategy = {
  kind: 'blue-green',
  service: { namespace: 'shop', name: 'api' },
  before: [{ kind: 'pause', seconds: 90 }],
  after: [{ kind: 'approval' }],
};
const progress = (change: Partial<StepsProgress>): StepsProgress => ({
  attempt: 1,
  step: 1,
  since: 0,
  phase: 'holding',
  workloads: [{ target, images: { app: 'new' }, replicas: 10, autoscaled: false, beside: 'api-slipway-canary' }],
  changes: [],
  notes: {},
  said: [],
  ...change,
});
const pods = (available: number, wanted: number) => ({ available, wanted }) as WorkloadState;
const rowsOf = (text: string): string[] => text.split('\n').filter((it) => it.startsWith('| ') && !it.includes('---'));

describe('the report of a rollout by steps', () => {
  it('says what is done, what is now, what is to come, and how many pods there are', () => {
    const at = progress({ notes: { 1: '0.1 (at most 0.5)' }, step: 2 });
    const text = stepsReport(at, canary, [{ stable: pods(9, 9), beside: pods(0, 1) }], 'pause of 1 h');
    expect(text).toContain('**Step 3.** pause of 1 h');
    expect(rowsOf(text)).toEqual([
      '|  | Step |  |',
      '| 1 | 10% of the pods | done |',
      '| 2 | Prometheus `main`: `sum(x{code=~"5..\\|4.."})` at most 0.5 | done: 0.1 \\(at most 0.5\\) |',
      '| 3 | pause of 1 h | now: pause of 1 h |',
      '| 4 | 100% of the pods | to come |',
      '|  | The stable workload gets the new version | to come |',
      '| Workload | Stable pods | Canary pods |',
      '| `shop/api` | 9 of 9 available | 0 of 1 available |',
    ]);
  });

  const switched: [string, Partial<StepsProgress>, string][] = [
    ['before it', { phase: 'holding', step: 0 }, 'to come'],
    ['at it', { phase: 'switching', step: 1 }, 'now'],
    ['after it', { phase: 'holding', step: 1 }, 'done'],
    ['at the end', { phase: 'promoting', step: 2 }, 'done'],
    ['failed before it', { phase: 'aborting', step: 0 }, 'not reached'],
    ['failed after all', { phase: 'ended', step: 2 }, 'switched back'],
  ];
  it.each(switched)('has the switch of the Service: %s', (_name, change, state) => {
    expect(stepsReport(progress(change), green, [], '')).toContain(
      `| The Service is switched to the new pods | ${state} |`,
    );
  });

  it('says where it ended, and why', () => {
    const failed = { kind: 'failure', reason: 'probe x: status 500.' } as const;
    const text = stepsReport(progress({ phase: 'aborting', failed }), canary, [], '');
    expect(text).toContain('**Going back: probe x: status 500.**');
    expect(text).toContain('| ended here |');
    expect(stepsReport(progress({ phase: 'ended', failed }), canary, [], '')).toContain('has failed');
  });

  it('shows others’ words as words', () => {
    const text = stepsReport(
      progress({ said: ['![x](https://evil.example) @ada <img> | **b**\n# c'] }),
      canary,
      [],
      '@eve [x](y)',
    );
    expect(text).not.toMatch(/!\[x\]\(|<img>|[^\u200b]@ada|@eve|https:\/\/evil|^# c/m);
  });
});

describe('limits', () => {
  it.each([
    [null, 1, 'at most 1'],
    [1, null, 'at least 1'],
    [1, 2, 'from 1 to 2'],
    [null, null, 'any number'],
  ])('%s, %s', (min, max, text) => expect(limits({ min, max })).toBe(text));
});
