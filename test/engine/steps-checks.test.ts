import { describe, expect, it } from '@jest/globals';
import type { RolloutResult } from '#src/engine/rollout.ts';
import type { Strategy } from '#src/model/delivery.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { openStepsWorld, probe, type StepsGiven, weight } from './steps-world.ts';

const approval = { kind: 'approval' } as const;
const canary = (...steps: Extract<Strategy, { kind: 'canary' }>['steps']): Strategy => ({ kind: 'canary', steps });
const asOld = ['shop/api: 10 of 10 old'];
const asNew = ['shop/api: 10 of 10 new'];

async function roll(given: StepsGiven) {
  const world = openStepsWorld(given);
  const result = await world.process();
  if (result === 'died' || result instanceof Error) throw result;
  return { ...world, result, outcome: result.outcome, report: world.seen.reports.at(-1) ?? '' };
}

const reasonOf = (result: RolloutResult): string => ('reason' in result.outcome ? result.outcome.reason : '');

describe('checks', () => {
  const url = 'https://shop/health';
  const good = { status: 200, body: 'ok' };
  const bad = { status: 500, body: 'a secret' };
  const probes: [string, object, readonly ({ status: number; body: string } | Error)[], string | null][] = [
    ['all answers are good', {}, [good], null],
    ['the first is bad', {}, [bad], 'status 500 in place of 200'],
    ['the last is bad', {}, [good, good, bad], 'status 500'],
    ['as many are bad as may', { every: { intervalSeconds: 1, count: 3, failures: 1 } }, [good, bad, good], null],
    [
      'one more is bad',
      { every: { intervalSeconds: 1, count: 3, failures: 1 } },
      [bad, bad],
      '2 of 2 answers were bad',
    ],
    ['nobody answers', {}, [new PlatformError('It can’t be reached.')], 'can’t be reached'],
    ['it may never be asked', {}, [new UserError('A link-local address.')], 'A link-local address.'],
    ['another status is right', { status: 204 }, [{ status: 204, body: '' }], null],
    ['the text is there', { contains: 'ok' }, [good], null],
    ['the text isn’t there', { contains: 'yes' }, [good], 'without the text "yes"'],
  ];
  it.each(probes)('probe: %s', async (_name, change, answers, reason) => {
    const { outcome, cluster, report, seen } = await roll({
      strategy: canary(weight(50), probe(change), weight(100)),
      probes: { get: { [url]: answers } },
    });
    expect(outcome.kind).toBe(reason === null ? 'success' : 'failure');
    expect('reason' in outcome ? outcome.reason : '').toContain(reason ?? '');
    expect(cluster.all).toEqual(reason === null ? asNew : asOld);
    expect([...seen.reports, ...seen.told, JSON.stringify(outcome)].join()).not.toContain('a secret');
    expect(report).toContain(reason === null ? 'answers were good' : 'ended here');
  });

  const metrics: [string, { min: number | null; max: number | null }, number | null | Error, string, string | null][] =
    [
      ['low enough', { min: null, max: 0.05 }, 0.01, 'success', null],
      ['just at the limit', { min: 1, max: 1 }, 1, 'success', null],
      ['too high', { min: null, max: 0.05 }, 0.2, 'failure', '0.2 (at most 0.05)'],
      ['too low', { min: 99, max: null }, 98.5, 'failure', '98.5 (at least 99)'],
      ['no number', { min: null, max: 1 }, null, 'failure', 'no number'],
      ['not a number', { min: null, max: 1 }, NaN, 'failure', 'NaN'],
      ['a server that is down', { min: null, max: 1 }, new PlatformError('It is down.'), 'broken', 'It is down.'],
      ['a wrong query', { min: null, max: 1 }, new UserError('parse error'), 'failure', 'parse error'],
    ];
  it.each(metrics)('Prometheus: %s', async (_name, limits, value, kind, reason) => {
    const every = { intervalSeconds: 10, count: 2, failures: 0 };
    const { outcome } = await roll({
      strategy: canary(
        weight(50),
        { kind: 'prometheus', server: 'main', query: 'errors', every, ...limits },
        weight(100),
      ),
      probes: { query: { errors: [value] } },
    });
    expect(outcome.kind).toBe(kind);
    expect('reason' in outcome ? outcome.reason : '').toContain(reason ?? '');
  });

  const smoke = canary(weight(50), { kind: 'job', job: 'smoke' }, weight(100));
  const key = 'smoke (production, step 2)';
  it('a job that succeeds lets it go on', async () => {
    const { outcome, seen } = await roll({ strategy: smoke, jobs: { [key]: { kind: 'success' } } });
    expect(outcome).toEqual({ kind: 'success' });
    expect(seen.queued).toEqual([key]);
  });

  it.each(['failure', 'timed_out', 'broken'] as const)('a job that ends with %s aborts it', async (kind) => {
    const { outcome, cluster } = await roll({ strategy: smoke, jobs: { [key]: { kind, reason: 'exit code 1' } } });
    expect(outcome).toMatchObject({ kind, reason: expect.stringContaining('exit code 1') as unknown });
    expect(cluster.all).toEqual(asOld);
  });

  it.each(['success', 'failure', 'skipped'] as const)(
    'a job that ended with %s for an earlier attempt runs again',
    async (kind) => {
      const { outcome, seen, jobs } = await roll({
        strategy: smoke,
        jobs: { [key]: { kind: 'success' } },
        earlier: kind === 'success' ? { kind } : { kind, reason: 'then' },
      });
      expect(outcome).toEqual({ kind: 'success' });
      expect(seen.queued).toEqual([key]);
      expect(jobs.get(key)?.attempt).toBe(2);
    },
  );

  it('a job is ended with the rollout that asked for it', async () => {
    const { outcome, jobs } = await roll({
      strategy: smoke,
      jobs: { [key]: { kind: 'success' } },
      cancelAtMs: 3000,
    });
    expect(outcome.kind).toBe('cancelled');
    expect(jobs.get(key)?.outcome?.kind).toBe('cancelled');
  });
});

