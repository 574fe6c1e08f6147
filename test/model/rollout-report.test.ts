import { describe, expect, it } from '@jest/globals';
import type { WorkloadState } from '#src/model/rollout.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import { type RolloutFacts, rolloutReport, shortImage } from '#src/model/rollout-report.ts';

const digest = (c: string) => `registry.example/acme/api@sha256:${c.repeat(64)}`;
const api: RolloutChange = {
  workload: 'shop/api',
  container: 'app',
  kind: 'deployment',
  cluster: null,
  before: digest('a'),
  after: digest('b'),
  phase: 'forward',
};
const state = { wanted: 3, updated: 1, available: 3 } as WorkloadState;
const facts = (more: Partial<RolloutFacts>): RolloutFacts => ({
  changes: [api],
  states: new Map([['shop/api', state]]),
  events: new Map(),
  lines: new Map(),
  ...more,
});

/** The last cell of the first row. */
const stateOf = (changes: readonly RolloutChange[]) =>
  rolloutReport(facts({ changes })).split('\n')[2]?.split(' | ').at(-1)?.replace(' |', '');

describe('the report of a rollout', () => {
  it('is a table of workloads, containers, images and pods', () => {
    expect(rolloutReport(facts({}))).toBe(
      [
        '| Workload | Container | Image | Pods | State |',
        '| --- | --- | --- | --- | --- |',
        '| `shop/api` | `app` | `api@sha256:aaaaaaaaaaaa` → `api@sha256:bbbbbbbbbbbb` | 1 of 3 updated, 3 available | rolls |',
      ].join('\n'),
    );
    expect(rolloutReport(facts({ changes: [] }))).toBe('');
  });

  it('tells workloads of one name in several clusters apart', () => {
    const eu = { ...api, cluster: 'eu' };
    const text = rolloutReport(facts({ changes: [api, eu], states: new Map([['shop/api (eu)', state]]) }));
    expect(text.split('\n').slice(2)).toEqual([
      expect.stringMatching(/^\| `shop\/api` \| .* \| – \| rolls \|$/),
      expect.stringMatching(/^\| `shop\/api \(eu\)` \| .* \| 1 of 3 updated, 3 available \| rolls \|$/),
    ]);
  });

  const failed = { failed: { kind: 'failure', reason: 'It crashes.' } } as const;
  it.each<[string, Partial<RolloutChange>, readonly RolloutChange[]]>([
    ['waits', { phase: 'planned' }, []],
    ['rolls', { phase: 'forward' }, []],
    ['healthy', { phase: 'done' }, []],
    ['failed', { phase: 'forward', ...failed }, []],
    ['not begun', { phase: 'planned' }, [{ ...api, workload: 'shop/web', ...failed }]],
    ['goes back next', { phase: 'done' }, [{ ...api, workload: 'shop/web', ...failed }]],
    ['goes back', { phase: 'back', ...failed }, []],
    ['went back', { phase: 'ended', ...failed, said: 'shop/api runs x again.' }, []],
    ['left as it is', { phase: 'ended', ...failed }, []],
    ['**GOING BACK FAILED**', { phase: 'ended', ...failed, said: 'GOING BACK FAILED: shop/api was to run x' }, []],
  ])('says of a workload: %s', (words, change, others) => {
    expect(stateOf([{ ...api, ...change }, ...others])).toBe(words);
  });

  it('says that a workload is as before while, and after, its new version stood beside it', () => {
    const planned: RolloutChange = { ...api, phase: 'planned' };
    expect(rolloutReport(facts({ changes: [planned], beside: true }))).toMatch(/\| as before \|$/);
    expect(rolloutReport(facts({ changes: [{ ...planned, ...failed }], beside: true }))).toMatch(/\| as before \|$/);
    expect(rolloutReport(facts({ beside: true }))).toMatch(/\| rolls \|$/);
  });

  it('shows what failed, and nothing that was said there is more than text', () => {
    const text = rolloutReport(
      facts({
        events: new Map([['shop/api', ['BackOff: <img src=x> @ada [click](http://evil) | `x`']]]),
        lines: new Map([['shop/api', 'one\n```\n# two @ada\n\u001b[31mred\u001b[0m\u202e']]),
      }),
    );
    expect(text).toContain('**What the cluster says of `shop/api`**');
    expect(text).toContain('- BackOff: &lt;img src=x\\> @\u200Bada \\[click\\]\\(http:\u200B//evil\\) \\| \\`x\\`');
    // The block is fenced by more backticks than it holds.
    expect(text).toMatch(/````text\none\n```\n# two @ada\nred�\n````$/);
  });

  it('is never too long, whatever an application prints', () => {
    const text = rolloutReport(facts({ lines: new Map([['shop/api', `${'x'.repeat(100_000)}\n${'`'.repeat(500)}`]]) }));
    expect(text.length).toBeLessThan(8000);
  });

  it.each([
    [digest('c'), 'api@sha256:cccccccccccc'],
    ['r/demo:v1', 'demo:v1'],
    [`localhost:5000/demo:v1@sha256:${'d'.repeat(64)}`, 'demo@sha256:dddddddddddd'],
    ['', ''],
  ])('calls %s %s', (image, short) => {
    expect(shortImage(image)).toBe(short);
  });
});
