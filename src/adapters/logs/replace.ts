import { randomBytes } from 'node:crypto';
import { fstatSync, renameSync, statSync } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';

const copyBytes = 1024 * 1024;
/** A draft that is older was left by a process that died, milliseconds. */
const draftAge = 60 * 60_000;

/**
 * Puts a new file with the first `bytes` of the old one in its place. Another process that still has the old one open
 * (a server that stood still) writes into nothing from then on. `made` is false if somebody else put another file
 * there meanwhile: then that one is opened.
 */
export async function replaceBy(
  file: string,
  old: FileHandle,
  bytes: number,
): Promise<{ readonly handle: FileHandle; readonly made: boolean }> {
  const draft = `${file}.draft-${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx+', 0o640);
  try {
    await copy(old, handle, bytes);
    // In one turn, so that next to nothing can come in between.
    if (isAt(file, old)) {
      renameSync(draft, file);
      return { handle, made: true };
    }
  } catch (error) {
    await handle.close();
    await rm(draft, { force: true });
    throw error;
  }
  await handle.close();
  await rm(draft, { force: true });
  return { handle: await open(file, 'r+'), made: false };
}

/** Whether the path still names the open file. */
export function isAt(file: string, handle: FileHandle): boolean {
  const open = fstatSync(handle.fd);
  const there = statSync(file, { throwIfNoEntry: false });
  return there !== undefined && there.ino === open.ino && there.dev === open.dev;
}

/** True for the name of a draft; it is removed once it is old. */
export async function isDraft(file: string): Promise<boolean> {
  if (!/\.log\.draft-[0-9a-f]{12}$/.test(file)) return false;
  const info = await stat(file).catch(() => null);
  if (info && Date.now() - info.mtimeMs > draftAge) await rm(file, { force: true });
  return true;
}

async function copy(from: FileHandle, to: FileHandle, bytes: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(copyBytes, bytes));
  let done = 0;
  while (done < bytes) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, bytes - done), done);
    if (bytesRead === 0) return;
    let written = 0;
    while (written < bytesRead) {
      written += (await to.write(buffer, written, bytesRead - written, done + written)).bytesWritten;
    }
    done += bytesRead;
  }
}
