import { type Answer, ok, type RepoCall, type Routes } from '../call.ts';
import { blob, git, revision } from '../git.ts';
import { notFound, Refusal } from '../refusal.ts';
import { repositoryView, userView } from '../views.ts';
import type { Body } from '../world.ts';

const ONE_MEGABYTE = 1024 * 1024;
const MOST_ENTRIES = 1_000;
/** The endpoint's `permission` knows only the older roles; `role_name` is the real one. */
const OLDER_ROLE = { admin: 'admin', maintain: 'write', write: 'write', triage: 'read', read: 'read', none: 'none' };

export const REPO_ROUTES: Routes = {
  'GET /repos/{owner}/{repo}': {
    needs: ['metadata', 'read'],
    handle: ({ world, repo }) => ok(repositoryView(world, repo)),
  },
  'GET /repos/{owner}/{repo}/collaborators/{username}/permission': { needs: ['metadata', 'read'], handle: permission },
  'GET /repos/{owner}/{repo}/contents/{path}': { needs: ['contents', 'read'], handle: contents },
};

function permission({ world, repo, params }: RepoCall): Answer {
  const user = world.users.get(String(params['username']).toLowerCase());
  // Apps have permissions, and no role.
  if (user?.type !== 'User') throw new Refusal(404, `${String(params['username'])} is not a user`);
  const role = world.role(repo, user.login);
  return ok({ permission: OLDER_ROLE[role], role_name: role, user: { ...userView(world, user), role_name: role } });
}

async function contents(call: RepoCall): Promise<Answer> {
  const { repo, params, query } = call;
  const path = String(params['path']).replace(/^\/+|\/+$/g, '');
  const commit = await revision(repo.path, String(query['ref'] ?? repo.defaultBranch));
  if (!commit) throw new Refusal(404, `No commit found for the ref ${String(query['ref'] ?? repo.defaultBranch)}`);
  const entries = await tree(repo.path, commit, path === '' ? [] : [path]);
  const found = path === '' ? null : entries[0];
  if (found === undefined) throw notFound();
  if (found === null || found.type === 'tree') {
    const inside = await tree(repo.path, commit, path === '' ? [] : [`${path}/`]);
    return ok(inside.slice(0, MOST_ENTRIES).map((entry) => entryView(call, entry)));
  }
  const small = found.size <= ONE_MEGABYTE;
  const content = small ? (await blob(repo.path, found.sha)).toString('base64') : '';
  return ok({
    ...entryView(call, found),
    encoding: small ? 'base64' : 'none',
    content: content.replaceAll(/(.{60})/g, '$1\n'),
  });
}

interface Entry {
  readonly type: string;
  readonly sha: string;
  readonly size: number;
  readonly path: string;
}

async function tree(folder: string, commit: string, paths: readonly string[]): Promise<Entry[]> {
  const output = await git(folder, '--literal-pathspecs', 'ls-tree', '-z', '-l', commit, '--', ...paths);
  return output
    .split('\0')
    .filter(Boolean)
    .map((line) => {
      const [info = '', path = ''] = line.split('\t');
      const [, type = '', sha = '', size = ''] = info.split(/\s+/);
      return { type, sha, size: Number(size) || 0, path };
    });
}

function entryView({ world, repo }: RepoCall, entry: Entry): Body {
  const type = entry.type === 'tree' ? 'dir' : entry.type === 'commit' ? 'submodule' : 'file';
  const url = `${world.url}/api/v3/repos/${repo.fullName}/contents/${entry.path}`;
  return {
    type,
    name: entry.path.split('/').at(-1),
    path: entry.path,
    sha: entry.sha,
    size: entry.size,
    url,
    html_url: url,
    git_url: url,
    download_url: type === 'file' ? url : null,
    _links: { self: url, git: url, html: url },
  };
}
