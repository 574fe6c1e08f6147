import { type Answer, appOf, created, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { revision } from '../git.ts';
import { characters, invalid } from '../refusal.ts';
import { nodeId, repositoryView, simpleUser } from '../views.ts';
import { isoTime } from '../world.ts';
import type { Body, CommitStatus, World } from '../world.ts';

const MOST_DESCRIPTION = 140;
const MOST_OF_A_CONTEXT = 1_000;

export const STATUS_ROUTES: Routes = {
  'POST /repos/{owner}/{repo}/statuses/{sha}': { needs: ['statuses', 'write'], handle: create },
  'GET /repos/{owner}/{repo}/commits/{ref}/status': { needs: ['statuses', 'read'], handle: combined },
};

async function create(call: RepoCall): Promise<Answer> {
  const { world, repo, body, params } = call;
  const sha = await revision(repo.path, String(params['sha']));
  if (!sha) throw invalid('Status', [{ field: 'sha', message: `No commit found for SHA: ${params['sha']}` }]);
  const description = (body['description'] ?? null) as string | null;
  if (characters(description ?? '') > MOST_DESCRIPTION) {
    throw invalid('Status', [
      { field: 'description', message: `is too long (maximum is ${MOST_DESCRIPTION} characters)` },
    ]);
  }
  const context = String(body['context'] ?? 'default');
  if (repo.statuses.filter((each) => each.sha === sha && each.context === context).length >= MOST_OF_A_CONTEXT) {
    throw invalid('Status', [
      { field: 'context', message: 'This SHA and context has reached the maximum number of statuses.' },
    ]);
  }
  const creator = appOf(call).bot;
  const status: CommitStatus = {
    id: world.id(),
    sha,
    context,
    state: String(body['state']),
    description,
    creator,
    targetUrl: (body['target_url'] ?? null) as string | null,
    createdAt: Date.now(),
  };
  repo.statuses.push(status);
  return created({ ...statusView(world, status), creator: simpleUser(world, creator) });
}

/** The newest of each context, and what they are together. */
async function combined(call: RepoCall): Promise<Answer> {
  const { world, repo, params } = call;
  const sha = await revision(repo.path, String(params['ref']));
  if (!sha) throw invalid('Commit', [{ field: 'ref', message: `No commit found for SHA: ${params['ref']}` }]);
  const newest = [
    ...new Map(repo.statuses.filter((each) => each.sha === sha).map((each) => [each.context, each])).values(),
  ];
  const failed = newest.some(({ state }) => state === 'failure' || state === 'error');
  const pending = newest.length === 0 || newest.some(({ state }) => state === 'pending');
  const { page, headers } = paged(call, newest);
  const body = {
    state: failed ? 'failure' : pending ? 'pending' : 'success',
    sha,
    total_count: newest.length,
    statuses: page.map((status) => statusView(world, status)),
    repository: repositoryView(world, repo),
  };
  return { ...ok(body), headers };
}

function statusView(world: World, status: CommitStatus): Body {
  return {
    id: status.id,
    node_id: nodeId('SC', status.id),
    avatar_url: `${world.url}/avatars/${status.creator.id}`,
    state: status.state,
    description: status.description,
    target_url: status.targetUrl,
    context: status.context,
    created_at: isoTime(status.createdAt),
    updated_at: isoTime(status.createdAt),
  };
}
