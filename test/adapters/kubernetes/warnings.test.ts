import { describe, expect, it } from '@jest/globals';
import type { ClusterEvent } from '#src/adapters/kubernetes/objects.ts';
import { worthTelling } from '#src/adapters/kubernetes/warnings.ts';

let minute = 10;
function event(
  reason: string,
  message: string,
  change: Partial<ClusterEvent> & { readonly pod?: string } = {},
): ClusterEvent {
  minute += 1;
  const { pod = 'api-1', ...more } = change;
  return {
    metadata: {},
    involvedObject: { uid: pod, name: pod },
    reason,
    message,
    count: 1,
    lastTimestamp: `2026-11-21T00:${minute}:00Z`,
    ...more,
  };
}

describe('what a cluster warned of', () => {
  it('is told newest first, the same of several pods as one, with how often it came', () => {
    const uid = (c: string) => `${c.repeat(8)}-0000-0000-0000-${c.repeat(12)}`;
    const backOff = (pod: string, count: number) =>
      event('BackOff', `Back-off restarting api in pod=${pod}_shop(${uid(pod.at(-1) ?? '')})`, { pod, count });
    expect(worthTelling([event('Failed', 'no  such\nimage'), backOff('api-1', 3), backOff('api-2', 2)])).toEqual([
      expect.stringMatching(/^BackOff: Back-off restarting api in pod=api-2_shop\(2{8}-.*\) \(5 times\)$/),
      'Failed: no such image',
    ]);
  });

  it('counts as newer writers of events do', () => {
    const series = { count: 7, lastObservedTime: '2026-11-21T01:00:00.000000Z' };
    const late = event('FailedScheduling', 'no nodes', { series, lastTimestamp: null });
    expect(worthTelling([late, event('Unhealthy', '404')])[0]).toBe('FailedScheduling: no nodes (7 times)');
  });

  it('is at most ten lines, none of them long', () => {
    const many = Array.from({ length: 15 }, (_, index) => event(`Reason${index}`, 'x'.repeat(1000)));
    const told = worthTelling(many);
    expect(told).toHaveLength(10);
    expect(told[0]).toMatch(/^Reason14: x+…$/);
    expect(Math.max(...told.map((it) => it.length))).toBe(300);
  });
});
