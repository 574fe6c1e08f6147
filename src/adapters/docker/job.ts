import { randomBytes } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { uptime } from 'node:os';
import type { Ends, JobListener, JobRequest, JobResult, Tree } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import { WORKSPACE } from '#src/model/workspace.ts';
import { giveInputs } from './check-inputs.ts';
import { type Course, finish, follow, type JobContext, without } from './course.ts';
import { ensureImage, type Image } from './images.ts';
import { engineEnv, engineSecrets, type JobEngine, openJobEngine } from './job-engine.ts';
import { openServices, type Services } from './job-services.ts';
import { labelsOf } from './labels.ts';
import { removeMade } from './left.ts';
import { createOutput, type JobOutput } from './output.ts';
import { isPlain, type Reach, reachOf } from './reach.ts';
import { adopt, closePlace, jobFolder, leavePlace, openPlace, type Place, publish, type Site } from './place.ts';
import { goMessage, jobScript, ownerQuestion, visibilityQuestion } from './script.ts';
import { writeState } from './state.ts';
import { createStop, type Stop } from './stop.ts';

/** One job from its request to its result. See Executor.run. */
export async function runJob(
  context: JobContext,
  request: JobRequest,
  tree: Promise<Tree>,
  listener: JobListener,
  ends: Ends,
): Promise<JobResult> {
  using stop = createStop(ends);
  stop.limit(request.timeoutMs, request.timeoutMs);
  const nonce = randomBytes(16).toString('hex');
  const { steps } = request;
  const secrets = [...request.secrets, ...engineSecrets(context.site, request, nonce)];
  const output = createOutput({ nonce, secrets, steps, listener, clock: context.clock });
  try {
    return await attempt(context, request, tree, {
      output,
      nonce,
      stop,
      listener,
      begun: false,
      published: null,
      engine: null,
    });
  } catch (error) {
    if (stop.left) throw stop.left.reason;
    if (stop.outcome) return without(stop.outcome);
    if (!(error instanceof UserError)) throw error;
    output.say(`Slipway: ${error.message}`);
    return without({ kind: 'failure', reason: output.mask(error.message) });
  } finally {
    output.close(null);
  }
}

interface Attempt {
  readonly output: JobOutput;
  readonly nonce: string;
  readonly stop: Stop;
  readonly listener: JobListener;
  /** The job was told what to do. */
  begun: boolean;
  /** The place once its folder had the job's name. */
  published: Place | null;
  /** The job's own Docker engine, if it has one. */
  engine: JobEngine | null;
}

async function attempt(
  context: JobContext,
  request: JobRequest,
  tree: Promise<Tree>,
  own: Attempt,
): Promise<JobResult> {
  const { site } = context;
  const { output, stop } = own;
  const go = goMessage({
    ...request,
    nonce: own.nonce,
    env: { ...SURROUNDINGS, ...engineEnv(site, request, own.nonce), ...request.env },
    inputs: request.inputs.length,
  });
  const pull = {
    docker: site.docker,
    patient: site.patient,
    credentialsOf: request.trusted ? context.credentialsOf : () => null,
    withheld: (registry: string) => !request.trusted && context.credentialsOf(registry) !== null,
    uses: context.uses,
    say: output.say,
    signal: stop.signal,
  };
  const [image, reach] = await stop.race(Promise.all([ensureImage(request.image, pull), reachOf(site, request)]));
  if (reach.note !== null) output.say(`Slipway: ${reach.note}`);
  const services = openServices(site, request, reach, (name) => ensureImage(name, pull), output, stop.signal);
  const opening = services.network.then((network) => takePlace(context, request, image, reach, network));
  let left = false;
  let taken: Place | null = null;
  opening.then(
    (place) => (taken = place),
    () => {},
  );
  const here = () => own.published ?? taken;
  using _ = site.disk.watch({
    name: jobFolder(request.jobId, request.attempt),
    folder: () => here()?.folder.path ?? null,
    container: () => here()?.container.id ?? null,
    end: (outcome) => stop.end(outcome),
  });
  try {
    const [place, { path }] = await stop.race(Promise.all([opening, tree, services.ready]));
    try {
      return await runIn(context, request, place, path, go, own);
    } catch (error) {
      left = own.begun && stop.left !== null;
      if (left) await Promise.all([own.engine?.close(), leavePlace(place)]);
      throw error;
    }
  } finally {
    if (!left) cleanUp(context, request, opening, services, image, own);
  }
}

