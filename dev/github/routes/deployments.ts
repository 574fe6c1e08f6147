import { type Answer, appOf, created, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { latest } from '../checks.ts';
import { git, revision } from '../git.ts';
import { characters, invalid, notFound, Refusal } from '../refusal.ts';
import { nodeId, simpleUser } from '../views.ts';
import { isoTime } from '../world.ts';
import type { Body, Deployment, DeploymentStatus, Repo, World } from '../world.ts';

const MOST_DESCRIPTION = 140;

export const DEPLOYMENT_ROUTES: Routes = {
  'GET /repos/{owner}/{repo}/deployments': { needs: ['deployments', 'read'], handle: list },
  'POST /repos/{owner}/{repo}/deployments': { needs: ['deployments', 'write'], handle: create },
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}': {
    needs: ['deployments', 'read'],
    handle: (call) => ok(deploymentView(call.world, call.repo, find(call))),
  },
  'GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': {
    needs: ['deployments', 'read'],
    handle: statuses,
  },
  'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses': {
    needs: ['deployments', 'write'],
    handle: addStatus,
  },
};

async function create(call: RepoCall): Promise<Answer> {
  const { world, repo, body, webhooks } = call;
  const ref = String(body['ref']);
  const sha = await revision(repo.path, ref);
  if (!sha) throw invalid('Deployment', [{ field: 'ref', message: `No ref found for: ${ref}` }]);
  if (body['auto_merge'] !== false && (await isBehind(repo, sha))) {
    return { status: 202, body: { message: `Auto-merged ${repo.defaultBranch} into ${ref} on deployment.` } };
  }
  refuseUnverified(repo, ref, sha, body['required_contexts'] as string[] | undefined);
  const app = appOf(call);
  const environment = String(body['environment'] ?? 'production');
  const deployment: Deployment = {
    id: world.id(),
    sha,
    ref,
    task: String(body['task'] ?? 'deploy'),
    environment,
    description: (body['description'] ?? null) as string | null,
    payload: body['payload'] ?? {},
    transient: body['transient_environment'] === true,
    production: (body['production_environment'] as boolean | undefined) ?? environment === 'production',
    creator: app.bot,
    app,
    createdAt: Date.now(),
    statuses: [],
  };
  repo.deployments.set(deployment.id, deployment);
  const view = deploymentView(world, repo, deployment);
  webhooks.repository(repo, 'deployment', 'created', app.bot, { deployment: view });
  return created(view);
}

/** GitHub merges the default branch into a branch that is behind it, unless it is told not to. */
async function isBehind(repo: Repo, sha: string): Promise<boolean> {
  const tip = await revision(repo.path, `refs/heads/${repo.defaultBranch}`);
  return tip !== null && Number(await git(repo.path, 'rev-list', '--count', `${sha}..${tip}`)) > 0;
}

/** Without a list all of the commit's checks and statuses must be successful, the deploying App's own too. */
function refuseUnverified(repo: Repo, ref: string, sha: string, required: readonly string[] | undefined): void {
  const states = new Map<string, string>();
  for (const run of latest([...repo.runs.values()].filter(({ headSha }) => headSha === sha))) {
    states.set(run.name, run.status === 'completed' ? (run.conclusion ?? '') : 'pending');
  }
  for (const status of repo.statuses) if (status.sha === sha) states.set(status.context, status.state);
  const good = ['success', 'neutral', 'skipped'];
  const contexts = [...(required ?? states.keys())].map((context) => ({
    context,
    state: states.get(context) ?? 'missing',
  }));
  if (contexts.every(({ state }) => good.includes(state))) return;
  const details = [{ contexts, resource: 'Deployment', field: 'required_contexts', code: 'invalid' }];
  throw new Refusal(409, `Conflict: Commit status checks failed for ${ref}.`, details);
}

