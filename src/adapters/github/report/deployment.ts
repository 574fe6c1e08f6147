import { reasonOf } from '#src/model/outcome.ts';
import type { Job, RunView } from '#src/model/run.ts';
import { generations } from './generations.ts';
import { cancelledText, titleOf } from './text.ts';

/** A GitHub deployment of a job as GitHub should show it. */
export interface DeploymentReport {
  readonly environment: string;
  readonly production: boolean;
  readonly description: string;
  /** Finds the deployment again if the answer to its creation was lost. `attempt`: the first of those that it stands for. */
  readonly payload: { readonly run: string; readonly job: string; readonly attempt: number };
  readonly status: DeploymentStatus;
}

export interface DeploymentStatus {
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';
  readonly description: string;
  readonly environmentUrl: string | null;
}

const maxDescription = 140;

/**
 * The deployment of a deploy job, or null as long as (or if) nothing is deployed: it still waits, or ended before it
 * started. `known`: GitHub was told of it already, so its end must be told too.
 */
export function deploymentOf(view: RunView, job: Job, known: boolean): DeploymentReport | null {
  const { work } = job.plan;
  if (work.kind !== 'deploy' || job.state === 'waiting') return null;
  if (job.state === 'completed' && job.startedAt === null && !known) return null;
  return {
    environment: work.environment,
    production: /^(prod|production|live)\b/i.test(work.environment),
    description: short(view.run.trigger.title || `Commit ${view.run.trigger.sha.slice(0, 7)}`),
    payload: { run: view.run.id, job: job.id, attempt: generations(job).at(-1) ?? 1 },
    status: { ...standing(job), environmentUrl: work.url !== null && /^https?:\/\//.test(work.url) ? work.url : null },
  };
}

function standing(job: Job): Pick<DeploymentStatus, 'state' | 'description'> {
  const { outcome } = job;
  if (job.state !== 'completed' || outcome === null) {
    const state = job.state === 'running' ? 'in_progress' : 'queued';
    return { state, description: short(job.progress ?? (state === 'queued' ? (job.note ?? 'Queued') : 'Starting')) };
  }
  switch (outcome.kind) {
    case 'success':
      return { state: 'success', description: short(job.progress ?? 'Healthy') };
    case 'failure':
    case 'timed_out':
      return { state: 'failure', description: short(outcome.reason) };
    case 'broken':
      return { state: 'error', description: short(`Slipway failed: ${outcome.reason}`) };
    case 'cancelled':
      return { state: 'error', description: short(cancelledText(outcome.reason)) };
    case 'skipped':
    case 'neutral':
      return { state: 'inactive', description: short(reasonOf(outcome)) };
  }
}

function short(text: string): string {
  return titleOf(text, maxDescription);
}
