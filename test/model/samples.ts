import type { Outcome } from '#src/model/outcome.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';

export const repository: Repository = {
  id: 1,
  owner: 'acme',
  name: 'shop',
  defaultBranch: 'main',
  private: true,
  cloneUrl: 'https://github.com/acme/shop.git',
  installationId: 2,
};

export const sha = 'c0ffee'.padEnd(40, '0');

export function runOf(trigger: Run['trigger']): Run {
  return {
    id: 'run1',
    repository,
    trigger,
    state: 'running',
    outcome: null,
    diagnostics: [],
    trust: null,
    pipelineFile: 'slipway.yml',
    pullRequest: null,
    concurrency: null,
    cancel: null,
    note: null,
    version: 1,
    createdAt: 0,
    startedAt: 0,
    finishedAt: null,
  };
}

/** A script job with one step, as the planner makes it. */
export function plannedOf(key: string, change: Partial<PlannedJob> = {}): PlannedJob {
  return {
    key,
    id: key,
    needs: [],
    if: null,
    matrix: {},
    skip: null,
    continueOnError: false,
    timeoutMinutes: 60,
    retries: 0,
    concurrency: null,
    priority: 0,
    work: {
      kind: 'script',
      image: 'node:24-slim',
      steps: [{ name: 'npm test', script: 'npm test' }],
      env: {},
      workdir: null,
      shell: 'sh',
      services: [],
      artifacts: [],
      reports: { junit: [] },
    },
    ...change,
  };
}

/** A job that waits, or has ended with the outcome. */
export function jobOf(key: string, plan: Partial<PlannedJob> = {}, outcome: Outcome | null = null): Job {
  return {
    id: `id-${key}`,
    runId: 'run1',
    plan: plannedOf(key, plan),
    state: outcome ? 'completed' : 'waiting',
    outcome,
    attempt: 1,
    steps: [],
    annotations: [],
    tests: null,
    progress: null,
    gate: null,
    report: '',
    note: null,
    cancel: null,
    worker: null,
    earlier: [],
    queuedAt: null,
    notBefore: null,
    startedAt: null,
    finishedAt: null,
  };
}
