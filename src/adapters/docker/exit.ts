import { setTimeout as sleep } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { engineFailure } from './errors.ts';

/** How a container came to its end, as far as the engine knows. */
export interface Exit {
  /** Null if nobody knows. */
  readonly code: number | null;
  /** It doesn't exist any more. */
  readonly gone: boolean;
  /** The engine went away while the container ran, and came back. */
  readonly restarted: boolean;
  /** The engine went away and didn't come back in time: the container may still run. */
  readonly unreachable: boolean;
}

/** Pause between two questions to an engine that is away, milliseconds: doubled up to the second. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2000;
/** For one question to an engine that may be starting: what it took too early it may never answer. Milliseconds. */
const TRY_DEADLINE = 5000;
/** How often a container is looked at after its engine was restarted, milliseconds. */
const LOOK_INTERVAL = 2000;

/**
 * Waits for the container's end. An engine that goes away is asked again for `patienceMs`; one that kept its containers
 * meanwhile is waited for as before. Never settles once the signal is aborted. `docker` must have no deadline.
 */
export async function untilExit(docker: Docker, id: string, patienceMs: number, signal: AbortSignal): Promise<Exit> {
  const container = docker.getContainer(id);
  let restarted = false;
  for (;;) {
    const turn = new AbortController();
    const abortSignal = AbortSignal.any([signal, turn.signal]);
    try {
      const waiting = wait(docker, id, abortSignal);
      // An engine that starts takes its containers for running, ends them, and lets wait who asked too early.
      const told = restarted ? await within(LOOK_INTERVAL, waiting) : await waiting;
      if (told) return { code: told.StatusCode, gone: false, restarted, unreachable: false };
    } catch (error) {
      if (signal.aborted) return new Promise(() => {});
      if (engineFailure(error).status === 404) return { code: null, gone: true, restarted, unreachable: false };
      restarted = true;
    } finally {
      turn.abort();
    }
    try {
      // Not at once: an engine that shuts down may still answer that the container runs.
      await sleep(FIRST_PAUSE, undefined, { signal, ref: false });
      const { State } = await patiently(patienceMs, signal, (deadline) => container.inspect({ abortSignal: deadline }));
      if (!State.Running) return { code: State.ExitCode, gone: false, restarted, unreachable: false };
    } catch (error) {
      if (signal.aborted) return new Promise(() => {});
      const gone = engineFailure(error).status === 404;
      return { code: null, gone, restarted, unreachable: !gone };
    }
  }
}

/**
 * The exit code. The engine sends the head of its answer at once; dockerode's own call would never settle if the
 * connection broke after that.
 */
async function wait(docker: Docker, id: string, abortSignal: AbortSignal): Promise<{ readonly StatusCode: number }> {
  const path = `/containers/${id}/wait?`;
  const statusCodes = { 200: true, 404: 'no such container', 500: 'server error' };
  const answer = await new Promise<Readable>((resolve, reject) => {
    docker.modem.dial(
      { path, method: 'POST', isStream: true, abortSignal, statusCodes, options: {} },
      (error: unknown, stream: unknown) => (error ? reject(error) : resolve(stream as Readable)),
    );
  });
  let text = '';
  for await (const chunk of answer) text += String(chunk);
  return JSON.parse(text) as { readonly StatusCode: number };
}

/**
 * The work's result; if the engine doesn't answer, it is tried again until `patienceMs` are over, then the last
 * failure is thrown. What the engine refuses is thrown at once. Work must end soon after its signal is aborted.
 */
export async function patiently<T>(
  patienceMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    const left = Math.ceil(end - performance.now());
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1000, Math.min(left, TRY_DEADLINE)))]);
    try {
      return await unlessAborted(deadline, work(deadline));
    } catch (error) {
      signal.throwIfAborted();
      const { status } = engineFailure(causeOf(error));
      // A starting engine answers some questions with 503.
      if ((status !== 0 && status !== 503) || left < pause) throw error;
    }
    await sleep(pause, undefined, { signal, ref: false });
  }
}

/** For calls that don't settle when their connection breaks. */
async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort);
  promise.catch(() => {});
  try {
    signal.throwIfAborted();
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}

/** The promise, or null once the time is over. What comes later is dropped. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | null> {
  const over = new AbortController();
  const late = sleep(ms, null, { signal: over.signal }).catch(() => null);
  try {
    return await Promise.race([promise, late]);
  } finally {
    over.abort();
    promise.catch(() => {});
  }
}
