import type { GitOps } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';

export interface FakePull {
  readonly number: number;
  readonly from: string;
  readonly body: string;
  readonly files: ReadonlyMap<string, string>;
  state: 'open' | 'merged' | 'closed';
  readonly comments: string[];
}

/** One repository in memory: its branch `main`, and pull requests to it. */
export interface FakeGitOps extends GitOps {
  readonly files: ReadonlyMap<string, string>;
  readonly commits: readonly { readonly sha: string; readonly message: string }[];
  readonly pulls: readonly FakePull[];
  /** Somebody else commits. */
  push(file: string, text: string): void;
  merge(number: number): void;
  shut(number: number): void;
}

/** `before` is called with the name of each call, and may throw; `after` when it was carried out, and loses its answer if it throws. */
export function createFakeGitOps(options: {
  readonly repository: string;
  readonly files: Readonly<Record<string, string>>;
  readonly before?: (call: string) => void | Promise<void>;
  readonly after?: (call: string) => void | Promise<void>;
}): FakeGitOps {
  const files = new Map(Object.entries(options.files));
  const commits: { sha: string; message: string }[] = [];
  const pulls: FakePull[] = [];
  let head = 0;

  async function call<T>(name: string, repository: string, signal: AbortSignal, work: () => T): Promise<T> {
    signal.throwIfAborted();
    await options.before?.(name);
    if (repository !== options.repository) throw new UserError(`Slipway's App is not installed on ${repository}.`);
    const answer = work();
    await options.after?.(name);
    return answer;
  }

  function add(change: ReadonlyMap<string, string>, message: string): string {
    for (const [file, text] of change) files.set(file, text);
    head += 1;
    commits.push({ sha: `c${head}`, message });
    return `c${head}`;
  }

  function find(number: number): FakePull {
    const pull = pulls.find((it) => it.number === number);
    if (!pull) throw new UserError(`There is no pull request #${number}.`);
    return pull;
  }

  const urlOf = (path: string): string => `https://github.example/${options.repository}/${path}`;
  return {
    files,
    commits,
    pulls,
    push: (file, text) => void add(new Map([[file, text]]), 'Somebody else'),
    merge(number) {
      const pull = find(number);
      add(pull.files, `Merge pull request #${number}`);
      pull.state = 'merged';
    },
    shut: (number) => void (find(number).state = 'closed'),
    read: (at, paths, signal) =>
      call('read', at.repository, signal, () => ({
        branch: at.branch ?? 'main',
        head: `c${head}`,
        files: new Map(paths.map((path) => [path, files.get(path) ?? null])),
      })),
    commit: (at, change, signal) =>
      call('commit', at.repository, signal, () => {
        if (at.head !== `c${head}`) throw new PlatformError(`The branch ${at.branch} of ${at.repository} has moved.`);
        const sha = add(change.files, change.message);
        return { sha, url: urlOf(`commit/${sha}`) };
      }),
    propose: (at, change, signal) =>
      call('propose', at.repository, signal, () => {
        const known = pulls.find((it) => (it.from === at.from && it.state === 'open') || it.body === change.body);
        const number = known?.number ?? pulls.length + 1;
        const { body, files: proposed } = change;
        if (!known) pulls.push({ number, from: at.from, body, files: proposed, state: 'open', comments: [] });
        return { number, url: urlOf(`pull/${number}`) };
      }),
    pullRequest: (repository, number, signal) =>
      call('pullRequest', repository, signal, () => ({ state: find(number).state, url: urlOf(`pull/${number}`) })),
    close: (repository, number, comment, signal) =>
      call('close', repository, signal, () => {
        const pull = find(number);
        if (pull.state !== 'open') return;
        pull.comments.push(comment);
        pull.state = 'closed';
      }),
  };
}
