import { constants, writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { LogWriter } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';

export interface Writer extends LogWriter {
  /** Bytes that readers find in the file. */
  readonly flushed: number;
  /** Settled when `flushed` grows or the writer is closed. */
  readonly changed: Promise<void>;
}

/** Time between two writes. What comes after a pause is written at once: people wait for the first line. */
const delayMs = 100;
const batchBytes = 64 * 1024;
/** More than this waiting for a slow disk is written at once, so that memory stays bounded. */
const maxWaitingBytes = 16 * 1024 * 1024;

/** Appends to the file, which is made if it's missing. `closed` is called once no more will be written. */
export async function openWriter(file: string, closed: () => void): Promise<Writer> {
  const handle = await open(file, constants.O_WRONLY | constants.O_CREAT, 0o640);
  let flushed = (await handle.stat()).size;
  /** Where the next bytes go that are handed to the file system. */
  let position = flushed;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let timer: NodeJS.Timeout | null = null;
  let notBefore = 0;
  let flushing: Promise<void> | null = null;
  let failure: Error | null = null;
  let closing: Promise<void> | null = null;
  let change = Promise.withResolvers<void>();

  return {
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
      waiting.push(bytes);
      waitingBytes += bytes.length;
      if (waitingBytes >= maxWaitingBytes) drainNow();
      else if (waitingBytes >= batchBytes) flush();
      else timer ??= setTimeout(flush, Math.max(0, notBefore - performance.now()));
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
      try {
        await writeAll(handle, batch, at);
        announce();
      } catch (error) {
        fail(error);
      }
    }
    // In the same turn as the last look at what waits: bytes that come in between would lie until the next ones.
    flushing = null;
  }

  /** Behind the batch that is under way; readers see it when that one is finished. */
  function drainNow(): void {
    const batch = take();
    let done = 0;
    try {
      while (done < batch.length) done += writeSync(handle.fd, batch, done, batch.length - done, position + done);
      position += batch.length;
      if (!flushing) announce();
    } catch (error) {
      fail(error);
    }
  }

  function announce(): void {
    flushed = position;
    change.resolve();
    change = Promise.withResolvers();
  }

  function fail(error: unknown): void {
    failure ??= new PlatformError(`The log can't be written: ${(error as Error).message}. Is the disk full?`);
    waiting = [];
    waitingBytes = 0;
  }

  async function end(): Promise<void> {
    try {
      flush();
      await flushing;
      if (!failure) await handle.datasync();
    } finally {
      await handle.close();
      closed();
      change.resolve();
    }
    if (failure) throw failure;
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
