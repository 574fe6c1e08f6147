import { type FSWatcher, watch } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** Told of changes that inotify hides (a file system of another machine), milliseconds. */
const SAFETY_INTERVAL = 1000;
const CHUNK = 256 * 1024;

export interface LogFollower {
  /** Reads what there is up to now. */
  drain(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Hands every byte that is appended to an open file to `take`, in order, as soon as the kernel tells of it.
 * `path` is watched only: bytes come from the handle. A file that was cut is read on from its new start.
 */
export function followFile(file: FileHandle, path: string, take: (bytes: Buffer) => void): LogFollower {
  let position = 0;
  let reading: Promise<void> = Promise.resolve();
  let queued = false;
  let stopped = false;

  async function read(): Promise<void> {
    queued = false;
    for (;;) {
      if (stopped) return;
      const buffer = Buffer.allocUnsafe(CHUNK);
      const { bytesRead } = await file.read(buffer, 0, CHUNK, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      take(buffer.subarray(0, bytesRead));
    }
    if ((await file.stat()).size < position) position = 0;
  }

  function wake(): void {
    if (queued || stopped) return;
    queued = true;
    // A failed read (the file system is gone) shows as a job without an end: the container's exit decides.
    reading = reading.then(read).catch(() => {});
  }

  let watcher: FSWatcher | null = null;
  try {
    watcher = watch(path, wake);
    watcher.on('error', () => watcher?.close());
  } catch {
    // No inotify left: the interval below still reads.
  }
  const timer = setInterval(wake, SAFETY_INTERVAL);
  timer.unref();
  wake();

  return {
    drain() {
      wake();
      return reading;
    },
    async stop() {
      stopped = true;
      clearInterval(timer);
      watcher?.close();
      await reading;
    },
  };
}
