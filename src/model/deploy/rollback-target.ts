import { PlatformError } from '#src/model/outcome.ts';

/** What a deployment that is over tells: a part of the engine's DeploymentRecord. */
export interface Past {
  readonly id: string;
  readonly sha: string;
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';
  readonly actor: string;
  readonly createdAt: number;
  readonly changes: readonly { readonly workload: string; readonly after: string }[];
  readonly details: {
    readonly images?: Readonly<Record<string, string>>;
    readonly tag?: string;
    readonly rolledBack?: boolean;
    readonly healthyAt?: number;
  };
}

/**
 * What a rollback restores. `history`: the environment's deployments, newest first. `to`: how many steps back, the beginning
 * of a commit, or a tag; null: the newest that was healthy, isn't what runs, and wasn't rolled back from.
 */
export function rollbackTarget<T extends Past>(
  _history: readonly T[],
  _to: string | null,
): { readonly kind: 'found'; readonly record: T } | { readonly kind: 'none'; readonly message: string } {
  throw new PlatformError('Not there yet.');
}