/** What every job finds in its environment. */
const SURROUNDINGS = {
  CI: 'true',
  SLIPWAY: 'true',
  SLIPWAY_WORKSPACE: WORKSPACE,
  // The workspace may belong to another user than the job's: git must not refuse it.
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'safe.directory',
  GIT_CONFIG_VALUE_0: '*',
};

async function takePlace(
  { site, pool }: JobContext,
  request: JobRequest,
  image: Image,
  reach: Reach,
  network: string | null,
): Promise<Place> {
  const name = jobFolder(request.jobId, request.attempt);
  const ready = network === null && isPlain(reach) ? await pool.take(image) : null;
  if (ready) return adopt(site, ready, name);
  return openPlace(site, { image, name, labels: { ...labelsOf(request), 'slipway.kind': 'job' }, reach, network });
}

function cleanUp(
  { site, pool }: JobContext,
  request: JobRequest,
  opening: Promise<Place>,
  services: Services,
  image: Image,
  own: Attempt,
): void {
  site.background.run('cleaning up after a job', async () => {
    try {
      const place = await opening.catch(() => null);
      const closed = own.engine?.close();
      if (place) await closePlace(site, own.published ?? place, own.begun && !own.stop.isUnwanted);
      await closed;
      if (request.docker) await removeMade(site, jobFolder(request.jobId, request.attempt));
    } finally {
      await services.close();
    }
  });
  pool.used(image);
}

async function runIn(
  context: JobContext,
  request: JobRequest,
  place: Place,
  tree: string,
  go: string,
  own: Attempt,
): Promise<JobResult> {
  const { output, nonce, stop } = own;
  const { folder } = place;
  const course: Course = { context, request, place, output, stop };
  const follower = follow(course);
  try {
    const filling = fillWorkspace(context.site, place, tree, output, nonce);
    await stop.race(
      Promise.all([
        Promise.race([filling, place.exited.then(() => {})]),
        folder.write('script', jobScript({ ...request, nonce })),
        giveInputs(context.archives, folder, request.inputs),
      ]),
    );
    await writeState(folder.path, {
      nonce,
      begun: own.listener.begin(),
      startedAt: context.clock.now(),
      uptime: uptime(),
      container: place.container.id,
      image: place.image,
    });
    own.published = await publish(context.site, place, jobFolder(request.jobId, request.attempt));
    own.engine = await openJobEngine(context, request, own.published, nonce);
    own.begun = true;
    await folder.go(go);
    return await finish({ ...course, place: own.published }, follower);
  } finally {
    await follower.stop();
  }
}

async function fillWorkspace(
  site: Site,
  { folder, image }: Place,
  tree: string,
  output: JobOutput,
  nonce: string,
): Promise<void> {
  const { workspaces } = site;
  if (image.otherUser || site.remaps) {
    const answer = output.mark('owner');
    await folder.go(ownerQuestion(nonce));
    await answer;
    return workspaces.copy(folder.path, tree, await lstat(join(folder.control, 'owner')));
  }
  if (!workspaces.mounts || !(await workspaces.mount(folder.path, tree))) {
    return workspaces.copy(folder.path, tree, null);
  }
  if (workspaces.proven) return;
  const [entry] = await readdir(tree);
  if (entry === undefined) return;
  const answer = output.mark('sees');
  await folder.go(visibilityQuestion(nonce, entry));
  if ((await answer)[1] === '1') return workspaces.prove();
  // The engine has mounts of its own (rootless, a virtual machine).
  await workspaces.giveUpMounts(folder.path);
  await workspaces.copy(folder.path, tree, null);
}
