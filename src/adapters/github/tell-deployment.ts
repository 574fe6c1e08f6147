import { PlatformError } from '#src/model/outcome.ts';
import type { DeploymentReport } from './report/deployment.ts';
import type { Place } from './tell-check.ts';

/** What GitHub knows of a deployment. */
interface ToldDeployment {
  readonly id: number | null;
  /** A creation was sent and its answer may be lost. */
  readonly creating: boolean;
  /** The last status that arrived. */
  readonly status: string;
}

const nothing: ToldDeployment = { id: null, creating: false, status: '' };

/**
 * Makes the deployment and its latest status on GitHub what they should be. A status that is sent twice does no harm;
 * the deployment is looked for before it is created a second time. Throws Octokit's errors.
 */
export async function tellDeployment(
  place: Place,
  key: string,
  wanted: DeploymentReport,
  logUrl: string,
): Promise<void> {
  const { owner, name: repo } = place.repository;
  const text = await place.told.get(key);
  let told = text === null ? nothing : (JSON.parse(text) as ToldDeployment);
  if (told.id === null && told.creating) told = { ...told, id: await find(place, wanted) };
  if (told.id === null) {
    await place.told.set(key, JSON.stringify({ ...told, creating: true }));
    told = { ...told, id: await create(place, wanted) };
  }
  const status = JSON.stringify(wanted.status);
  if (told.status !== status) {
    await place.client.rest.repos.createDeploymentStatus({
      owner,
      repo,
      deployment_id: told.id ?? 0,
      state: wanted.status.state,
      description: wanted.status.description,
      log_url: logUrl,
      ...(wanted.status.environmentUrl ? { environment_url: wanted.status.environmentUrl } : {}),
    });
  }
  const now = JSON.stringify({ id: told.id, creating: false, status });
  if (now !== text) await place.told.set(key, now);
}

async function create(place: Place, wanted: DeploymentReport): Promise<number> {
  const answer = await place.client.rest.repos.createDeployment({
    owner: place.repository.owner,
    repo: place.repository.name,
    // The commit, not its branch: what is rolled out was built from it.
    ref: place.sha,
    environment: wanted.environment,
    description: wanted.description,
    production_environment: wanted.production,
    payload: { ...wanted.payload },
    // Slipway has checked what must be; otherwise its own running check would stop the deployment, and a branch
    // that is behind would get a merge commit instead of one.
    auto_merge: false,
    required_contexts: [],
  });
  if (answer.status !== 201 || !('id' in answer.data)) throw new PlatformError('GitHub made no deployment.');
  return answer.data.id;
}

async function find(place: Place, wanted: DeploymentReport): Promise<number | null> {
  const list = await place.client.rest.repos.listDeployments({
    owner: place.repository.owner,
    repo: place.repository.name,
    sha: place.sha,
    environment: wanted.environment,
    per_page: 100,
  });
  const found = list.data.find(({ payload }) => {
    const told = (typeof payload === 'string' ? parse(payload) : payload) as Partial<DeploymentReport['payload']>;
    return told.job === wanted.payload.job && told.attempt === wanted.payload.attempt;
  });
  return found?.id ?? null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
