import { WORKSPACE } from '#src/model/workspace.ts';
import { randomBytes } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, JobListener, JobRequest, JobResult, Tree } from '#src/engine/ports.ts';
import { type Outcome, success, UserError } from '#src/model/outcome.ts';
import type { Archives } from './archives.ts';
import { readReports } from './archives.ts';
import type { CredentialsOf } from './build/registry-name.ts';
import { kill, terminateAll } from './container.ts';
import { engineFailure } from './errors.ts';
import { ensureImage, type Image } from './images.ts';
import { labelsOf } from './labels.ts';
import { followFile } from './log.ts';
import { createOutput, type JobOutput } from './output.ts';
import { adopt, closePlace, jobFolder, openPlace, type Place, type Site } from './place.ts';
import type { Pool } from './pool.ts';
import { goMessage, jobScript, ownerQuestion, visibilityQuestion } from './script.ts';
import { openServices, type Services } from './job-services.ts';
import { createStop, type Stop } from './stop.ts';
import { judge } from './verdict.ts';

/** Between SIGTERM and SIGKILL. */
const GRACE = 10_000;

export interface JobContext {
  readonly site: Site;
  readonly pool: Pool;
  readonly archives: Archives;
  readonly credentialsOf: CredentialsOf;
  /** Bytes of log after which a job is stopped. */
  readonly logLimit: number;
  readonly clock: Clock;
}

/** One job from its request to its result. See Executor.run. */
export async function runJob(
  context: JobContext,
  request: JobRequest,
  tree: Promise<Tree>,
  listener: JobListener,
  signal: AbortSignal,
): Promise<JobResult> {
  using stop = createStop(signal, request.timeoutMs);
  const nonce = randomBytes(16).toString('hex');
  const output = createOutput({
    nonce,
    secrets: request.secrets,
    steps: request.steps,
    listener,
    clock: context.clock,
  });
  try {
    return await attempt(context, request, tree, output, nonce, stop);
  } catch (error) {
    if (stop.outcome) return without(stop.outcome);
    if (!(error instanceof UserError)) throw error;
    output.say(`slipway: ${error.message}`);
    return without({ kind: 'failure', reason: output.mask(error.message) });
  } finally {
    output.close(null);
  }
}

function without(outcome: Outcome): JobResult {
  return { outcome, artifacts: null, reports: new Map() };
}

