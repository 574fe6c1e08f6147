import type { Logs } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import type { Job } from '#src/model/run.ts';
import type { Changes } from './changes.ts';
import { type EventStream, heartbeat } from './event-stream.ts';
import { groupLines, type Line, rendererAt } from './log-lines.ts';

/** A running job's log may not have been opened yet; then it is looked for again, after as many milliseconds. */
const untilLogOpens = 1_000;
const readAtOnce = 1024 * 1024;

export interface JobStreamParts {
  readonly store: Store;
  readonly logs: Logs;
  readonly changes: Changes;
  /** What the page shows of the job beside its log; sent whenever it differs from the last. */
  state(job: Job): Promise<unknown>;
}

/**
 * Sends a job's log from byte `from` on and its state, as they come, until the job is completed. Events:
 * `log` {section, lines} with the offset behind the lines as id, `state`, and at last `end`, or `restart` when the
 * job was started over and this log is no longer the newest.
 */
export async function streamJob(parts: JobStreamParts, first: Job, from: number, stream: EventStream): Promise<void> {
  const { store, logs, changes } = parts;
  const log = { jobId: first.id, attempt: first.attempt };
  const renderer = await rendererAt(logs, log, from);
  const unsubscribe = changes.subscribe(first.runId, stream.wake);
  let stateSent = '';
  let failure: unknown = null;
  let following: { readonly done: Promise<void>; stop(): void } | null = null;

  async function current(): Promise<Job | null> {
    const job = await store.runs.job(first.id);
    if (!job || job.attempt !== first.attempt) return null;
    const state = await parts.state(job);
    const text = JSON.stringify(state);
    if (text !== stateSent) {
      stateSent = text;
      await stream.send('state', state);
    }
    return job;
  }

  async function sendLines(job: Job, lines: readonly Line[]): Promise<void> {
    for (const group of groupLines(job.steps, lines)) {
      const id = group.lines.at(-1)?.end ?? 0;
      await stream.send('log', { section: group.section, lines: group.lines.map((line) => line.html) }, id);
    }
  }

  function readMore(): Promise<Buffer> {
    return logs.read(log, renderer.position, renderer.position + readAtOnce);
  }

  /** Another server may write the log. */
  async function isWritten(): Promise<boolean> {
    const job = await store.runs.job(first.id);
    return job?.state === 'running' && job.attempt === first.attempt;
  }

  function follow(): { done: Promise<void>; stop(): void } {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, stream.signal]);
    async function run(): Promise<void> {
      try {
        for await (const { bytes } of logs.follow(log, renderer.position, signal, isWritten)) {
          const lines = renderer.push(bytes);
          // Read after the bytes came, so that the step they belong to is known.
          const job = lines.length > 0 ? await current() : null;
          if (job) await sendLines(job, lines);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
    const done = run()
      .catch((error: unknown) => {
        failure = error;
        stream.wake();
      })
      .finally(() => {
        following = null;
      });
    return { done, stop: () => stop.abort() };
  }

  try {
    while (!stream.signal.aborted) {
      if (failure) throw failure;
      const job = await current();
      if (!job) {
        await stream.send('restart', null);
        break;
      }
      if (job.state === 'completed') {
        const left = following;
        left?.stop();
        await left?.done;
        let bytes = await readMore();
        while (bytes.length > 0 && !stream.signal.aborted) {
          await sendLines(job, renderer.push(bytes));
          bytes = await readMore();
        }
        await sendLines(job, renderer.end());
        await stream.send('end', null);
        break;
      }
      if (job.state === 'running') following ??= follow();
      await stream.pause(following ? heartbeat : untilLogOpens);
    }
  } finally {
    unsubscribe();
    following?.stop();
    stream.end();
  }
}
