import { uptime } from 'node:os';
import { join } from 'node:path';
import type { Ends, JobListener, JobRequest, JobResult } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { kill } from './container.ts';
import { type Course, finish, follow, type JobContext, reportsOf, without } from './course.ts';
import { explain, isMissing } from './errors.ts';
import { type Exit, patiently, within } from './exit.ts';
import { reopenFolder } from './folder.ts';
import { engineSecrets, type JobEngine, openJobEngine } from './job-engine.ts';
import { removeLeft } from './left.ts';
import { followFile } from './log.ts';
import { createMarkParser } from './markers.ts';
import { createOutput } from './output.ts';
import { closePlace, jobFolder, leavePlace, type Place, type Site, watched } from './place.ts';
import { type JobState, readEnd, readState } from './state.ts';
import { createStop, type Stop } from './stop.ts';

/** For a container whose server died before it was told to begin: it reads the end of the pipe and exits, milliseconds. */
const BEGIN_DEADLINE = 10_000;
/** A job whose time is up is given so long, milliseconds. */
const LEAST_TIME = 5000;

/** Goes on with a job of another process. See Executor.attach. */
export async function attachJob(
  context: JobContext,
  request: JobRequest,
  listener: JobListener,
  ends: Ends,
): Promise<JobResult | null> {
  const { site } = context;
  const name = jobFolder(request.jobId, request.attempt);
  const path = join(site.jobs, name);
  using stop = createStop(ends);
  site.background.forget(path);
  site.inUse.add(name);
  let place: Place | null = null;
  let begun = false;
  let engine: JobEngine | null = null;
  try {
    const state = await readState(path);
    if (state) {
      place = await stop.unlessLeft(reopen(site, path, name, state, ends.leave));
      begun = await stop.unlessLeft(hasBegun(place, state.nonce));
    }
    // What the job asks its engine from now on is answered here; what it asked before was cut off.
    if (state && place && begun) engine = await openJobEngine(context, request, place, state.nonce);
    if (state && place && begun) return await goOn(context, request, place, state, listener, stop);
    await close(site, name, place, false);
    return null;
  } catch (error) {
    if (stop.left) throw stop.left.reason;
    begun = true;
    if (stop.outcome) return without(stop.outcome);
    throw error;
  } finally {
    const closed = engine?.close();
    if (stop.left && place) await Promise.all([closed, leavePlace(place)]);
    else if (begun) {
      site.background.run('cleaning up after a job', async () => {
        await closed;
        await close(site, name, place, !stop.isUnwanted);
      });
    }
  }
}

/** Removes everything of the attempt, but for a while what tells the end of one that began. */
async function close(site: Site, name: string, place: Place | null, begun: boolean): Promise<void> {
  if (place) await closePlace(site, place, begun);
  await removeLeft(site, name, place === null);
}

/** The container and folder that the other process left. PlatformError if the log is gone. */
async function reopen(site: Site, path: string, name: string, state: JobState, leave: AbortSignal): Promise<Place> {
  const container = site.docker.getContainer(state.container);
  const folder = await reopenFolder(path);
  if (folder === null) {
    throw new PlatformError("The job can't be followed on: its log is gone.", { retry: 'once' });
  }
  const names = [name];
  let exit: Exit | null = null;
  try {
    const { State, Name } = await patiently(site.patienceMs, leave, (abortSignal) =>
      container.inspect({ abortSignal }),
    );
    names.push(Name.replace(/^\//, ''));
    if (!State.Running) exit = { code: State.ExitCode, gone: false, restarted: false, unreachable: false };
  } catch (error) {
    if (!isMissing(error)) {
      await folder.close();
      throw explain(error, 'looking for the container of a job that was left');
    }
    exit = { code: null, gone: true, restarted: false, unreachable: false };
  }
  for (const used of names) site.inUse.add(used);
  return watched(site, { container, folder, image: state.image, names }, exit);
}

/** Whether the job read what it was to do, by its log. Waits for the end of a container that has nothing to do. */
async function hasBegun(place: Place, nonce: string): Promise<boolean> {
  const { folder, exited, container } = place;
  const marks = createMarkParser(nonce);
  const { promise: seen, resolve: tell } = Promise.withResolvers<true>();
  const follower = followFile(folder.log, join(folder.control, 'log'), (bytes) => {
    if (!marks.push(bytes).some((piece) => piece.kind === 'mark' && piece.words[0] === 'begun')) return;
    tell(true);
    void follower.stop();
  });
  try {
    const ended = exited.then(async (exit) => {
      await follower.drain();
      return exit;
    });
    let first = await within(BEGIN_DEADLINE, Promise.race([seen, ended]));
    if (first === null) {
      // Paused, or without a processor for long: nothing may begin any more.
      await within(BEGIN_DEADLINE, kill(container));
      first = await within(BEGIN_DEADLINE, Promise.race([seen, ended]));
    }
    if (first === true) return true;
    // What was written last may have come together with the exit.
    if (first && !first.unreachable) return within(0, seen).then((late) => late === true);
  } finally {
    await follower.stop();
  }
  throw new PlatformError("The job can't be followed on: Docker doesn't say whether its container runs.", {
    retry: 'once',
  });
}

async function goOn(
  context: JobContext,
  request: JobRequest,
  place: Place,
  state: JobState,
  listener: JobListener,
  stop: Stop,
): Promise<JobResult> {
  await listener.rewind(state.begun);
  const { nonce } = state;
  const { steps, timeoutMs } = request;
  const secrets = [...request.secrets, ...engineSecrets(context.site, request, nonce)];
  const output = createOutput({ nonce, secrets, steps, listener, clock: context.clock });
  const course: Course = { context, request, place, output, stop };
  const follower = follow(course);
  using _ = context.site.disk.watch({
    name: jobFolder(request.jobId, request.attempt),
    folder: () => place.folder.path,
    container: () => place.container.id,
    end: (outcome) => stop.end(outcome),
  });
  try {
    await stop.unlessLeft(follower.drain());
    const end = await readEnd(place.folder.path);
    if (end) {
      output.close(end.exitCode);
      return { outcome: end.outcome, artifacts: end.artifacts, reports: await reportsOf(course) };
    }
    stop.limit(timeoutMs, timeLeft(timeoutMs, state, context.clock.now(), uptime()));
    return await finish(course, follower);
  } finally {
    await follower.stop();
    output.close(null);
  }
}

/**
 * What is left of a job's time, milliseconds. By the machine's uptime, for the clock may have been set; if the machine
 * itself was restarted, by the clock. Never less than a few seconds, never more than the limit.
 */
export function timeLeft(
  timeoutMs: number,
  state: Pick<JobState, 'startedAt' | 'uptime'>,
  now: number,
  uptimeNow: number,
): number {
  const since = uptimeNow - state.uptime;
  const ran = since >= 0 ? since * 1000 : now - state.startedAt;
  return Math.max(Math.min(LEAST_TIME, timeoutMs), Math.min(timeoutMs, timeoutMs - ran));
}
