import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import type { Archives as Kept, ArchiveRef } from '#src/engine/ports.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';

/** All reports of a job, bytes. */
const REPORTS_LIMIT = 10 * 1024 * 1024;

export interface Archives {
  /** Takes a file that a job packed, if there is one. UserError if it is too large or no regular file. */
  take(packed: string, jobId: string, attempt: number): Promise<ArchiveRef | null>;
  /** Path of an archive. PlatformError if it isn't there. */
  path(ref: ArchiveRef): Promise<string>;
  open(ref: ArchiveRef): Promise<Readable>;
}

/** Archives are files in one folder. `limit` is the largest, bytes. */
export async function openArchives(folder: string, limit: number): Promise<Archives> {
  await mkdir(folder, { recursive: true, mode: 0o700 });

  async function openStored(ref: ArchiveRef): Promise<FileHandle> {
    const file = /^[A-Za-z0-9][\w.-]*\.tar$/.test(ref) ? await openRegular(join(folder, ref)) : null;
    if (file) return file;
    throw new PlatformError(`The artifacts ${ref} are no longer there. Re-run the job that made them.`);
  }

  return {
    async take(packed, jobId, attempt) {
      const file = await openRegular(packed);
      if (file === null) return null;
      try {
        const { size } = await file.stat();
        if (size > limit) {
          throw new UserError(
            `The artifacts are ${megabytes(size)} MB in all; at most ${megabytes(limit)} MB are kept. Name fewer files in artifacts.`,
          );
        }
        const ref = refOf(jobId, attempt);
        const kept = join(folder, ref);
        await rename(packed, kept);
        // What is left of the job may have put another file in its place meanwhile.
        if (await isSame(file, kept)) return ref;
        await rm(kept, { recursive: true, force: true });
        throw new UserError("The artifacts were changed after they were packed, so they aren't kept.");
      } finally {
        await file.close();
      }
    },
    async path(ref) {
      const file = await openStored(ref);
      await file.close();
      return join(folder, ref);
    },
    async open(ref) {
      return (await openStored(ref)).createReadStream();
    },
  };
}

async function isSame(file: FileHandle, path: string): Promise<boolean> {
  const [opened, there] = await Promise.all([file.stat(), lstat(path)]);
  return opened.ino === there.ino && opened.dev === there.dev;
}

function refOf(jobId: string, attempt: number): ArchiveRef {
  return `${jobId}-${attempt}.tar`;
}

/** The archives in a server's data folder, for whoever cleans up; the folder need not be there. */
export function keptArchives(home: string): Kept {
  const folder = join(home, 'artifacts');

  async function remove(ref: ArchiveRef): Promise<void> {
    if (/^[A-Za-z0-9][\w.-]*\.tar$/.test(ref)) await rm(join(folder, ref), { force: true });
  }

  return {
    remove,
    removeOf: ({ jobId, attempt }) => remove(refOf(jobId, attempt)),
    async *all() {
      const refs = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      });
      for (const ref of refs) {
        const [, jobId, attempt] = /^([A-Za-z0-9][\w.-]*)-(\d+)\.tar$/.exec(ref) ?? [];
        const info = jobId === undefined ? null : await stat(join(folder, ref)).catch(() => null);
        if (jobId === undefined || !info?.isFile()) continue;
        yield { name: { jobId, attempt: Number(attempt), ref }, bytes: info.size, at: info.mtimeMs };
      }
    },
  };
}

/**
 * Contents of the regular files in a tar archive, by path. `note` is told what is left out because of the limit or
 * because the archive is damaged.
 */
export async function readReports(packed: string, note: (line: string) => void): Promise<Map<string, string>> {
  const reports = new Map<string, string>();
  const file = await openRegular(packed);
  if (file === null) return reports;
  const unpack = extract();
  let left = REPORTS_LIMIT;
  try {
    if ((await file.stat()).size > 2 * REPORTS_LIMIT) throw new Error('they are larger than 10 MB in all');
    const source = file.createReadStream();
    source.on('error', (error) => unpack.destroy(error));
    source.pipe(unpack);
    for await (const entry of unpack) {
      const { name, type, size } = entry.header;
      const wanted = type === 'file' && (size ?? 0) <= left;
      if (type === 'file' && !wanted) note(`The report ${name} is left out: reports may have 10 MB in all.`);
      const chunks: Buffer[] = [];
      for await (const chunk of entry) if (wanted) chunks.push(chunk as Buffer);
      if (!wanted) continue;
      left -= size ?? 0;
      reports.set(name.replace(/^\.\//, ''), Buffer.concat(chunks).toString('utf8'));
    }
  } catch (error) {
    note(`The reports can't be read: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    unpack.destroy();
    await file.close();
  }
  return reports;
}

/** Null if there is none. A link, FIFO or device in its place counts as none: nothing is followed or waited for. */
async function openRegular(path: string): Promise<FileHandle | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = (error as { code?: string }).code ?? '';
    if (['ENOENT', 'ELOOP', 'ENXIO', 'EISDIR'].includes(code)) return null;
    throw new PlatformError(`${path} can't be read: ${(error as Error).message}`, { cause: error });
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  return null;
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(bytes < 10 * 1024 * 1024 ? 1 : 0);
}
