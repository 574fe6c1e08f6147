import { compileFile } from '#src/dialects/index.ts';
import type { DeployTrigger, Trigger } from '#src/model/event.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { type PlanOptions, plan } from '#src/planner/plan.ts';
import { repository, sha } from '#test/model/samples.ts';

/** Events, and what is planned of a pipeline file for them. */

const base = { sha, actor: 'ada', title: 't', ref: 'refs/x' };
export const push = (branch: string): Trigger => ({ ...base, kind: 'push', branch });
export const tag = (name: string): Trigger => ({ ...base, kind: 'tag', tag: name });
export const pull = (fork = false): Trigger => ({
  ...base,
  kind: 'pull_request',
  number: 7,
  branch: 'topic',
  base: 'main',
  fork,
});
export const deploy = (environment: string, more: Partial<DeployTrigger> = {}): DeployTrigger => ({
  ...base,
  kind: 'deploy',
  environment,
  branch: 'topic',
  number: 7,
  request: '1',
  ...more,
});
export const digest = (letter: string) => `ghcr.io/acme/shop@sha256:${letter.repeat(64)}`;

export const SHOP = `
jobs:
  test: { image: x, run: y, artifacts: dist }
  image: { needs: test, build: { image: ghcr.io/acme/shop } }
  smoke: { image: x, run: y, needs: test, if: false, concurrency: smoke, environment: production, secrets: [KEY] }
environments:
  staging:
    on: { branch: main, tag: v* }
    rollout: [{ deployment: shop-staging/api, container: api, image: image }]
  production:
    on: { tag: v*, release: true }
    after: staging
    approvals: 2
    queue: newest
    stable: 30s
    parallel: true
    timeout: 20m
    rollout: [{ deployment: shop/api, container: api, image: image }]
    steps:
      - 10%
      - { probe: "https://\${{ event.params.host }}/health?tag=\${{ event.tag }}" }
      - { job: smoke }
      - 50%
      - { job: smoke }
  elsewhere:
    on: manual
    gitops: { repository: acme/deploy, file: shop.yaml, field: image, image: image }
`;

export function planned(file: string, trigger: Trigger, options: Partial<PlanOptions> = {}) {
  const compiled = compileFile('slipway.yml', file);
  if (compiled.kind !== 'pipeline') throw new Error(JSON.stringify(compiled));
  return plan(compiled.pipeline, trigger, repository, { message: '', done: new Set(), ...options });
}

export function jobs(...args: Parameters<typeof planned>): readonly PlannedJob[] {
  const answer = planned(...args);
  if (answer.kind === 'refused') throw new Error(answer.message);
  return answer.plan.jobs;
}

export const keys = (list: readonly PlannedJob[]) => list.map((job) => job.key);
export const find = (list: readonly PlannedJob[], key: string) => list.find((job) => job.key === key);
