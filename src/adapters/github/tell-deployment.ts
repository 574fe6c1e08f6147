import { PlatformError } from '#src/model/outcome.ts';
import { at, isMissing, lookFor, type Place, type Sent, sentBefore, sentBy, settled, wasRefused } from './place.ts';
import type { DeploymentReport, DeploymentStatus } from './report/deployment.ts';

/** What GitHub knows of a deployment. */
interface ToldDeployment {
  readonly id: number | null;
  /** A creation was sent and its answer may be lost. */
  readonly creating: boolean;
  /** The last status that arrived. */
  readonly status: string;
  /** When it was sent of which the answer is missing; absent if every answer came. */
  readonly sent?: Sent;
}

const nothing: ToldDeployment = { id: null, creating: false, status: '' };

/**
 * Makes the deployment and its latest status on GitHub what they should be. A status that is sent twice does no harm;
 * the deployment is looked for before it is created a second time, and made anew if it was deleted. Throws Octokit's errors.
 */
export async function tellDeployment(
  place: Place,
  key: string,
  wanted: DeploymentReport,
  logUrl: string,
): Promise<void> {
  const told = await load(place, key);
  let id = told.id;
  if (id === null && told.creating) id = await lookFor(place.teller, told.sent ?? null, () => find(place, wanted));
  const known = id !== null;
  try {
    id ??= await create(place, key, wanted, nothing);
    // What was unsure about the creation is settled by now.
    const now = told.id === null ? { ...nothing, id } : told;
    await bring(place, key, now, wanted.status, logUrl);
  } catch (error) {
    if (!known || !isMissing(error)) throw error;
    const anew = { ...nothing, id: await create(place, key, wanted, told) };
    await bring(place, key, anew, wanted.status, logUrl);
  }
}

/** Gives a deployment that was told before its end, if it has none on GitHub: another one has taken its place. */
export async function endDeployment(
  place: Place,
  key: string,
  before: Pick<DeploymentReport, 'environment' | 'payload'>,
  logUrl: string,
): Promise<void> {
  let told = await load(place, key);
  if (told.id === null && told.creating) {
    const id = await lookFor(place.teller, told.sent ?? null, () => find(place, before));
    told = { ...nothing, id };
  }
  if (told.id === null) return;
  const state = told.status === '' ? null : (JSON.parse(told.status) as DeploymentStatus).state;
  if (state !== null && !unended.has(state)) return;
  const status = { state: 'inactive', description: 'It was started anew.', environmentUrl: null } as const;
  await bring(place, key, told, status, logUrl);
}

const unended: ReadonlySet<string> = new Set(['pending', 'queued', 'in_progress']);

async function bring(
  place: Place,
  key: string,
  told: ToldDeployment & { readonly id: number | null },
  wanted: DeploymentStatus,
  logUrl: string,
): Promise<void> {
  const status = JSON.stringify(wanted);
  if (told.status === status) return;
  if (told.sent) await settled(place.teller, told.sent);
  try {
    await place.client.rest.repos.createDeploymentStatus({
      ...at(place, 1),
      deployment_id: told.id ?? 0,
      state: wanted.state,
      description: wanted.description,
      log_url: logUrl,
      // GitHub would do it where it isn't production, and without a word why: each is told by itself.
      auto_inactive: false,
      ...(wanted.environmentUrl ? { environment_url: wanted.environmentUrl } : {}),
    });
  } catch (error) {
    const unsure = { ...nothing, id: told.id, sent: sentBefore(place.teller, error) };
    if (!wasRefused(place.teller, error)) await save(place, key, unsure);
    throw error;
  }
  await save(place, key, { ...nothing, id: told.id, status });
}

/** `otherwise` is what holds if GitHub refuses. */
async function create(place: Place, key: string, wanted: DeploymentReport, otherwise: ToldDeployment): Promise<number> {
  await save(place, key, { ...nothing, creating: true, sent: sentBy(place.teller) });
  try {
    const answer = await place.client.rest.repos.createDeployment({
      ...at(place, 1),
      // The commit, not its branch: what is rolled out was built from it.
      ref: place.sha,
      environment: wanted.environment,
      description: wanted.description,
      production_environment: wanted.production,
      transient_environment: wanted.transient,
      payload: { ...wanted.payload },
      // Slipway has checked what must be; otherwise its own running check would stop the deployment, and a branch
      // that is behind would get a merge commit instead of one.
      auto_merge: false,
      required_contexts: [],
    });
    if (answer.status !== 201 || !('id' in answer.data)) throw new PlatformError('GitHub made no deployment.');
    await save(place, key, { ...nothing, id: answer.data.id });
    return answer.data.id;
  } catch (error) {
    const unsure = { ...nothing, creating: true, sent: sentBefore(place.teller, error) };
    await save(place, key, wasRefused(place.teller, error) ? otherwise : unsure);
    throw error;
  }
}

async function find(place: Place, wanted: Pick<DeploymentReport, 'environment' | 'payload'>): Promise<number | null> {
  const perPage = 100;
  for (let page = 1; ; page += 1) {
    const list = await place.client.rest.repos.listDeployments({
      ...at(place, 1),
      sha: place.sha,
      environment: wanted.environment,
      per_page: perPage,
      page,
    });
    const found = list.data.find(({ payload }) => {
      const told = (typeof payload === 'string' ? parse(payload) : payload) as Partial<DeploymentReport['payload']>;
      return told.job === wanted.payload.job && told.attempt === wanted.payload.attempt;
    });
    if (found) return found.id;
    if (list.data.length < perPage) return null;
  }
}

async function load(place: Place, key: string): Promise<ToldDeployment> {
  const text = await place.told.get(key);
  return text === null ? nothing : (JSON.parse(text) as ToldDeployment);
}

async function save(place: Place, key: string, told: ToldDeployment): Promise<void> {
  await place.told.set(key, JSON.stringify(told));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
