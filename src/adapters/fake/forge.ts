import type { CheckState, Comparison, Forge, PullRequest, Reaction } from '#src/engine/ports-forge.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Role } from '#src/model/trust.ts';

export interface FakeForgeScript {
  /** By login; who isn't named has the role `none`. */
  readonly roles?: Readonly<Record<string, Role>>;
  readonly pullRequests?: readonly PullRequest[];
  /** Logins by `organisation/team`. */
  readonly teams?: Readonly<Record<string, readonly string[]>>;
  /** Commits by branch, tag or SHA. */
  readonly commits?: Readonly<Record<string, string>>;
  /** Logins by commit. */
  readonly authors?: Readonly<Record<string, readonly string[]>>;
  readonly checks?: Readonly<Record<string, readonly CheckState[]>>;
  readonly compare?: (base: string, head: string) => Comparison;
}

export interface FakeForge extends Forge {
  readonly reactions: readonly { readonly commentId: number; readonly reaction: Reaction }[];
  readonly comments: readonly { readonly number: number; readonly body: string }[];
  /** What every question throws, as long as it is set. */
  failure: Error | null;
  /** The role from now on. */
  setRole(login: string, role: Role): void;
  /** The pull request as it is from now on. */
  setPullRequest(pull: PullRequest): void;
}

/** Answers as scripted and remembers what was said. */
export function createFakeForge(script: FakeForgeScript = {}): FakeForge {
  const reactions: { commentId: number; reaction: Reaction }[] = [];
  const comments: { number: number; body: string }[] = [];
  const roles = new Map(Object.entries(script.roles ?? {}));
  let pullRequests = script.pullRequests ?? [];
  const forge: FakeForge = {
    failure: null,
    reactions,
    comments,
    setRole: (login, role) => void roles.set(login, role),
    setPullRequest(pull) {
      pullRequests = [...pullRequests.filter((it) => it.number !== pull.number), pull];
    },
    async role(_repository, login) {
      if (forge.failure) throw forge.failure;
      return roles.get(login) ?? 'none';
    },
    async pullRequest(_repository, number) {
      if (forge.failure) throw forge.failure;
      const found = pullRequests.find((it) => it.number === number);
      if (!found) throw new PlatformError(`GitHub could not be asked to show pull request #${number}: 404 Not Found.`);
      return found;
    },
    async openPullRequest(_repository, branch) {
      if (forge.failure) throw forge.failure;
      return pullRequests.find((it) => it.branch === branch && it.state === 'open' && !it.fork) ?? null;
    },
    async react(_repository, commentId, reaction) {
      reactions.push({ commentId, reaction });
    },
    async comment(_repository, number, body) {
      comments.push({ number, body });
    },
    async isMember(_repository, team, login) {
      if (forge.failure) throw forge.failure;
      return script.teams?.[team]?.includes(login) ?? false;
    },
    async commit(_repository, ref) {
      if (forge.failure) throw forge.failure;
      return script.commits?.[ref] ?? null;
    },
    async authors(_repository, sha) {
      if (forge.failure) throw forge.failure;
      return script.authors?.[sha] ?? [];
    },
    async checks(_repository, sha) {
      if (forge.failure) throw forge.failure;
      return script.checks?.[sha] ?? [];
    },
    async compare(_repository, base, head) {
      if (forge.failure) throw forge.failure;
      return script.compare?.(base, head) ?? { ahead: 0, behind: 0, commits: [] };
    },
  };
  return forge;
}
