/** A repository as every part of Slipway knows it. */
export interface Repository {
  /** GitHub's numeric id (may exceed 2^32). 0 for the local folder of `slipway run`. */
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  readonly defaultBranch: string;
  readonly private: boolean;
  /** https clone address, without credentials; a folder's path for `slipway run`. */
  readonly cloneUrl: string;
  /** The App's installation that gives access. 0 where there is none. */
  readonly installationId: number;
}

/** `owner/name`, the form people write. */
export function fullName(repository: Pick<Repository, 'owner' | 'name'>): string {
  return `${repository.owner}/${repository.name}`;
}
