import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { Lock } from '#src/engine/store-deployments.ts';

type Wake = (runId: string) => Promise<void>;

/** Takes the lock, unless somebody has it: then theirs is answered. Audited. Who may is asked before (refusePerson). `environment` '': the whole repository. */
export async function lock(
  _parts: Parts,
  _wanted: {
    readonly repository: Repository;
    readonly environment: string;
    readonly owner: string;
    readonly reason: string;
    readonly pullRequest: number | null;
  },
): Promise<{ readonly taken: boolean; readonly lock: Lock }> {
  throw new PlatformError('Not there yet.');
}

/**
 * Releases a lock: one's own, or with `force` another's, for which GitHub must report maintain or admin (`operator`: it isn't
 * asked). others: it is somebody else's, and stays. Audited. What waited for it goes on.
 */
export async function unlock(
  _parts: Parts,
  _asked: {
    readonly repository: Repository;
    readonly environment: string;
    readonly by: string;
    readonly force: boolean;
    readonly operator?: boolean;
  },
  _wake: Wake,
): Promise<{ readonly kind: 'released' | 'none' | 'others'; readonly lock: Lock | null }> {
  throw new PlatformError('Not there yet.');
}

/** Releases what went with a pull request that was closed; returns it. */
export async function releaseClosed(
  _parts: Parts,
  _repository: Repository,
  _number: number,
  _wake: Wake,
): Promise<readonly Lock[]> {
  throw new PlatformError('Not there yet.');
}

/** The lock (of the environment, else of the repository) that keeps this person from deploying; `login` null: that keeps an automatic deployment. */
export async function blockedBy(
  _parts: Pick<Parts, 'store'>,
  _repositoryId: number,
  _environment: string,
  _login: string | null,
): Promise<Lock | null> {
  throw new PlatformError('Not there yet.');
}

/** Has every unfinished deployment of the repository looked at again, on all servers. */
export async function wakeDeploying(_parts: Pick<Parts, 'store'>, _repositoryId: number, _wake: Wake): Promise<void> {
  throw new PlatformError('Not there yet.');
}
