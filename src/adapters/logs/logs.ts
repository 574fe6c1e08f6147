import { createHash } from 'node:crypto';
import { mkdir, open, type FileHandle, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogName, Logs, Stored } from '#src/engine/ports.ts';
import type { Space } from '#src/engine/space.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { isDraft } from './replace.ts';
import { openWriter, type Refusal, type Writer } from './writer.ts';

export interface FileLogsOptions {
  readonly home: string;
  /** Says when the disk's reserve is reached: logs end then. Default: they go on until the disk is full. */
  readonly space?: Pick<Space, 'shortageFor' | 'shortageNow'>;
}

const chunkBytes = 256 * 1024;
/** How often a log is looked at that another process writes. */
const lookMs = 300;

/** A job that fills the disk is ended, and what it took is free again a moment later: so long other logs wait, milliseconds. */
const reliefMs = 10_000;
const reliefLookMs = 500;

async function afterRelief(shortage: () => Promise<string | null>): Promise<string | null> {
  const end = performance.now() + reliefMs;
  for (;;) {
    const found = await shortage();
    if (found === null || performance.now() >= end) return found;
    await sleep(reliefLookMs);
  }
}

/**
 * Logs as plain files under `home/logs`. A log is written by one process at a time, and read by any; see
 * docs/decisions/logs.md.
 */
export function openLogs(options: FileLogsOptions): Logs {
  const writers = new Map<string, Writer>();
  const opening = new Set<string>();
  const refusal: Refusal = {
    of: (bytes) => afterRelief(() => options.space?.shortageFor(bytes) ?? Promise.resolve(null)),
    now: () => options.space?.shortageNow() ?? null,
  };

  return {
    async open(log) {
      const file = fileOf(log);
      if (writers.has(file) || opening.has(file)) {
        throw new Error(`The log of job ${log.jobId} is being written already.`);
      }
      opening.add(file);
      try {
        await mkdir(dirname(file), { recursive: true }).catch((error: Error) => {
          throw new PlatformError(`The log can't be written: ${error.message}. See that the disk isn't full.`);
        });
        const writer = await openWriter(file, refusal, () => writers.delete(file));
        writers.set(file, writer);
        return writer;
      } finally {
        opening.delete(file);
      }
    },
    async read(log, from, to) {
      const file = fileOf(log);
      const end = Math.min(to ?? Number.POSITIVE_INFINITY, await sizeOf(file));
      if (end <= from) return Buffer.alloc(0);
      await using handle = await open(file, 'r');
      return readAt(handle, from, end - from);
    },
    size: (log) => sizeOf(fileOf(log)),
    follow: (log, from, signal, written) => follow(fileOf(log), from, signal, written ?? null),
    async exists(log) {
      const file = fileOf(log);
      return writers.has(file) || (await infoOf(file)) !== null;
    },
    async remove(log) {
      const file = fileOf(log);
      if (!writers.has(file) && !opening.has(file)) await rm(file, { force: true });
    },
    all,
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
    return writers.get(file)?.flushed ?? (await infoOf(file))?.size ?? 0;
  }

  async function* follow(
    file: string,
    from: number,
    signal: AbortSignal,
    written: (() => Promise<boolean>) | null,
  ): AsyncGenerator<{ readonly offset: number; readonly bytes: Buffer }> {
    let offset = from;
    let handle: FileHandle | null = null;
    let over = written === null;
    try {
      while (!signal.aborted) {
        // Asked for before the size, so that nothing written in between is missed.
        const writer = writers.get(file);
        const changed = writer?.changed;
        const end = await sizeOf(file);
        if (offset < end) {
          handle ??= await open(file, 'r');
          const bytes = await readAt(handle, offset, Math.min(chunkBytes, end - offset));
          if ((await handle.stat()).nlink === 0) {
            // Whoever goes on with the job put another file in its place, or it was removed.
            await handle.close();
            handle = null;
            if ((await infoOf(file)) === null) return;
          } else if (bytes.length > 0) {
            yield { offset, bytes };
            offset += bytes.length;
          }
          // Otherwise it was cut a moment ago: its new size is asked for.
        } else if (changed) {
          await settledOrAborted(changed, signal);
        } else if (over) {
          return;
        } else if (await written?.()) {
          await sleep(lookMs, undefined, { signal, ref: false }).catch(() => {});
        } else {
          over = true; // What came before the answer is read yet.
        }
      }
    } finally {
      await handle?.close();
    }
  }

  async function* all(): AsyncGenerator<Stored<LogName>> {
    const root = join(options.home, 'logs');
    for (const spread of await namesIn(root)) {
      for (const entry of await namesIn(join(root, spread))) {
        if (await isDraft(join(root, spread, entry))) continue;
        const [, jobId, attempt] = /^(.+)-(\d+)\.log$/.exec(entry) ?? [];
        if (jobId === undefined) continue;
        const name = { jobId, attempt: Number(attempt) };
        const info = fileOf(name) === join(root, spread, entry) ? await infoOf(join(root, spread, entry)) : null;
        if (info) yield { name, bytes: info.size, at: info.mtimeMs };
      }
    }
  }
}

/** Empty where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

async function infoOf(file: string): Promise<{ readonly size: number; readonly mtimeMs: number } | null> {
  try {
    return await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
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

async function settledOrAborted(changed: Promise<void>, signal: AbortSignal): Promise<void> {
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
