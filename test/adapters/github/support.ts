import { plannedOf } from '#test/model/samples.ts';
import { generateKeyPairSync } from 'node:crypto';
import type nock from 'nock';
import { pino } from 'pino';
import { type GitHub, type GitHubOptions, openGitHub } from '#src/adapters/github/github.ts';
import type { RunStore, ToldStore } from '#src/engine/store.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Attempt, Job, Run, RunView } from '#src/model/run.ts';

export const appId = 29310;
export const sha = 'a'.repeat(40);
export const api = 'https://api.github.com';
export const silent = pino({ level: 'silent' });

export const { privateKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
});

export const repository: Repository = {
  id: 5_000_000_001,
  owner: 'acme',
  name: 'shop',
  defaultBranch: 'main',
  private: true,
  cloneUrl: 'https://github.com/acme/shop.git',
  installationId: 77,
};

export function openTestGitHub(change: Partial<GitHubOptions> = {}): Promise<GitHub> {
  return openGitHub({
    appId,
    privateKey,
    webhookSecret: 'secret',
    host: null,
    protocol: 'https',
    logger: silent,
    ...change,
  });
}

/** Tokens for everybody, as often as they are asked for. */
export function allowTokens(scope: nock.Scope): nock.Scope {
  return scope
    .persist()
    .post(/\/app\/installations\/\d+\/access_tokens$/)
    .reply(201, () => ({
      token: 'ghs_test',
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      permissions: {},
    }));
}

export function memoryTold(): ToldStore & { readonly values: Map<string, string> } {
  const values = new Map<string, string>();
  return {
    values,
    async get(key) {
      return values.get(key) ?? null;
    },
    async set(key, value) {
      values.set(key, value);
    },
    async remove(prefix) {
      for (const key of values.keys()) if (key.startsWith(prefix)) values.delete(key);
    },
  };
}

/** The runs of a store, as a reporter sees them: those in `views`, each with what of it was told. */
export function memoryRuns(views: () => readonly RunView[]) {
  const told = new Map<string, number>();
  const runs: Pick<RunStore, 'view' | 'untold' | 'told'> = {
    view: async (id) => views().find((it) => it.run.id === id) ?? null,
    untold: async (limit) =>
      views()
        .filter(({ run }) => run.version > (told.get(run.id) ?? 0))
        .map(({ run }) => run.id)
        .slice(0, limit),
    told: async (id, version) => void told.set(id, Math.max(version, told.get(id) ?? 0)),
  };
  return { ...runs, versions: told };
}

/** That an attempt was followed by another. */
export function earlier(attempt: number, by: Attempt['by'], why: string, outcome: Attempt['outcome'] = null): Attempt {
  return { attempt, by, why, outcome, startedAt: start, finishedAt: start + 1_000 };
}

export function deployment(environment: string): PlannedJob {
  return plannedOf(`deploy ${environment}`, {
    work: { kind: 'deploy', environment, url: 'https://shop.example', rollout: [] },
  });
}

const start = Date.UTC(2026, 0, 1, 12);

export function job(id: string, change: Partial<Job> = {}): Job {
  return {
    id,
    runId: 'run1',
    plan: plannedOf(id),
    state: 'queued',
    outcome: null,
    attempt: 1,
    steps: [],
    annotations: [],
    tests: null,
    progress: null,
    note: null,
    gate: null,
    report: '',
    cancel: null,
    worker: null,
    earlier: [],
    queuedAt: start,
    notBefore: null,
    startedAt: null,
    finishedAt: null,
    ...change,
  };
}

export function running(id: string, change: Partial<Job> = {}): Job {
  return job(id, { state: 'running', startedAt: start, ...change });
}

export function ended(id: string, outcome: NonNullable<Job['outcome']>, change: Partial<Job> = {}): Job {
  return job(id, { state: 'completed', outcome, startedAt: start, finishedAt: start + 72_000, ...change });
}

export function view(jobs: readonly Job[], change: Partial<Run> = {}): RunView {
  return {
    jobs,
    run: {
      id: 'run1',
      repository,
      trigger: { kind: 'push', branch: 'main', sha, ref: 'refs/heads/main', actor: 'ada', title: 'Add a basket' },
      state: jobs.every((it) => it.state === 'completed') ? 'completed' : 'running',
      outcome: null,
      diagnostics: [],
      trust: null,
      pipelineFile: 'slipway.yml',
      pullRequest: null,
      concurrency: null,
      cancel: null,
      note: null,
      version: 1,
      createdAt: start,
      startedAt: start,
      finishedAt: null,
      ...change,
    },
  };
}

/** Waits until the condition holds; fails after 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('What was waited for did not happen.');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
