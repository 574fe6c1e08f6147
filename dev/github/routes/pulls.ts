import { type Answer, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { changes, git, log, revision } from '../git.ts';
import { pullView, simplePull, testMerge } from '../pulls.ts';
import { invalid, notFound } from '../refusal.ts';
import type { Pull } from '../world.ts';
import { commitView, fileView } from './git.ts';

const MOST_COMMITS = 250;
const MOST_FILES = 3_000;

export const PULL_ROUTES: Routes = {
  'GET /repos/{owner}/{repo}/pulls': { needs: ['pull_requests', 'read'], handle: list },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}': { needs: ['pull_requests', 'read'], handle: get },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/commits': { needs: ['pull_requests', 'read'], handle: commits },
  'GET /repos/{owner}/{repo}/pulls/{pull_number}/files': { needs: ['pull_requests', 'read'], handle: files },
  'GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls': { needs: ['pull_requests', 'read'], handle: ofCommit },
};

/** Asking makes GitHub compute the test merge: the first answer's `mergeable` is null. */
async function get(call: RepoCall): Promise<Answer> {
  const pull = find(call);
  const view = await pullView(call.world, call.repo, pull);
  await testMerge(call.repo, pull);
  return ok(view);
}

function list(call: RepoCall): Answer {
  const { query, repo, world } = call;
  const state = String(query['state'] ?? 'open');
  const found = [...repo.pulls.values()].toReversed().filter((pull) => {
    const label = `${pull.head.repo.owner.login}:${pull.head.ref}`;
    return (
      (state === 'all' || pull.state === state) &&
      // GitHub passes over a head without its owner, which then selects nothing.
      (query['head'] === undefined || !String(query['head']).includes(':') || label === query['head']) &&
      (query['base'] === undefined || pull.base.ref === query['base'])
    );
  });
  const ordered = query['direction'] === 'asc' ? found.toReversed() : found;
  const { page, headers } = paged(call, ordered);
  return { status: 200, body: page.map((pull) => simplePull(world, repo, pull)), headers };
}

async function commits(call: RepoCall): Promise<Answer> {
  const pull = find(call);
  const found = (await log(call.repo.path, [`${pull.base.sha}..${pull.head.sha}`], MOST_COMMITS)).toReversed();
  const { page, headers } = paged(call, found);
  return { status: 200, body: page.map((commit) => commitView(call, commit)), headers };
}

async function files(call: RepoCall): Promise<Answer> {
  const { path } = call.repo;
  const { base, head } = find(call);
  const from = (await git(path, 'merge-base', base.sha, head.sha)).trim();
  const found = (await changes(path, from, head.sha)).slice(0, MOST_FILES);
  const { page, headers } = paged(call, found);
  return { status: 200, body: page.map((file) => fileView(call, head.sha, file)), headers };
}

/** Open pull requests that hold the commit, and merged ones that brought it. */
async function ofCommit(call: RepoCall): Promise<Answer> {
  const { repo, params, world } = call;
  const sha = await revision(repo.path, String(params['commit_sha']));
  if (!sha) throw invalid('Commit', [{ field: 'sha', message: `No commit found for SHA: ${params['commit_sha']}` }]);
  const found: Pull[] = [];
  for (const pull of repo.pulls.values()) {
    const shas = await git(repo.path, 'rev-list', `${pull.base.sha}..${pull.head.sha}`);
    if (pull.merged?.sha === sha || shas.includes(sha)) found.push(pull);
  }
  const { page, headers } = paged(call, found);
  return { status: 200, body: page.map((pull) => simplePull(world, repo, pull)), headers };
}

function find({ repo, params }: RepoCall): Pull {
  const pull = repo.pulls.get(Number(params['pull_number']));
  if (!pull) throw notFound();
  return pull;
}