function addStatus(call: RepoCall): Answer {
  const { world, repo, body, webhooks } = call;
  const deployment = find(call);
  const description = String(body['description'] ?? '');
  if (characters(description) > MOST_DESCRIPTION) {
    throw invalid('DeploymentStatus', [
      { field: 'description', message: `is too long (maximum is ${MOST_DESCRIPTION} characters)` },
    ]);
  }
  for (const field of ['log_url', 'environment_url', 'target_url']) {
    if (!/^(https?:\/\/.*)?$/s.test(String(body[field] ?? ''))) {
      throw invalid('DeploymentStatus', [{ field, message: 'must use http(s) scheme' }]);
    }
  }
  const app = appOf(call);
  const status: DeploymentStatus = {
    id: world.id(),
    state: String(body['state']),
    description,
    logUrl: String(body['log_url'] ?? body['target_url'] ?? ''),
    environmentUrl: String(body['environment_url'] ?? ''),
    environment: String(body['environment'] ?? deployment.environment),
    creator: app.bot,
    createdAt: Date.now(),
  };
  deployment.statuses.push(status);
  if (status.state === 'success' && body['auto_inactive'] !== false) retireOthers(world, repo, deployment, status);
  const view = statusView(world, repo, deployment, status);
  webhooks.repository(repo, 'deployment_status', 'created', app.bot, {
    deployment: deploymentView(world, repo, deployment),
    deployment_status: view,
  });
  return created(view);
}

/** Success makes earlier deployments inactive, but neither in production nor in transient environments. */
function retireOthers(world: World, repo: Repo, deployment: Deployment, by: DeploymentStatus): void {
  for (const other of repo.deployments.values()) {
    const replaced = other.environment === deployment.environment && other.id < deployment.id;
    if (!replaced || other.production || other.transient || other.statuses.at(-1)?.state !== 'success') continue;
    other.statuses.push({ ...by, id: world.id(), state: 'inactive', description: '' });
  }
}

function find({ repo, params }: RepoCall): Deployment {
  const deployment = repo.deployments.get(Number(params['deployment_id']));
  if (!deployment) throw notFound();
  return deployment;
}

/** Newest first. */
function list(call: RepoCall): Answer {
  const { query, repo, world } = call;
  const found = [...repo.deployments.values()].toReversed().filter((deployment) =>
    (['sha', 'ref', 'task', 'environment'] as const).every((field) => {
      const asked = (query[field] ?? 'none') as string | null;
      return asked === 'none' || asked === null || deployment[field] === asked;
    }),
  );
  const { page, headers } = paged(call, found);
  return { status: 200, body: page.map((deployment) => deploymentView(world, repo, deployment)), headers };
}

function statuses(call: RepoCall): Answer {
  const deployment = find(call);
  const { page, headers } = paged(call, [...deployment.statuses].toReversed());
  return { status: 200, body: page.map((status) => statusView(call.world, call.repo, deployment, status)), headers };
}

function deploymentView(world: World, repo: Repo, deployment: Deployment): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const url = `${api}/deployments/${deployment.id}`;
  return {
    id: deployment.id,
    node_id: nodeId('DE', deployment.id),
    url,
    statuses_url: `${url}/statuses`,
    repository_url: api,
    sha: deployment.sha,
    ref: deployment.ref,
    task: deployment.task,
    environment: deployment.environment,
    original_environment: deployment.environment,
    description: deployment.description,
    payload: deployment.payload,
    transient_environment: deployment.transient,
    production_environment: deployment.production,
    creator: simpleUser(world, deployment.creator),
    created_at: isoTime(deployment.createdAt),
    updated_at: isoTime(deployment.statuses.at(-1)?.createdAt ?? deployment.createdAt),
  };
}

function statusView(world: World, repo: Repo, deployment: Deployment, status: DeploymentStatus): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const url = `${api}/deployments/${deployment.id}`;
  return {
    id: status.id,
    node_id: nodeId('DES', status.id),
    url: `${url}/statuses/${status.id}`,
    deployment_url: url,
    repository_url: api,
    state: status.state,
    description: status.description,
    environment: status.environment,
    target_url: status.logUrl,
    log_url: status.logUrl,
    environment_url: status.environmentUrl,
    creator: simpleUser(world, status.creator),
    created_at: isoTime(status.createdAt),
    updated_at: isoTime(status.createdAt),
  };
}
