import { checkRunOf } from '#src/adapters/github/report/check-run.ts';
import type { Deployed } from '#src/adapters/github/report/deployed.ts';
import { deploymentOf } from '#src/adapters/github/report/deployment.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import type { DeployTrigger } from '#src/model/event.ts';
import type { DeployWork, PreviewWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { plannedOf } from '#test/model/samples.ts';
import { job, running, sha, view } from './support.ts';

/** Deployments as runs have them, and what GitHub is to show of them. */

export const start = Date.UTC(2026, 0, 1, 12);
export const work: DeployWork = {
  kind: 'deploy',
  environment: 'production',
  url: 'https://shop.example',
  rollout: [{ kind: 'deployment', cluster: null, namespace: 'shop', name: 'api', container: 'server', image: 'image' }],
  rules: {
    allow: null,
    after: ['staging'],
    approvals: { count: 2, by: { permission: 'maintain', people: ['carol'], teams: ['acme/sre'] } },
    protect: [],
    windows: [],
  },
};
export const plan = plannedOf('deploy production', { work });
export const preview: PreviewWork = {
  kind: 'preview',
  environment: 'preview/pr-7',
  number: 7,
  url: 'https://pr-7.shop.example',
  manifests: ['k8s'],
  images: {},
  keepMinutes: 60,
};
export const digest = `ghcr.io/acme/shop@sha256:${'0123456789abcdef'.repeat(4)}`;

export function record(change: Partial<DeploymentRecord> = {}): DeploymentRecord {
  return {
    id: 'd',
    repositoryId: 1,
    repository: 'acme/shop',
    environment: 'production',
    sha,
    runId: 'run1',
    jobId: 'd',
    actor: 'ada',
    state: 'success',
    description: 'Deployed to production.',
    changes: [],
    createdAt: start,
    updatedAt: start,
    patchedAt: start,
    details: {},
    ...change,
  };
}

export function show(
  it: Job,
  change: Partial<Run> = {},
  deployed: Deployed = { record: null, images: {}, approvals: [] },
) {
  const seen = view([it], change);
  return {
    check: checkRunOf(seen, it, { detailsUrl: 'https://ci.example/j', excerpt: '', deployed }),
    deployment: deploymentOf(seen, it, false, deployed),
  };
}

export const approval: JobGate = { kind: 'approval', gate: 'start', needed: 2, given: ['carol'] };
export const between: JobGate = { kind: 'approval', gate: 'step 2', needed: 1, given: [] };
export const waits = (gate: JobGate | null, note: string | null = null) =>
  job('d', { plan, state: 'waiting', gate, note });
export const runs = (gate: JobGate | null) => running('d', { plan, gate, progress: '1 of 3 pods are new' });

export const command: DeployTrigger = {
  kind: 'deploy',
  environment: 'production',
  branch: 'basket',
  number: 7,
  request: '1',
  via: 'button',
  params: { colour: 'blue' },
  sha,
  ref: sha,
  actor: 'bob',
  title: 'Add a basket',
};
