import { describe, expect, it } from '@jest/globals';
import { compileFile } from '#src/dialects/index.ts';
import { environmentGroup } from '#src/model/concurrency.ts';
import type { Trigger } from '#src/model/event.ts';
import { plan } from '#src/planner/plan.ts';
import { repository, sha } from '#test/model/samples.ts';

const base = { sha, actor: 'ada', title: 't', ref: 'refs/x' };
const push = (branch: string): Trigger => ({ ...base, kind: 'push', branch });
const pull = (fork: boolean): Trigger => ({
  ...base,
  kind: 'pull_request',
  number: 7,
  branch: 'main',
  base: 'm',
  fork,
});

function planned(file: string, trigger: Trigger) {
  const compiled = compileFile('slipway.yml', file);
  if (compiled.kind !== 'pipeline') throw new Error(JSON.stringify(compiled));
  return plan(compiled.pipeline, trigger, repository, { message: '', done: new Set() });
}

function planOf(file: string, trigger: Trigger) {
  const answer = planned(file, trigger);
  if (answer.kind === 'refused') throw new Error(answer.message);
  return answer.plan;
}

describe('concurrency groups', () => {
  const FILE = `
concurrency: { group: "CI-\${{ event.branch }}", cancel-in-progress: true }
jobs:
  a: { image: x, run: y, matrix: { n: [1, 2] }, concurrency: "a \${{ matrix.n }}", retry: 3 }
  b: { image: x, run: y, concurrency: { group: "\${{ event.tag }}", queue: max } }
  c: { build: {}, concurrency: { group: c, queue: max }, retry: 1 }
`;

  it('are filled in, in small letters; one that comes out empty is none', () => {
    const { concurrency, jobs } = planOf(FILE, push('Topic'));
    expect(concurrency).toEqual({ group: 'ci-topic', cancelInProgress: true, queue: 'single' });
    expect(jobs.map((job) => [job.key, job.concurrency?.group ?? null, job.retries])).toEqual([
      ['a (n 1)', 'a 1', 3],
      ['a (n 2)', 'a 2', 3],
      ['b', null, 0],
      ['c', 'c', 1],
    ]);
    expect(jobs[3]?.concurrency).toEqual({ group: 'c', cancelInProgress: false, queue: 'max' });
  });

  it('can be for some events only', () => {
    const file = `concurrency: "\${{ event.kind == 'push' && event.branch || '' }}"\njobs: { a: { image: x, run: y } }`;
    expect(planOf(file, push('main')).concurrency?.group).toBe('main');
    expect(planOf(file, pull(false)).concurrency).toBeNull();
  });

  it('are none without a word of them', () => {
    const { concurrency, jobs } = planOf('jobs: { a: { image: x, run: y } }', push('x'));
    expect([concurrency, jobs[0]?.concurrency, jobs[0]?.retries]).toEqual([null, null, 0]);
  });

  it("keep a stranger's pull request away from everybody else's", () => {
    const stranger = planOf(FILE, pull(true));
    expect([stranger.concurrency?.group, stranger.jobs[0]?.concurrency?.group]).toEqual([
      'fork #7: ci-main',
      'fork #7: a 1',
    ]);
    expect(planOf(FILE, pull(false)).concurrency?.group).toBe('ci-main');
  });

  it.each([
    [
      'concurrency: "${{ event.branch }}"\njobs: { a: { image: x, run: y, concurrency: topic } }',
      'The job "a" is in the concurrency group "topic" and so is the whole run: each would wait for the other. Choose another group for the job.',
    ],
    [
      'concurrency: "${{ fromJSON(event.branch) }}"\njobs: { a: { image: x, run: y } }',
      "concurrency of the pipeline can't be evaluated: Error parsing JSON when evaluating fromJson.",
    ],
    [
      'jobs: { a: { image: x, run: y, concurrency: "${{ format(\'{0}{0}{0}\', toJSON(event)) }}" } }',
      'concurrency of the job "a" can\'t be evaluated: the group is longer than 400 characters.',
    ],
  ])('are refused: %s', (file, message) => {
    expect(planned(file, push('topic'))).toEqual({ kind: 'refused', message });
  });
});

describe('priorities', () => {
  const SHOP = `
jobs:
  lint: { image: x, run: y }
  image: { needs: lint, build: { image: ghcr.io/acme/shop } }
  docs: { image: x, run: y }
environments:
  staging: { on: { branch: main }, rollout: [{ deployment: shop/api, container: api, image: image }] }
`;
  const priorities = (file: string, trigger: Trigger) =>
    planOf(file, trigger).jobs.map((job) => [job.key, job.priority]);

  it('let a deployment go first, then what it waits for', () => {
    expect(priorities(SHOP, push('main'))).toEqual([
      ['lint', 1],
      ['image', 1],
      ['docs', 1],
      ['deploy staging', 2],
    ]);
    expect(priorities(SHOP, push('topic')).every(([, priority]) => priority === 0)).toBe(true);
  });

  it('give nothing for a deployment that does not come', () => {
    const file = SHOP.replace('image: { needs', 'image: { if: false, needs');
    expect(priorities(file, push('main')).slice(0, 3)).toEqual([
      ['lint', 0],
      ['image', 0],
      ['docs', 0],
    ]);
  });

  it("never repeat a deployment, and put it in its environment's line", () => {
    expect(planOf(SHOP, push('main')).jobs.at(-1)).toMatchObject({
      retries: 0,
      concurrency: { group: environmentGroup('staging'), cancelInProgress: false, queue: 'max' },
      priority: 2,
    });
  });
});