describe('approvals between steps', () => {
  const strategy = canary(weight(50), approval, weight(100));
  const rule = { count: 2, by: { permission: 'maintain' as const, people: [], teams: [] } };
  const by = (login: string, atMs: number, decision: 'approve' | 'reject' = 'approve', gate = 'step 2') => ({
    login,
    atMs,
    decision,
    gate,
  });

  it('wait until there are enough', async () => {
    const { outcome, seen, time, report } = await roll({
      strategy,
      approvals: rule,
      decisions: [by('bob', 10_000), by('eve', 20_000, 'approve', 'start'), by('cy', 5 * 3600_000)],
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(time.now()).toBeGreaterThan(5 * 3600_000);
    expect(seen.gates.filter((it) => it !== null)).toEqual([
      { kind: 'approval', gate: 'step 2', needed: 2, given: [] },
      { kind: 'approval', gate: 'step 2', needed: 2, given: ['bob'] },
    ]);
    expect(seen.gates.at(-1)).toBeNull();
    // What is done now is never what was done before.
    const from = seen.told.indexOf('step 2 of 3: waits for 2 approvals');
    expect(seen.told.slice(from, from + 4)).toEqual([
      'step 2 of 3: waits for 2 approvals',
      'step 2 of 3: waits for 1 approval',
      'step 2 of 3: approved by @bob, @cy',
      'step 3 of 3: 100% of the pods',
    ]);
    expect(report).toMatch(/approved by .*bob, .*cy/);
  });

  it('are one where the environment says nothing', async () => {
    const { outcome } = await roll({ strategy, decisions: [by('bob', 10_000)] });
    expect(outcome).toEqual({ kind: 'success' });
  });

  it('that are refused abort it', async () => {
    const { outcome, cluster, result } = await roll({ strategy, decisions: [by('bob', 10_000, 'reject')] });
    expect(outcome.kind).toBe('cancelled');
    expect(reasonOf(result)).toContain('@bob rejected step 2.');
    expect(cluster.all).toEqual(asOld);
  });

  it('that never come abort it after 7 days', async () => {
    const { outcome, time, seen } = await roll({ strategy, leastSleepMs: 600_000 });
    expect(outcome.kind).toBe('timed_out');
    expect(Math.round(time.now() / 3600_000 / 24)).toBe(7);
    expect(seen.gates.at(-1)).toBeNull();
  });
});
