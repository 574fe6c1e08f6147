import type { GitOpsSpec } from '#src/model/delivery.ts';
import { type Outcome, PlatformError } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import type { RolloutTime } from './rollout-time.ts';
import type { GitOpsProgress } from './store-deployments.ts';

export interface GitOpsRequest {
  readonly parts: Parts;
  readonly run: Run;
  readonly job: Job;
  readonly work: DeployWork;
  readonly spec: GitOpsSpec;
  /** `repository@sha256:...` by image job. */
  readonly images: Readonly<Record<string, string>>;
  /** What an earlier process stored of this deployment; null: nothing. */
  readonly progress: GitOpsProgress | null;
  /** Awaited before and after each step into the world. What it throws ends the work where it is. */
  readonly save: (progress: GitOpsProgress) => Promise<void>;
  readonly say: (message: string) => void;
  /** Aborted when somebody cancels. */
  readonly signal: AbortSignal;
  /** Aborted when the server stops or the job is another's. */
  readonly leave: AbortSignal;
  readonly time: RolloutTime;
  readonly timeoutMs: number;
}

/** Deploys by a commit or pull request in another repository. Throws only the reason of `leave` and what `save` throws. */
export async function deployByCommit(_request: GitOpsRequest): Promise<Outcome> {
  throw new PlatformError('Not there yet.');
}
