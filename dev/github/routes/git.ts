import { type Answer, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { changes, type CommitData, git, log, refs, revision, show } from '../git.ts';
import { notFound, Refusal } from '../refusal.ts';
import { simpleUser } from '../views.ts';
import type { Body, World } from '../world.ts';

const MOST_COMMITS = 250;
const MOST_FILES = 300;

export const GIT_ROUTES: Routes = {
  'GET /repos/{owner}/{repo}/branches/{branch}': { needs: ['contents', 'read'], handle: branch },
  'GET /repos/{owner}/{repo}/commits/{ref}': { needs: ['contents', 'read'], handle: commit },
  'GET /repos/{owner}/{repo}/git/ref/{ref}': { needs: ['contents', 'read'], handle: ref },
  'GET /repos/{owner}/{repo}/git/matching-refs/{ref}': { needs: ['contents', 'read'], handle: matchingRefs },
  'GET /repos/{owner}/{repo}/git/tags/{tag_sha}': { needs: ['contents', 'read'], handle: tag },
  'GET /repos/{owner}/{repo}/git/commits/{commit_sha}': { needs: ['contents', 'read'], handle: gitCommit },
  'GET /repos/{owner}/{repo}/compare/{basehead}': { needs: ['contents', 'read'], handle: compare },
};

async function branch(call: RepoCall): Promise<Answer> {
  const name = String(call.params['branch']);
  const sha = await revision(call.repo.path, `refs/heads/${name}`);
  const [found] = sha ? await log(call.repo.path, [sha], 1) : [];
  if (!found) throw new Refusal(404, 'Branch not found');
  return ok({ name, commit: commitView(call, found), protected: false });
}

async function commit(call: RepoCall): Promise<Answer> {
  const name = String(call.params['ref']);
  const sha = await revision(call.repo.path, name);
  const [found] = sha ? await log(call.repo.path, [sha], 1) : [];
  if (!found) throw new Refusal(422, `No commit found for SHA: ${name}`);
  const files = await changes(call.repo.path, found.parents[0] ?? null, found.sha);
  return ok({
    ...commitView(call, found),
    files: files.slice(0, MOST_FILES).map((file) => fileView(call, found.sha, file)),
  });
}

async function ref(call: RepoCall): Promise<Answer> {
  const name = `refs/${String(call.params['ref'])}`;
  const sha = (await refs(call.repo.path)).get(name);
  if (!sha) throw notFound();
  return ok(refView(call, name, sha, (await git(call.repo.path, 'cat-file', '-t', sha)).trim()));
}

/** All refs that begin with this, in one answer: GitHub doesn't page them. */
async function matchingRefs(call: RepoCall): Promise<Answer> {
  const format = '--format=%(refname) %(objectname) %(objecttype)';
  const lines = (await git(call.repo.path, 'for-each-ref', format)).split('\n').filter(Boolean);
  const all = lines.map((line) => line.split(' ') as [string, string, string]);
  const found = all.filter(([name]) => name.startsWith(`refs/${String(call.params['ref'])}`));
  return ok(found.map(([name, sha, type]) => refView(call, name, sha, type)));
}

function refView({ world, repo }: RepoCall, name: string, sha: string, type: string): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}/git`;
  return { ref: name, node_id: name, url: `${api}/${name}`, object: { type, sha, url: `${api}/${type}s/${sha}` } };
}

/** An annotated tag's object; 404 for anything else, lightweight tags included. */
async function tag(call: RepoCall): Promise<Answer> {
  const sha = await revision(call.repo.path, String(call.params['tag_sha']), 'tag');
  if (!sha) throw notFound();
  const text = await git(call.repo.path, 'cat-file', 'tag', sha);
  const [head = '', ...message] = text.split('\n\n');
  const fields = new Map(
    head.split('\n').map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  );
  const tagger = /^(.*) <(.*)> (\d+) /.exec(fields.get('tagger') ?? '');
  const api = `${call.world.url}/api/v3/repos/${call.repo.fullName}/git`;
  const object = fields.get('object') ?? '';
  const type = fields.get('type') ?? 'commit';
  return ok({
    node_id: sha,
    tag: fields.get('tag'),
    sha,
    url: `${api}/tags/${sha}`,
    message: message.join('\n\n').trimEnd(),
    tagger: { name: tagger?.[1], email: tagger?.[2], date: new Date(Number(tagger?.[3] ?? 0) * 1000).toISOString() },
    object: { sha: object, type, url: `${api}/${type}s/${object}` },
  });
}

async function gitCommit(call: RepoCall): Promise<Answer> {
  const sha = await revision(call.repo.path, String(call.params['commit_sha']));
  const [found] = sha ? await log(call.repo.path, [sha], 1) : [];
  if (!found) throw notFound();
  const view = commitView(call, found);
  return ok({
    ...(view['commit'] as Body),
    sha: found.sha,
    node_id: found.sha,
    html_url: view['html_url'],
    parents: view['parents'],
  });
}

/** `BASE...HEAD`: the first 250 commits or, where a page is asked for, that of all of them; oldest first. 300 files. */
async function compare(call: RepoCall): Promise<Answer> {
  const { path } = call.repo;
  const [baseName = '', headName = ''] = String(call.params['basehead']).split('...');
  const base = await revision(path, baseName);
  const head = await revision(path, headName);
  if (!base || !head) throw notFound();
  const meeting = (await git(path, 'merge-base', base, head).catch(() => '')).trim();
  if (!meeting) throw new Refusal(404, `No common ancestor between ${baseName} and ${headName}.`);
  const ahead = Number(await git(path, 'rev-list', '--count', `${base}..${head}`));
  const behind = Number(await git(path, 'rev-list', '--count', `${head}..${base}`));
  const { commits, headers } = await comparedCommits(call, `${base}..${head}`);
  const [baseCommit] = await log(path, [base], 1);
  const [mergeBase] = await log(path, [meeting], 1);
  const files = await changes(path, meeting, head);
  const body = {
    status: ahead > 0 ? (behind > 0 ? 'diverged' : 'ahead') : behind > 0 ? 'behind' : 'identical',
    ahead_by: ahead,
    behind_by: behind,
    total_commits: ahead,
    base_commit: baseCommit && commitView(call, baseCommit),
    merge_base_commit: mergeBase && commitView(call, mergeBase),
    commits: commits.map((each) => commitView(call, each)),
    files: files.slice(0, MOST_FILES).map((file) => fileView(call, head, file)),
  };
  return { status: 200, body, headers };
}

async function comparedCommits(
  call: RepoCall,
  range: string,
): Promise<{ readonly commits: readonly CommitData[]; readonly headers: Record<string, string> }> {
  const { path } = call.repo;
  const shas = (await git(path, 'rev-list', '--topo-order', range)).split('\n').filter(Boolean);
  const asked = call.query['page'] !== undefined || call.query['per_page'] !== undefined;
  if (!asked) return { commits: await show(path, shas.slice(0, MOST_COMMITS).toReversed()), headers: {} };
  const { page, headers } = paged(call, shas.toReversed());
  return { commits: await show(path, page), headers };
}

export function commitView({ world, repo }: RepoCall, data: CommitData): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const html = `${world.url}/${repo.fullName}/commit/${data.sha}`;
  return {
    sha: data.sha,
    node_id: data.sha,
    url: `${api}/commits/${data.sha}`,
    html_url: html,
    comments_url: `${api}/commits/${data.sha}/comments`,
    author: accountOf(world, data.author.email),
    committer: accountOf(world, data.committer.email),
    commit: {
      url: `${api}/git/commits/${data.sha}`,
      message: data.message,
      author: data.author,
      committer: data.committer,
      comment_count: 0,
      tree: { sha: data.tree, url: `${api}/git/trees/${data.tree}` },
    },
    parents: data.parents.map((sha) => ({ sha, url: `${api}/commits/${sha}`, html_url: html })),
  };
}

function accountOf(world: World, email: string): Body | null {
  const user = world.userOf(email);
  return user && simpleUser(world, user);
}

export function fileView({ world, repo }: RepoCall, sha: string, file: { status: string; path: string }): Body {
  const url = `${world.url}/${repo.fullName}/blob/${sha}/${file.path}`;
  return { sha, filename: file.path, status: file.status, blob_url: url, raw_url: url, contents_url: url };
}
