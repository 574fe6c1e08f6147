import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, JobRequest, JobResult } from '#src/engine/ports.ts';
import { maskText } from '#src/model/mask.ts';
import { type Outcome, success, UserError } from '#src/model/outcome.ts';
import { type Archives, readReports } from './archives.ts';
import type { CredentialsOf } from './build/registry-name.ts';
import { kill, terminateAll } from './container.ts';
import { engineFailure } from './errors.ts';
import { type Exit, patiently, within } from './exit.ts';
import type { ImageUses } from './images.ts';
import { followFile, type LogFollower } from './log.ts';
import type { JobOutput } from './output.ts';
import type { Place, Site } from './place.ts';
import type { Pool } from './pool.ts';
import { writeEnd } from './state.ts';
import type { Stop } from './stop.ts';
import { judge, type LastState } from './verdict.ts';

/** Between SIGTERM and SIGKILL, milliseconds. */
const GRACE = 10_000;
/** For the engine to pass on a signal, and to tell of the container's death afterwards, milliseconds. */
const ENGINE_GRACE = 5000;

export interface JobContext {
  readonly site: Site;
  readonly pool: Pool;
  readonly archives: Archives;
  readonly credentialsOf: CredentialsOf;
  readonly uses: ImageUses;
  /** Bytes of log after which a job is stopped. */
  readonly logLimit: number;
  readonly clock: Clock;
}

/** A job on its way, begun by this process or another. */
export interface Course {
  readonly context: JobContext;
  readonly request: JobRequest;
  readonly place: Place;
  readonly output: JobOutput;
  readonly stop: Stop;
}

/** Feeds the job's log to its output from the first byte on. */
export function follow({ context, place, output, stop }: Course): LogFollower {
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
  return follower;
}

/** Waits for the end of a job that has begun, and stops it if it must. */
export async function finish(course: Course, follower: LogFollower): Promise<JobResult> {
  const exit = await untilOver(course);
  await follower.drain();
  return conclude(course, exit);
}

export function without(outcome: Outcome): JobResult {
  return { outcome, artifacts: null, reports: new Map() };
}

/** How the container ended; null if the job told its end before, or the engine doesn't say. */
async function untilOver({ context, place, output, stop }: Course): Promise<Exit | null> {
  const { container, exited } = place;
  const { logger } = context.site;
  const over = Promise.race([output.ended.then(() => null), exited]);
  try {
    return await stop.race(over);
  } catch (error) {
    if (!stop.outcome) throw error;
  }
  if (stop.outcome?.kind !== 'failure') {
    const terminated = terminateAll(container).catch((error: unknown) => {
      logger.debug({ err: error }, 'SIGTERM did not reach a job');
    });
    await stop.unlessLeft(within(ENGINE_GRACE, terminated));
    const first = await stop.unlessLeft(
      within(
        GRACE,
        over.then((exit) => ({ exit })),
      ),
    );
    if (first) return first.exit;
  }
  const killed = kill(container).catch((error: unknown) => logger.warn({ err: error }, 'a job could not be killed'));
  await stop.unlessLeft(within(ENGINE_GRACE, killed));
  return stop.unlessLeft(within(ENGINE_GRACE, exited));
}

async function conclude(course: Course, exit: Exit | null): Promise<JobResult> {
  const { context, request, place, output, stop } = course;
  const { state } = output;
  const last = state.hasEnded || exit === null ? null : await lastState(course, exit);
  const outcome = stop.outcome ?? judge(request, state, last, context.site.limits);
  output.close(last?.exitCode ?? null);
  const reports = await reportsOf(course);
  const result = await withArtifacts(course, outcome, reports);
  await writeEnd(place.folder.path, {
    outcome: result.outcome,
    exitCode: last?.exitCode ?? null,
    artifacts: result.artifacts,
  }).catch((error: unknown) => context.site.logger.warn({ err: error }, 'the end of a job could not be kept'));
  return result;
}

/** What the job packed of its reports. */
export async function reportsOf({ context, request, place }: Course): Promise<ReadonlyMap<string, string>> {
  if (request.reports.length === 0) return new Map();
  const notes: string[] = [];
  const reports = await readReports(join(place.folder.control, 'reports.tar'), (note) => notes.push(note));
  for (const note of notes) {
    context.site.logger.info({ job: request.jobId, note: maskText(note, request.secrets) }, 'reports are incomplete');
  }
  return reports;
}

async function withArtifacts(
  { context, request, place }: Course,
  outcome: Outcome,
  reports: ReadonlyMap<string, string>,
): Promise<JobResult> {
  if (outcome.kind !== 'success') return { outcome, artifacts: null, reports };
  if (request.artifacts.length === 0) return { outcome: success, artifacts: null, reports };
  const { archives } = context;
  try {
    const packed = join(place.folder.control, 'artifacts.tar');
    const taken = await archives.take(packed, request.jobId, request.attempt);
    return { outcome: success, artifacts: taken ?? (await takenBefore(request, archives)), reports };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const reason = maskText(error.message, request.secrets);
    return { outcome: { kind: 'failure', reason }, artifacts: null, reports };
  }
}

/** A process may have died between taking the archive and telling of it. */
async function takenBefore({ jobId, attempt }: JobRequest, archives: Archives): Promise<string | null> {
  const ref = `${jobId}-${attempt}.tar`;
  return archives.path(ref).then(
    () => ref,
    () => null,
  );
}

/** How the container stands, from an engine that may have been restarted. */
async function lastState({ context, place, stop }: Course, exit: Exit): Promise<LastState> {
  const { restarted, unreachable } = exit;
  const unknown = { exitCode: exit.code, oomKilled: false, gone: exit.gone, restarted, unreachable };
  if (exit.gone || unreachable) return unknown;
  try {
    let { State } = await inspect();
    if (State.ExitCode === 137 && !State.OOMKilled) {
      // The engine learns in another way that the memory ran out, which may take longer.
      await sleep(200);
      ({ State } = await inspect());
    }
    return { ...unknown, exitCode: State.Running ? exit.code : State.ExitCode, oomKilled: State.OOMKilled };
  } catch (error) {
    if (stop.left) throw error;
    const gone = engineFailure(error).status === 404;
    return { ...unknown, gone, restarted: restarted || !gone };
  }

  function inspect() {
    const { patienceMs } = context.site;
    return patiently(patienceMs, stop.signal, (abortSignal) => place.container.inspect({ abortSignal }));
  }
}

function tooMuchLog(limit: number): Outcome {
  const megabytes = Math.round(limit / 1024 / 1024);
  return {
    kind: 'failure',
    reason: `The job wrote more than ${megabytes} MB of log and was stopped. Write less, or into a file that is an artifact.`,
  };
}
