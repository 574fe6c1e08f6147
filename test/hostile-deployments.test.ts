import { describe, expect, it } from '@jest/globals';
import { deployComment, type DeployRow } from '#src/adapters/github/report/deploy-comment.ts';
import { planText } from '#src/engine/deploy/plan-text.ts';
import type { DeployPlan } from '#src/engine/deploy/plan.ts';
import { whereText } from '#src/engine/deploy/where-text.ts';
import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import { gitOpsWords } from '#src/engine/gitops-words.ts';
import type { StepsProgress } from '#src/model/delivery.ts';
import { lockText } from '#src/model/deploy/locks.ts';
import { quoted } from '#src/model/deploy/words.ts';
import type { Job, Run } from '#src/model/run.ts';
import { rolloutReport } from '#src/model/rollout-report.ts';
import { stepsReport } from '#src/model/steps-report.ts';
import { hostileTexts } from './hostile.ts';

const each = hostileTexts.map((text) => [JSON.stringify(text.slice(0, 60)), text] as const);
const sha = 'a'.repeat(40);
const repository = {
  id: 1,
  owner: 'acme',
  name: 'shop',
  defaultBranch: 'main',
  private: true,
  cloneUrl: 'https://github.example/acme/shop.git',
  installationId: 1,
};

/** Nothing formats, links, calls anybody or ends what it stands in, but what we wrote ourselves; code shows itself. */
function expectQuiet(markdown: string): void {
  const outside = markdown.replaceAll(/^(`{3,})text\n[^]*?\n\1$/gm, '').replaceAll(/`[^`\n]*`/g, 'code');
  expect(outside).not.toContain('`');
  expect(outside).not.toMatch(/(^|[^\\])(!\[|\]\(https:\/\/evil)/);
  expect(outside.replaceAll('<br>', '')).not.toMatch(/<[a-z!/]/i);
  expect(outside).not.toMatch(/https?:\/\/evil|www\.evil/);
  expect(outside).not.toMatch(/(^|[^\w`])@\w/);
  expect(outside).not.toMatch(/^\s*(~{3}|>)/m);
  // oxlint-disable-next-line no-control-regex
  expect(markdown).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
  expect(markdown.isWellFormed()).toBe(true);
}

/** Every row of every table has as many cells as its head. */
function expectTables(markdown: string): void {
  const rows = markdown.split('\n').filter((line) => line.startsWith('|'));
  const cells = rows.map((row) => row.replaceAll('\\|', '').split('|').length);
  expect(new Set(cells).size).toBeLessThanOrEqual(2);
}

describe.each(each)('%s', (_shown, text) => {
  const run = {
    id: 'r1',
    repository,
    trigger: { kind: 'deploy', sha, actor: text, title: text, ref: text, branch: text, environment: text },
  } as unknown as Run;
  const job = { id: 'j1', attempt: 1, plan: { key: text }, gate: null } as unknown as Job;
  const lock = { environment: text, owner: 'bob', reason: text, at: 0, repositoryId: 1, pullRequest: null };
  const record = {
    sha,
    actor: text,
    updatedAt: 0,
    changes: [{ workload: text, container: text, before: text, after: text, said: text, phase: 'ended' }],
    details: { tag: text, title: text, healthyAt: 0 },
  };

  it('is text where what runs where is told', () => {
    const status = {
      environment: text,
      current: record,
      running: { run, job },
      queue: [{ run, job, position: 1 }],
      lock,
      health: { kind: 'unhealthy', message: text },
    } as unknown as EnvironmentStatus;
    const told = whereText(repository, [status, status]);
    expectQuiet(told);
    expectTables(told);
  });

  it('is text in a plan', () => {
    const plan = {
      environment: text,
      repository,
      sha,
      tag: text,
      problem: null,
      current: record,
      images: [{ cluster: text, workload: text, container: text, now: text, why: text, next: null, job: text }],
      files: [],
      conditions: [{ met: false, text: quoted(text) }],
      strategy: { kind: 'canary', steps: [{ kind: 'probe', url: text }] },
      before: 1,
      commits: { ahead: 1, behind: 1, commits: [{ sha, title: text, author: text }] },
    } as unknown as DeployPlan;
    for (const it of [plan, { ...plan, problem: text }, { ...plan, files: [text] }]) {
      expectQuiet(planText([it]));
      expectTables(planText([it]));
    }
  });

  it('is text in the report of a rollout, and of its steps', () => {
    const told = rolloutReport({
      changes: record.changes as Parameters<typeof rolloutReport>[0]['changes'],
      states: new Map(),
      events: new Map([[text, [text, text]]]),
      lines: new Map([[text, text]]),
    });
    expectQuiet(told);
    const progress = {
      attempt: 1,
      step: 0,
      since: 0,
      phase: 'aborting',
      workloads: [{ target: { namespace: text, name: text }, autoscaled: true, replicas: 1 }],
      changes: [],
      failed: { kind: 'failure', reason: text },
      notes: { 0: text },
      said: [text],
    } as unknown as StepsProgress;
    const steps = [
      { kind: 'probe', url: text },
      { kind: 'prometheus', server: text, query: text, min: null, max: null },
      { kind: 'job', job: text },
    ];
    const strategy = { kind: 'canary', steps } as unknown as Parameters<typeof stepsReport>[1];
    for (const phase of ['aborting', 'holding', 'done'] as const) {
      const report = stepsReport({ ...progress, phase }, strategy, [], text);
      expectQuiet(report);
      expectTables(report.split('\n\n| Workload')[0] ?? '');
    }
  });

  it('is text in the comment on a pull request, and in a sentence on a lock', () => {
    const row: DeployRow = {
      run: 'r1',
      job: 'j1',
      environment: text,
      url: 'https://shop.example',
      state: 'success',
      sha,
      digests: [text],
      by: text,
      at: 0,
      details: 'https://ci.example/j1',
    };
    const comment = deployComment([row, { ...row, url: null }], '<!-- mark -->').replace('<!-- mark -->', '');
    expectQuiet(comment);
    expectTables(comment);
    expectQuiet(lockText(lock, 'production').replace('@bob', 'bob'));
  });

  it('is text in a commit and a pull request elsewhere', () => {
    const wishes = [
      { file: text, field: text, image: 'api', reference: `r/api@sha256:${'a'.repeat(64)}`, value: text },
    ];
    const words = gitOpsWords(run, job, 'production', wishes);
    expectQuiet(words.body);
    expectTables(words.body);
    // A title could close an issue there; an actor is a login, and one line.
    expect(words.message.replace(/^Slipway-Asked-By: [^]*$/m, '')).not.toContain(text);
    expect(words.from).toMatch(/^slipway\/[\w-]+$/);
  });
});

it('what is tried here is seen where nothing makes it harmless', () => {
  const seen = hostileTexts.filter((text) => {
    try {
      expectQuiet(text);
      return false;
    } catch {
      return true;
    }
  });
  expect(seen.length).toBeGreaterThan(25);
});
