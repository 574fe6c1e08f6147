import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import type { Repository } from '#src/model/repository.ts';

/** What pages and the command line see and do of environments. Each throws PlatformError if GitHub or the store fails. */
export interface Environments {
  /** What is where now. `live`: the pipeline file and the clusters are asked too, which takes some seconds. */
  where(repository: Repository, how: { readonly live: boolean }): Promise<readonly EnvironmentStatus[]>;
  /** `ref`: a branch, tag or commit; null: the default branch. */
  deploy(repository: Repository, ask: { readonly environment: string; readonly ref: string | null }): Promise<Answered>;
  /** `to`: how many healthy deployments back, the beginning of a commit or a tag; null: the last healthy one. */
  rollback(
    repository: Repository,
    ask: { readonly environment: string; readonly to: string | null; readonly overLock: boolean },
  ): Promise<Answered>;
  promote(repository: Repository, ask: { readonly from: string; readonly to: string }): Promise<Answered>;
  /** `environment` '': the whole repository. */
  lock(repository: Repository, ask: { readonly environment: string; readonly reason: string }): Promise<Answered>;
  /** Whoever's the lock is: the operator may. */
  unlock(repository: Repository, ask: { readonly environment: string }): Promise<Answered>;
  /** Ends a deployment that runs or waits. */
  cancel(repository: Repository, ask: { readonly jobId: string }): Promise<Answered>;
}

/** unknown: there is no such environment, commit or deployment. `message`: plain text. */
export type Answered =
  | { readonly kind: 'accepted'; readonly message: string; readonly runId: string | null }
  | { readonly kind: 'refused' | 'unknown'; readonly message: string };
