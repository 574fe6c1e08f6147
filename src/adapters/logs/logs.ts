import { createHash } from 'node:crypto';
import { mkdir, open, type FileHandle, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LogName, Logs } from '#src/engine/ports.ts';
import { openWriter, type Writer } from './writer.ts';

export interface FileLogs extends Logs {
  /** Removes the log, if there is one. It must not be open. */
  delete(log: LogName): Promise<void>;
}

const chunkBytes = 256 * 1024;

/** Logs as plain files under `home/logs`. One process at a time writes; see docs/decisions/logs.md. */
export function openLogs(options: { readonly home: string }): FileLogs {
  const writers = new Map<string, Writer>();

  return {
    async open(log) {
      const file = fileOf(log);
      if (writers.has(file)) throw new Error(`The log of job ${log.jobId} is being written already.`);
      await mkdir(dirname(file), { recursive: true });
      const writer = await openWriter(file, () => writers.delete(file));
      writers.set(file, writer);
      return writer;
    },
    async read(log, from, to) {
      const file = fileOf(log);
      const end = Math.min(to ?? Number.POSITIVE_INFINITY, await sizeOf(file));
      if (end <= from) return Buffer.alloc(0);
      await using handle = await open(file, 'r');
      return readAt(handle, from, end - from);
    },
    size: (log) => sizeOf(fileOf(log)),
    follow: (log, from, signal) => follow(fileOf(log), from, signal),
    delete: (log) => rm(fileOf(log), { force: true }),
  };

  /** The first folder spreads many logs; ids that begin with the time would all fall into one. */
  function fileOf(log: LogName): string {
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/.test(log.jobId) || !Number.isSafeInteger(log.attempt) || log.attempt < 0) {
      throw new Error(`${JSON.stringify(log)} names no log.`);
    }
    const spread = createHash('sha256').update(log.jobId).digest('hex').slice(0, 2);
    return join(options.home, 'logs', spread, `${log.jobId}-${log.attempt}.log`);
  }

  /** Bytes that may be read. While a writer is at work that's what it has handed to the file system wholly. */
  async function sizeOf(file: string): Promise<number> {
    return writers.get(file)?.flushed ?? fileSize(file);
  }

  async function* follow(
    file: string,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly offset: number; readonly bytes: Buffer }> {
    let offset = from;
    let handle: FileHandle | null = null;
    try {
      while (!signal.aborted) {
        // Asked for before the size, so that nothing written in between is missed.
        const writer = writers.get(file);
        const changed = writer?.changed;
        const end = await sizeOf(file);
        if (offset < end) {
          handle ??= await open(file, 'r');
          const bytes = await readAt(handle, offset, Math.min(chunkBytes, end - offset));
          if (bytes.length === 0) return; // the file was cut or removed
          yield { offset, bytes };
          offset += bytes.length;
        } else if (changed) {
          await changedOrAborted(changed, signal);
        } else {
          return;
        }
      }
    } finally {
      await handle?.close();
    }
  }
}

async function fileSize(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

async function changedOrAborted(changed: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const aborted = Promise.withResolvers<void>();
  const onAbort = (): void => aborted.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([changed, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
