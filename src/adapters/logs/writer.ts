import { constants, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { LostJob } from '#src/engine/errors.ts';
import type { LogWriter } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { isAt, replaceBy } from './replace.ts';

export interface Writer extends LogWriter {
  /** Bytes that readers find in the file. */
  readonly flushed: number;
  /** Settled when `flushed` changes or the writer is closed. */
  readonly changed: Promise<void>;
}

/** Why nothing more may be written, or null: for so many bytes, and looked at now for many at once. */
export interface Refusal {
  of(bytes: number): Promise<string | null>;
  now(): string | null;
}

/** Time between two writes. What comes after a pause is written at once: people wait for the first line. */
const delayMs = 100;
const batchBytes = 64 * 1024;
/** More than this waiting for a slow disk is written at once, so that memory stays bounded. */
const maxWaitingBytes = 16 * 1024 * 1024;

/**
 * Appends to the file, which is made if it's missing. Bytes reach the file in their order: a process that is killed
 * leaves a log that ends early, never one with a hole. `closed` is called once no more will be written.
 */
export async function openWriter(file: string, refused: Refusal, closed: () => void): Promise<Writer> {
  let { handle, made } = await openFile(file).catch((error: unknown) => {
    throw failureOf((error as Error).message);
  });
  let flushed = (await handle.stat()).size;
  /** Where the next bytes go that are handed to the file system. */
  let position = flushed;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  /** Handed over, but not known to be in the file yet. */
  let underWay: { readonly batch: Buffer; readonly at: number } | null = null;
  let timer: NodeJS.Timeout | null = null;
  let notBefore = 0;
  /** The last words of a log that was written in a hurry. */
  let ending: Promise<void> = Promise.resolve();
  let flushing: Promise<void> | null = null;
  let written = false;
  let failure: PlatformError | null = null;
  const failed = new AbortController();
  let closing: Promise<void> | null = null;
  let change = Promise.withResolvers<void>();

  return {
    failed: failed.signal,
    get offset() {
      return position + waitingBytes;
    },
    get flushed() {
      return flushed;
    },
    get changed() {
      return change.promise;
    },
    write(bytes) {
      if (closing) throw new Error('The log is closed.');
      if (bytes.length === 0 || failure) return;
      written = true;
      waiting.push(bytes);
      waitingBytes += bytes.length;
      if (waitingBytes >= maxWaitingBytes) drainNow();
      else if (waitingBytes >= batchBytes) flush();
      else timer ??= setTimeout(flush, Math.max(0, notBefore - performance.now()));
    },
    async cut(offset, holds) {
      if (written || closing) throw new Error('The log is being written: nothing can be cut off any more.');
      try {
        while (!(made && isAt(file, handle))) {
          if (!(await holds())) throw new LostJob();
          const next = await replaceBy(file, handle, Math.min(offset, position));
          await handle.close();
          handle = next.handle;
          made = next.made;
          position = (await handle.stat()).size;
        }
        if (offset < position) {
          await handle.truncate(offset);
          position = offset;
        }
      } catch (error) {
        if (error instanceof LostJob) throw error;
        fail(failureOf((error as Error).message));
      }
      announce();
    },
    close() {
      closing ??= end();
      return closing;
    },
  };

  function take(): Buffer {
    const batch = waiting.length === 1 && waiting[0] ? waiting[0] : Buffer.concat(waiting, waitingBytes);
    waiting = [];
    waitingBytes = 0;
    return batch;
  }

  function flush(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    notBefore = performance.now() + delayMs;
    if (waitingBytes > 0 && !failure) flushing ??= drain();
  }

  async function drain(): Promise<void> {
    while (waitingBytes > 0 && !failure) {
      const batch = take();
      const at = position;
      position += batch.length;
      underWay = { batch, at };
      const refusal = await refused.of(batch.length);
      if (refusal !== null) {
        underWay = null;
        await lastWords(refusal);
        break;
      }
      try {
        await writeAll(handle, batch, at);
        announce();
      } catch (error) {
        fail(failureOf((error as Error).message));
      }
      underWay = null;
    }
    // In the same turn as the last look at what waits: bytes that come in between would lie until the next ones.
    flushing = null;
  }

  /** The batch that is under way is written once more before, so that no hole is left if the process ends now. */
  function drainNow(): void {
    try {
      if (underWay) writeAllNow(handle.fd, underWay.batch, underWay.at);
      const refusal = refused.now();
      if (refusal !== null) {
        if (underWay) announce();
        ending = lastWords(refusal);
        return;
      }
      const batch = take();
      writeAllNow(handle.fd, batch, position);
      position += batch.length;
      announce();
    } catch (error) {
      fail(failureOf((error as Error).message));
    }
  }

  function announce(): void {
    flushed = position;
    change.resolve();
    change = Promise.withResolvers();
  }

  /** There is the reserve yet: people find in the log itself why it ends. */
  async function lastWords(refusal: string): Promise<void> {
    if (failure) return;
    fail(failureOf(refusal));
    const words = Buffer.from(`\n\nSlipway: the log ends here. ${refusal}\n`);
    try {
      await writeAll(handle, words, position);
      position += words.length;
      announce();
    } catch {
      // The outcome says it as well.
    }
  }

  function fail(error: PlatformError): void {
    if (failure) return;
    failure = error;
    waiting = [];
    waitingBytes = 0;
    position = flushed;
    failed.abort(error);
  }

  async function end(): Promise<void> {
    try {
      flush();
      await flushing;
      await ending;
      if (!failure) await handle.datasync().catch((error: Error) => fail(failureOf(error.message)));
    } finally {
      await handle.close();
      closed();
      change.resolve();
    }
    if (failure) throw failure;
  }
}

/** `made` says that no other process can have it open for writing yet. */
async function openFile(file: string): Promise<{ handle: FileHandle; made: boolean }> {
  try {
    return { handle: await open(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o640), made: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return { handle: await open(file, constants.O_RDWR | constants.O_CREAT, 0o640), made: false };
  }
}

function failureOf(why: string): PlatformError {
  const full = /ENOSPC|EDQUOT/.test(why) ? ' The disk is full: free some space.' : '';
  const said = /[.!?]$/.test(why) ? why : `${why}.`;
  return new PlatformError(`The log can't be written. ${said}${full}`);
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}

function writeAllNow(fd: number, bytes: Buffer, at: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}
