import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Parts } from '../parts.ts';

/** Who asks for a deployment, and by what. `operator`: the server's own command line, which needs no role on GitHub. */
export interface Asker {
  readonly login: string;
  readonly via: 'command' | 'button' | 'api';
  readonly operator?: boolean;
}

/** `message`: Markdown for whoever asked. */
export type Requested =
  | { readonly kind: 'accepted'; readonly runId: string; readonly message: string }
  | { readonly kind: 'refused'; readonly message: string };

export interface DeployAsk {
  readonly repository: Repository;
  readonly environment: string;
  readonly by: Asker;
  readonly commit: {
    readonly sha: string;
    /** Fully qualified ref from which the commit can be fetched. */
    readonly ref: string;
    /** '' if the commit was named by a tag or a SHA. */
    readonly branch: string;
    readonly tag?: string;
    readonly title: string;
  };
  /** The pull request where it is asked for, or null. */
  readonly number: number | null;
  /** Makes each request one deployment: with the same it is made once. */
  readonly request: string;
  readonly params?: Readonly<Record<string, string>>;
}

export interface RollbackAsk {
  readonly repository: Repository;
  readonly environment: string;
  /** How many healthy deployments back, a SHA or a tag; null: the last healthy one. */
  readonly to: string | null;
  readonly by: Asker;
  readonly number: number | null;
  readonly request: string;
  /** A maintainer goes over the lock. */
  readonly overLock: boolean;
}

export interface PromoteAsk {
  readonly repository: Repository;
  readonly from: string;
  readonly to: string;
  readonly by: Asker;
  readonly number: number | null;
  readonly request: string;
}

type Wake = (runId: string) => Promise<void>;

/** Deploys a commit to an environment, or says why not; audited either way. Throws PlatformError if that can't be found out. */
export async function requestDeploy(_parts: Parts, _ask: DeployAsk, _wake: Wake): Promise<Requested> {
  throw new PlatformError('Not there yet.');
}

/** Restores the digests of an earlier healthy deployment. As requestDeploy. */
export async function requestRollback(_parts: Parts, _ask: RollbackAsk, _wake: Wake): Promise<Requested> {
  throw new PlatformError('Not there yet.');
}

/** Deploys to `to` the digests that are healthy in `from` now. As requestDeploy. */
export async function requestPromote(_parts: Parts, _ask: PromoteAsk, _wake: Wake): Promise<Requested> {
  throw new PlatformError('Not there yet.');
}
