import type { GitOps } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { asPlatformError, describe, faultOf } from './faults.ts';
import type { Client, GitHub, Urgency } from './github.ts';

/** Branches of which the names begin so are Slipway's own, and may be set to anything. */
const own = 'slipway/';
/** GitHub shows no contents over this. */
const mostBytes = 1024 * 1024;

/** Changes files in repositories where the App is installed, whoever's they are: the operator's file says which. */
export function createGitOps(github: Pick<GitHub, 'client' | 'probot'>): GitOps {
  const installations = new Map<string, Promise<number>>();
  return {
    read: (at, files, signal) =>
      within(at.repository, signal, 'read', async (here) => {
        const branch = at.branch ?? (await here.client.rest.repos.get(here.at)).data.default_branch;
        const ref = await here.client.rest.git
          .getRef({ ...here.at, ref: `heads/${branch}` })
          .catch((error: unknown) => {
            if (statusOf(error) !== 404) throw error;
            throw new UserError(
              `There is no branch ${branch} in ${at.repository}. Correct \`branch\` under \`gitops\`.`,
            );
          });
        const head = ref.data.object.sha;
        const texts = await Promise.all(files.map((file) => contents(here, file, head)));
        return { branch, head, files: new Map(files.map((file, index) => [file, texts[index] ?? null])) };
      }),

    commit: (at, change, signal) =>
      within(at.repository, signal, 'commit to', async (here) => {
        const made = await makeCommit(here, at.head, change);
        await here.client.rest.git
          .updateRef({ ...here.at, ref: `heads/${at.branch}`, sha: made.sha, force: false })
          .catch((error: unknown) => {
            throw refusedUpdate(error, at);
          });
        return made;
      }),

    propose: (at, change, signal) =>
      within(at.repository, signal, 'open a pull request in', async (here) => {
        const known = await proposed(here, at.from, change.body);
        if (known) return known;
        const { sha } = await makeCommit(here, at.head, change);
        await setBranch(here, at.from, sha);
        const title = change.message.split('\n', 1)[0] ?? '';
        const pull = await here.client.rest.pulls.create({
          ...here.at,
          title,
          body: change.body,
          head: at.from,
          base: at.branch,
          maintainer_can_modify: false,
        });
        return { number: pull.data.number, url: pull.data.html_url };
      }),

    pullRequest: (repository, number, signal) =>
      within(repository, signal, `show pull request #${number} of`, async ({ client, at }) => {
        const { data } = await client.rest.pulls.get({ ...at, pull_number: number });
        return { state: data.merged ? 'merged' : data.state === 'open' ? 'open' : 'closed', url: data.html_url };
      }),

    close: (repository, number, comment, signal) =>
      within(repository, signal, `close pull request #${number} of`, async ({ client, at }) => {
        const { data } = await client.rest.pulls.get({ ...at, pull_number: number });
        if (data.state !== 'open') return;
        await client.rest.pulls.update({ ...at, pull_number: number, state: 'closed' });
        await client.rest.issues.createComment({ ...at, issue_number: number, body: comment });
      }),
  };

  /** `doing` completes "GitHub could not be asked to ...". */
  async function within<T>(
    repository: string,
    signal: AbortSignal,
    doing: string,
    work: (here: Here) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted();
    const [owner = '', repo = ''] = repository.split('/');
    const key = repository.toLowerCase();
    try {
      let installation = installations.get(key);
      if (!installation) {
        installation = find(owner, repo, signal);
        installations.set(key, installation);
      }
      const client = await github.client(await installation);
      return await work({ client, repository, at: { owner, repo, request: { priority: 1, signal } } });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof UserError)) installations.delete(key);
      throw explained(error, `${doing} ${repository}`, repository);
    }
  }

  async function find(owner: string, repo: string, signal: AbortSignal): Promise<number> {
    const app = await github.probot.auth();
    try {
      const { data } = await app.rest.apps.getRepoInstallation({ owner, repo, request: { signal } });
      return data.id;
    } catch (error) {
      installations.delete(`${owner}/${repo}`.toLowerCase());
      if (statusOf(error) !== 404) throw error;
      throw new UserError(
        `Slipway's App is not installed on ${owner}/${repo}, or there is no such repository. Install it there, with the permissions contents: write and pull_requests: write.`,
      );
    }
  }
}

interface Here {
  readonly client: Client;
  readonly repository: string;
  readonly at: {
    readonly owner: string;
    readonly repo: string;
    readonly request: Urgency & { readonly signal: AbortSignal };
  };
}

