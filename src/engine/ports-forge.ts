import type { Repository } from '#src/model/repository.ts';
import type { Role } from '#src/model/trust.ts';

/** What people are asked or answered outside of a run's report. Errors are thrown. */
export interface Forge {
  /** The person's role in the repository now, from GitHub: never from a payload. */
  role(repository: Repository, login: string): Promise<Role>;
  pullRequest(repository: Repository, number: number): Promise<PullRequest>;
  /** Open pull request whose head is this branch of this repository, if there is one. */
  openPullRequest(repository: Repository, branch: string): Promise<PullRequest | null>;
  react(repository: Repository, commentId: number, reaction: Reaction): Promise<void>;
  /** `key` names what the comment answers: with the same key it is made once, also if the answer was lost or the server died. */
  comment(repository: Repository, number: number, body: string, key?: string): Promise<void>;
  /** Whether the person is a member of the team (`organisation/slug`) now. False too if that may not be asked. */
  isMember(repository: Repository, team: string, login: string): Promise<boolean>;
  /** The commit that a branch, tag or the beginning of a SHA names; null if there is none, or more than one. */
  commit(repository: Repository, ref: string): Promise<string | null>;
  /** Logins of the commit's author and committer, and of who opened pull requests that brought it in. */
  authors(repository: Repository, sha: string): Promise<readonly string[]>;
  /** Check runs and commit statuses of the commit, of all Apps, the newest of each name and App. */
  checks(repository: Repository, sha: string): Promise<readonly CheckState[]>;
  /** The commits that are in `head` and not in `base`, newest first, at most 250. */
  compare(repository: Repository, base: string, head: string): Promise<Comparison>;
}

/** What somebody says of a commit. */
export interface CheckState {
  readonly name: string;
  /** The App's slug; `commit status` where it is one. */
  readonly by: string;
  readonly state: 'pending' | 'success' | 'failure' | 'neutral' | 'skipped' | 'unknown';
}

export interface Comparison {
  readonly ahead: number;
  readonly behind: number;
  readonly commits: readonly { readonly sha: string; readonly title: string; readonly author: string }[];
}

export type Reaction = '+1' | '-1' | 'eyes' | 'rocket' | 'confused';

export interface PullRequest {
  readonly number: number;
  readonly state: 'open' | 'closed';
  readonly title: string;
  readonly sha: string;
  readonly branch: string;
  readonly base: string;
  readonly fork: boolean;
  readonly author: string;
  /** The author is an App. */
  readonly bot?: boolean;
  /** GitHub's author_association; missing where it isn't told. */
  readonly association?: string;
}