async function attempt(
  context: JobContext,
  request: JobRequest,
  tree: Promise<Tree>,
  output: JobOutput,
  nonce: string,
  stop: Stop,
): Promise<JobResult> {
  const { site } = context;
  const go = goMessage({
    ...request,
    nonce,
    env: { ...SURROUNDINGS, ...request.env },
    inputs: request.inputs.length,
  });
  const pull = {
    docker: site.docker,
    credentialsOf: request.trusted ? context.credentialsOf : () => null,
    say: output.say,
    signal: stop.signal,
  };
  const image = await stop.race(ensureImage(request.image, pull));
  const services = openServices(site, request, (name) => ensureImage(name, pull), output, stop.signal);
  const opening = services.network.then((network) => takePlace(context, request, image, network));
  try {
    const [place, { path }] = await stop.race(Promise.all([opening, tree, services.ready]));
    return await runIn(context, request, place, path, { output, nonce, go, stop });
  } finally {
    cleanUp(context, opening, services, image);
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
  network: string | null,
): Promise<Place> {
  const folder = jobFolder(request.jobId, request.attempt);
  const ready = network === null ? await pool.take(image) : null;
  if (ready) return adopt(site, ready, folder);
  return openPlace(site, { image, folder, labels: { ...labelsOf(request), 'slipway.kind': 'job' }, network });
}

function cleanUp({ site, pool }: JobContext, opening: Promise<Place>, services: Services, image: Image): void {
  site.background.run('cleaning up after a job', async () => {
    const place = await opening.catch(() => null);
    if (place) await closePlace(site, place);
    await services.close();
  });
  pool.used(image);
}

interface Course {
  readonly output: JobOutput;
  readonly nonce: string;
  readonly go: string;
  readonly stop: Stop;
}

async function runIn(
  context: JobContext,
  request: JobRequest,
  place: Place,
  tree: string,
  course: Course,
): Promise<JobResult> {
  const { output, nonce, stop } = course;
  const { folder } = place;
  const follower = followFile(folder.log, join(folder.control, 'log'), (bytes) => {
    // What a flood wrote before it was killed would keep everybody behind the listener busy.
    if (output.state.size > context.logLimit) return;
    output.feed(bytes);
    if (output.state.size <= context.logLimit) return;
    stop.end(tooMuchLog(context.logLimit));
    // Nothing is read beyond it: the job can make its log a file of terabytes without writing them.
    void follower.stop();
  });
  try {
    const filling = fillWorkspace(context.site, place, tree, output, nonce);
    await stop.race(
      Promise.all([
        Promise.race([filling, place.exited.then(() => {})]),
        folder.write('script', jobScript({ ...request, nonce })),
        ...request.inputs.map(async (ref, i) => folder.copy(await context.archives.path(ref), `input-${i}.tar`)),
      ]),
    );
    await folder.go(course.go);
    const exitCode = await untilOver(context, place, output, stop);
    await follower.drain();
    return await conclude(context, request, place, course, exitCode);
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
  if (image.otherUser) {
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

/** Waits for the end of the job, and stops it if it must. Answers the container's exit code if it exited by itself. */
async function untilOver(
  { site }: JobContext,
  { container, exited }: Place,
  output: JobOutput,
  stop: Stop,
): Promise<number | null> {
  const over = Promise.race([output.ended.then(() => null), exited]);
  try {
    return await stop.race(over);
  } catch (error) {
    if (!stop.outcome) throw error;
  }
  if (stop.outcome?.kind !== 'failure') {
    await terminateAll(container).catch((error: unknown) => {
      site.logger.debug({ err: error }, 'SIGTERM did not reach a job');
    });
    const grace = new AbortController();
    const late = sleep(GRACE, 'late' as const, { signal: grace.signal }).catch(() => 'late' as const);
    const first = await Promise.race([over, late]);
    grace.abort();
    if (first !== 'late') return first;
  }
  await kill(container);
  return exited;
}

async function conclude(
  context: JobContext,
  request: JobRequest,
  place: Place,
  { output, stop }: Course,
  exitCode: number | null,
): Promise<JobResult> {
  const { state } = output;
  const control = place.folder.control;
  const last = state.hasEnded || exitCode === null ? null : await lastState(place, exitCode);
  const outcome = stop.outcome ?? judge(request, state, last, context.site.limits);
  output.close(last?.exitCode ?? null);
  const notes: string[] = [];
  const reports =
    request.reports.length > 0
      ? await readReports(join(control, 'reports.tar'), (note) => notes.push(note))
      : new Map();
  for (const note of notes) context.site.logger.info({ job: request.jobId, note }, 'reports are incomplete');
  if (outcome.kind !== 'success') return { outcome, artifacts: null, reports };
  try {
    const artifacts =
      request.artifacts.length > 0
        ? await context.archives.take(join(control, 'artifacts.tar'), request.jobId, request.attempt)
        : null;
    return { outcome: success, artifacts, reports };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { outcome: { kind: 'failure', reason: error.message }, artifacts: null, reports };
  }
}

async function lastState(
  { container }: Place,
  exitCode: number,
): Promise<{ readonly exitCode: number; readonly oomKilled: boolean; readonly gone: boolean }> {
  try {
    const { State } = await container.inspect();
    return { exitCode: State.Running ? exitCode : State.ExitCode, oomKilled: State.OOMKilled, gone: false };
  } catch (error) {
    return { exitCode, oomKilled: false, gone: engineFailure(error).status === 404 };
  }
}

function tooMuchLog(limit: number): Outcome {
  const megabytes = Math.round(limit / 1024 / 1024);
  return {
    kind: 'failure',
    reason: `The job wrote more than ${megabytes} MB of log and was stopped. Write less, or into a file that is an artifact.`,
  };
}