/** Null if there is no such file. */
async function contents({ client, at, repository }: Here, path: string, ref: string): Promise<string | null> {
  // An address that leads elsewhere would be asked for there.
  if (path.split('/').some((part) => ['', '.', '..', '.git'].includes(part))) {
    throw new UserError(`"${path}" is no path of a file in ${repository}. Correct \`file\` under \`gitops\`.`);
  }
  const answer = await client.rest.repos.getContent({ ...at, path, ref }).catch((error: unknown) => {
    if (statusOf(error) === 404) return null;
    throw error;
  });
  if (answer === null) return null;
  const { data } = answer;
  if (Array.isArray(data) || data.type !== 'file' || !('content' in data)) {
    throw new UserError(`${path} in ${repository} is no file. Correct \`file\` under \`gitops\`.`);
  }
  if (data.size > mostBytes) throw new UserError(`${path} in ${repository} is larger than 1 MB.`);
  const bytes = Buffer.from(data.content, 'base64');
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) throw new UserError(`${path} in ${repository} is no text in UTF-8.`);
  return text;
}

/** A commit with all files in it on top of `head`, on no branch yet. */
async function makeCommit(
  { client, at }: Here,
  head: string,
  change: { readonly files: ReadonlyMap<string, string>; readonly message: string },
): Promise<{ readonly sha: string; readonly url: string }> {
  const base = await client.rest.git.getCommit({ ...at, commit_sha: head });
  const tree = await client.rest.git.createTree({
    ...at,
    base_tree: base.data.tree.sha,
    tree: [...change.files].map(([path, content]) => ({ path, mode: '100644', type: 'blob', content })),
  });
  const { data } = await client.rest.git.createCommit({
    ...at,
    message: change.message,
    tree: tree.data.sha,
    parents: [head],
  });
  return { sha: data.sha, url: data.html_url };
}

/** Makes the branch, or sets the one that an earlier deployment left. */
async function setBranch({ client, at }: Here, branch: string, sha: string): Promise<void> {
  try {
    await client.rest.git.createRef({ ...at, ref: `refs/heads/${branch}`, sha });
  } catch (error) {
    if (statusOf(error) !== 422 || !/already exists/i.test(describe(error)) || !branch.startsWith(own)) throw error;
    await client.rest.git.updateRef({ ...at, ref: `heads/${branch}`, sha, force: true });
  }
}

/** The pull request that is open from the branch, or was opened with this body. */
async function proposed({ client, at }: Here, from: string, body: string) {
  const { data } = await client.rest.pulls.list({
    ...at,
    head: `${at.owner}:${from}`,
    state: 'all',
    sort: 'created',
    direction: 'desc',
    per_page: 100,
  });
  const mine = data.filter((it) => it.head.ref === from);
  const same = (text: string | null): boolean => text?.replaceAll('\r\n', '\n').trim() === body.trim();
  const found = mine.find((it) => it.state === 'open') ?? mine.find((it) => same(it.body));
  return found ? { number: found.number, url: found.html_url } : null;
}

function refusedUpdate(error: unknown, at: { readonly repository: string; readonly branch: string }): unknown {
  const said = describe(error);
  const status = statusOf(error);
  if (status === 422 && /fast.?forward/i.test(said)) {
    return new PlatformError(`The branch ${at.branch} of ${at.repository} has moved meanwhile.`, { cause: error });
  }
  // Rules of a branch come with several statuses and words.
  if (status === 409 || status === 422 || (status === 403 && /protected|rule|required|pull request/i.test(said))) {
    return new UserError(
      `GitHub takes no commit to ${at.branch} of ${at.repository}: ${said}. If the branch is protected, set \`pull_request: true\` under \`gitops\`.`,
    );
  }
  return error;
}

function explained(error: unknown, doing: string, repository: string): Error {
  if (error instanceof UserError || error instanceof PlatformError) return error;
  const fault = faultOf(error, Date.now());
  if (fault.kind === 'permanent' && fault.status === 403) {
    return new PlatformError(
      `Slipway's App may not ${doing}: ${describe(error)}. It needs the permissions contents: write and pull_requests: write; accept them on the page of its installation for ${repository}.`,
      { cause: error, retry: 'never' },
    );
  }
  const told = asPlatformError(doing, error);
  // Nobody's waiting changes these; a token may be taken again.
  const isFinal = fault.kind === 'permanent' && fault.status !== 401;
  return isFinal ? new PlatformError(told.message, { cause: error, retry: 'never' }) : told;
}

function statusOf(error: unknown): number | null {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : null;
}
