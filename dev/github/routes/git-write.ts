import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Answer, appOf, created, ok, type RepoCall, type Routes } from '../call.ts';
import { git, gitWith, log, refs, revision } from '../git.ts';
import { closePull, received } from '../receive.ts';
import { announcePull, openPull, pullView } from '../pulls.ts';
import { invalid, notFound, Refusal } from '../refusal.ts';
import type { Body } from '../world.ts';
import { commitView } from './git.ts';

/** What an App writes into a repository: trees, commits, branches, pull requests. */
export const GIT_WRITE_ROUTES: Routes = {
  'POST /repos/{owner}/{repo}/git/trees': { needs: ['contents', 'write'], handle: createTree },
  'POST /repos/{owner}/{repo}/git/commits': { needs: ['contents', 'write'], handle: createCommit },
  'POST /repos/{owner}/{repo}/git/refs': { needs: ['contents', 'write'], handle: createRef },
  'PATCH /repos/{owner}/{repo}/git/refs/{ref}': { needs: ['contents', 'write'], handle: updateRef },
  'POST /repos/{owner}/{repo}/pulls': { needs: ['pull_requests', 'write'], handle: createPull },
  'PATCH /repos/{owner}/{repo}/pulls/{pull_number}': { needs: ['pull_requests', 'write'], handle: updatePull },
};

/** Files over those of `base_tree`; without it the tree holds nothing else. */
async function createTree({ world, repo, body }: RepoCall): Promise<Answer> {
  const index = join(repo.path, `index-${randomUUID()}`);
  try {
    const base = body['base_tree'] === undefined ? null : await revision(repo.path, String(body['base_tree']), 'tree');
    if (body['base_tree'] !== undefined && !base) throw new Refusal(422, 'base_tree is not a valid tree');
    await gitWith(repo.path, { index }, 'read-tree', ...(base ? [base] : ['--empty']));
    for (const { path, mode, content, sha } of body['tree'] as Body[]) {
      if (/(^|\/)(\.\.?|\.git)(\/|$)|^\/|^$/.test(String(path)))
        throw new Refusal(422, 'tree.path contains a malformed path component');
      const input = { input: String(content ?? '') };
      const object = sha ?? (await gitWith(repo.path, input, 'hash-object', '-w', '--stdin')).trim();
      await gitWith(repo.path, { index }, 'update-index', '--add', '--cacheinfo', `${mode},${object},${path}`);
    }
    const sha = (await gitWith(repo.path, { index }, 'write-tree')).trim();
    return created({
      sha,
      url: `${world.url}/api/v3/repos/${repo.fullName}/git/trees/${sha}`,
      truncated: false,
      tree: [],
    });
  } finally {
    await rm(index, { force: true });
  }
}

async function createCommit(call: RepoCall): Promise<Answer> {
  const { repo, body } = call;
  const tree = await revision(repo.path, String(body['tree']), 'tree');
  if (!tree) throw new Refusal(422, 'Tree SHA does not exist');
  const parents = (body['parents'] as string[] | undefined) ?? [];
  for (const parent of parents) {
    if (!(await revision(repo.path, parent))) throw new Refusal(422, `Parent SHA ${parent} does not exist`);
  }
  const input = { input: String(body['message']) };
  const sha = (
    await gitWith(repo.path, input, 'commit-tree', tree, ...parents.flatMap((parent) => ['-p', parent]), '-F', '-')
  ).trim();
  const [data] = await log(repo.path, [sha], 1);
  if (!data) throw notFound();
  const view = commitView(call, data);
  return created({
    ...(view['commit'] as Body),
    sha,
    node_id: sha,
    html_url: view['html_url'],
    parents: view['parents'],
  });
}

async function createRef(call: RepoCall): Promise<Answer> {
  const { repo, body } = call;
  const ref = String(body['ref']);
  const sha = await revision(repo.path, String(body['sha']));
  if (!/^refs\/(heads|tags)\/./.test(ref)) throw new Refusal(422, 'Reference name must start with refs/');
  if (!sha) throw new Refusal(422, 'Object does not exist');
  if ((await refs(repo.path)).has(ref)) throw new Refusal(422, 'Reference already exists');
  await move(call, ref, sha);
  return created(refView(call, ref, sha));
}

async function updateRef(call: RepoCall): Promise<Answer> {
  const { repo, body, params, world } = call;
  const ref = `refs/${String(params['ref'])}`;
  const before = (await refs(repo.path)).get(ref);
  if (!before) throw new Refusal(422, 'Reference does not exist');
  const sha = await revision(repo.path, String(body['sha']));
  if (!sha) throw new Refusal(422, 'Object does not exist');
  if (world.protectedBranches.has(`${repo.fullName} ${ref}`.toLowerCase())) {
    throw new Refusal(422, 'Repository rule violations found: Changes must be made through a pull request.');
  }
  const forward = await git(repo.path, 'merge-base', '--is-ancestor', before, sha).then(
    () => true,
    () => false,
  );
  if (!forward && body['force'] !== true) throw new Refusal(422, 'Update is not a fast forward');
  await move(call, ref, sha);
  return ok(refView(call, ref, sha));
}

async function move(call: RepoCall, ref: string, sha: string): Promise<void> {
  const before = await refs(call.repo.path);
  await git(call.repo.path, 'update-ref', ref, sha);
  await received(call, call.repo, before, await refs(call.repo.path), appOf(call).bot);
}

function refView({ world, repo }: RepoCall, ref: string, sha: string): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}/git`;
  return { ref, node_id: ref, url: `${api}/${ref}`, object: { type: 'commit', sha, url: `${api}/commits/${sha}` } };
}

async function createPull(call: RepoCall): Promise<Answer> {
  const { repo, body, world } = call;
  const branch = String(body['head']).split(':').at(-1) ?? '';
  const base = String(body['base']);
  const wrong = (field: string, message: string) => invalid('PullRequest', [{ field, message }]);
  const head = await revision(repo.path, `refs/heads/${branch}`);
  const onto = await revision(repo.path, `refs/heads/${base}`);
  if (!head) throw wrong('head', 'is invalid');
  if (!onto) throw wrong('base', 'is invalid');
  if ([...repo.pulls.values()].some((it) => it.state === 'open' && it.head.ref === branch && it.base.ref === base)) {
    throw wrong('head', `A pull request already exists for ${repo.owner.login}:${branch}.`);
  }
  if (head === onto) throw wrong('head', `No commits between ${base} and ${branch}`);
  const pull = await openPull(call, repo, {
    user: appOf(call).bot,
    title: String(body['title']),
    body: String(body['body'] ?? ''),
    head: { repo, ref: branch, sha: head },
    base: { ref: base, sha: onto },
    draft: body['draft'] === true,
  });
  return created(await pullView(world, repo, pull));
}

/** Only its state can be changed here. */
async function updatePull(call: RepoCall): Promise<Answer> {
  const { repo, body, params, world } = call;
  const pull = repo.pulls.get(Number(params['pull_number']));
  if (!pull) throw notFound();
  if (body['state'] === 'closed' && pull.state === 'open') await closePull(call, repo, pull, appOf(call).bot, null);
  if (body['state'] === 'open' && pull.state === 'closed' && pull.merged === null) {
    pull.state = 'open';
    await announcePull(call, repo, pull, 'reopened', appOf(call).bot);
  }
  return ok(await pullView(world, repo, pull));
}
