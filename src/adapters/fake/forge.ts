import type { Forge, PullRequest, Reaction, Role } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';

export interface FakeForgeScript {
  /** By login; who isn't named has the role `none`. */
  readonly roles?: Readonly<Record<string, Role>>;
  readonly pullRequests?: readonly PullRequest[];
}

export interface FakeForge extends Forge {
  readonly reactions: readonly { readonly commentId: number; readonly reaction: Reaction }[];
  readonly comments: readonly { readonly number: number; readonly body: string }[];
}

/** Answers as scripted and remembers what was said. */
export function createFakeForge(script: FakeForgeScript = {}): FakeForge {
  const reactions: { commentId: number; reaction: Reaction }[] = [];
  const comments: { number: number; body: string }[] = [];
  const pullRequests = script.pullRequests ?? [];
  return {
    reactions,
    comments,
    async role(_repository, login) {
      return script.roles?.[login] ?? 'none';
    },
    async pullRequest(_repository, number) {
      const found = pullRequests.find((it) => it.number === number);
      if (!found) throw new PlatformError(`GitHub could not be asked to show pull request #${number}: 404 Not Found.`);
      return found;
    },
    async openPullRequest(_repository, branch) {
      return pullRequests.find((it) => it.branch === branch && it.state === 'open' && !it.fork) ?? null;
    },
    async react(_repository, commentId, reaction) {
      reactions.push({ commentId, reaction });
    },
    async comment(_repository, number, body) {
      comments.push({ number, body });
    },
  };
}
