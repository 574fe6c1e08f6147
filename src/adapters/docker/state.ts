import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Outcome, PlatformError } from '#src/model/outcome.ts';
import type { ArchiveRef } from '#src/engine/ports.ts';
import type { Image } from './images.ts';

/**
 * What another process needs to follow a job, in `state.json` beside the folders that the container sees. Written before
 * the job is told to begin.
 */
export interface JobState {
  /** Tells the job's marks from its text. */
  readonly nonce: string;
  /** What JobListener.begin answered. */
  readonly begun: number;
  /** When it was told to begin: by the clock, milliseconds, and by the machine's uptime, seconds. */
  readonly startedAt: number;
  readonly uptime: number;
  /** Id. */
  readonly container: string;
  readonly image: Image;
}

/** How a job ended, in `ended.json`: kept for a while, as the server may die before it has stored the result. */
export interface JobEnd {
  readonly outcome: Outcome;
  /** Of the container, if it didn't tell its end. */
  readonly exitCode: number | null;
  readonly artifacts: ArchiveRef | null;
}

export const writeState = (folder: string, state: JobState): Promise<void> => write(folder, 'state.json', state);
export const writeEnd = (folder: string, end: JobEnd): Promise<void> => write(folder, 'ended.json', end);

/** Null if the job wasn't told to begin. PlatformError if the file is damaged. */
export const readState = (folder: string): Promise<JobState | null> => read<JobState>(folder, 'state.json');
export const readEnd = (folder: string): Promise<JobEnd | null> => read<JobEnd>(folder, 'ended.json');

/** There at once or not at all. Not forced to the disk: when the machine goes down, so does the job. */
async function write(folder: string, name: string, value: JobState | JobEnd): Promise<void> {
  const path = join(folder, name);
  await writeFile(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

async function read<T>(folder: string, name: string): Promise<T | null> {
  const path = join(folder, name);
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null;
    throw new PlatformError(`The job can't be followed: ${path} can't be read (${(error as Error).message}).`, {
      cause: error,
      retry: 'once',
    });
  }
}
