import type { JobGate } from '#src/model/deploy-rules.ts';
import { reasonOf } from '#src/model/outcome.ts';
import type { DeployWork, PreviewWork } from '#src/model/plan.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { addressOf, type Deployed, isDeployment, isReplaced, notDeployed, whyReplaced } from './deployed.ts';
import { generations } from './generations.ts';
import { cancelledText, cut, titleOf } from './text.ts';
import { waitTitle } from './waiting.ts';

/** A GitHub deployment of a job as GitHub should show it. */
export interface DeploymentReport {
  readonly environment: string;
  readonly production: boolean;
  /** It won't be there for long: a preview. */
  readonly transient: boolean;
  readonly description: string;
  /** Finds the deployment again if the answer to its creation was lost. */
  readonly payload: DeploymentPayload;
  readonly status: DeploymentStatus;
}

/** What other programs may want to know of it; as it was when the deployment was made on GitHub. */
export interface DeploymentPayload {
  readonly run: string;
  readonly job: string;
  /** The first of the attempts that it stands for. */
  readonly attempt: number;
  readonly mode?: string;
  /** By workload and container, or by image job. */
  readonly images?: Readonly<Record<string, string>>;
  readonly params?: Readonly<Record<string, string>>;
}

export interface DeploymentStatus {
  readonly state: 'pending' | 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';
  readonly description: string;
  readonly environmentUrl: string | null;
}

const maxDescription = 140;
const maxEntries = 50;
const maxValue = 300;

/**
 * The deployment of a deploy or preview job, or null as long as (or if) nothing is deployed: it waits for other jobs, or
 * ended before anybody could see it. One that waits for people, a time or its turn is told. `known`: GitHub was told of it
 * already, so its end must be told too.
 */
export function deploymentOf(
  view: RunView,
  job: Job,
  known: boolean,
  deployed: Deployed = notDeployed,
): DeploymentReport | null {
  const { work } = job.plan;
  if (!isDeployment(work)) return null;
  if (job.state === 'waiting' && job.gate === null && !known) return null;
  if (job.state === 'completed' && job.startedAt === null && !known) return null;
  return {
    environment: work.environment,
    production: work.kind === 'deploy' && /^(prod|production|live)\b/i.test(work.environment),
    transient: work.kind === 'preview',
    description: short(`${verb(work)}${view.run.trigger.title || `Commit ${view.run.trigger.sha.slice(0, 7)}`}`),
    payload: payloadOf(view.run, job, work, deployed),
    status: { ...standing(view, job, deployed), environmentUrl: addressOf(work, deployed) },
  };
}

function payloadOf(run: Run, job: Job, work: DeployWork | PreviewWork, { images }: Deployed): DeploymentPayload {
  const { trigger } = run;
  return {
    run: run.id,
    job: job.id,
    attempt: generations(job).at(-1) ?? 1,
    mode: work.kind === 'preview' ? 'preview' : (work.mode ?? 'deploy'),
    images: few(images),
    ...(trigger.kind === 'deploy' && trigger.params ? { params: few(trigger.params) } : {}),
  };
}

function few(values: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(values).slice(0, maxEntries);
  return Object.fromEntries(entries.map(([name, value]) => [cut(name, maxValue), cut(value, maxValue)]));
}

function verb(work: DeployWork | PreviewWork): string {
  if (work.kind === 'preview') return '';
  return work.mode === 'rollback' ? 'Roll back: ' : work.mode === 'promote' ? 'Promote: ' : '';
}

function standing(view: RunView, job: Job, deployed: Deployed): Pick<DeploymentStatus, 'state' | 'description'> {
  const { outcome, gate } = job;
  if (job.state !== 'completed' || outcome === null) {
    if (gate !== null && (job.state !== 'running' || gate.kind === 'approval')) {
      return { state: waitState(gate), description: short(waitTitle(gate, job.note)) };
    }
    const state = job.state === 'running' ? 'in_progress' : 'queued';
    const note = job.note ?? (job.state === 'waiting' ? view.run.note : null);
    return { state, description: short(job.progress ?? (state === 'queued' ? (note ?? 'Queued') : 'Starting')) };
  }
  switch (outcome.kind) {
    case 'success':
      return isReplaced(job, deployed)
        ? { state: 'inactive', description: short(whyReplaced(deployed)) }
        : { state: 'success', description: short(job.progress ?? 'Healthy') };
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

/** In line with others is `queued`; what somebody or something has to allow is `pending`. */
function waitState({ kind }: JobGate): 'pending' | 'queued' {
  return kind === 'queue' ? 'queued' : 'pending';
}

function short(text: string): string {
  return titleOf(text, maxDescription);
}
