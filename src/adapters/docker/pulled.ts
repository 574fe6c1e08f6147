import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type Docker from 'dockerode';
import type { Cache } from '#src/engine/ports.ts';
import { removeLeftovers } from './build/leftovers.ts';
import { explain, isMissing } from './errors.ts';

/** The images that Slipway itself pulled, and when each was last used. Kept in a file, for the next process. */
export interface PulledImages extends Cache {
  /** Slipway pulled it now. */
  pulled(name: string): void;
  /** A job begins with it. Nothing happens if it was there before Slipway. */
  used(name: string): void;
  /** Writes what isn't written yet. */
  settled(): Promise<void>;
}

/** How exactly the last use is known. */
const noteMs = 60 * 60_000;

/**
 * Reads what was noted in `file`; one that is damaged counts as empty, so that nothing is removed by mistake. `clean`
 * removes the names that killed builds left, too. An image that any container has, also one that has ended, stays.
 */
export async function openPulledImages(options: {
  readonly docker: Docker;
  readonly file: string;
  readonly now: () => number;
}): Promise<PulledImages> {
  const { docker, file, now } = options;
  const uses = await readUses(file);
  let writing: Promise<void> = Promise.resolve();

  function note(name: string): void {
    uses.set(name, now());
    writing = writing.then(() => writeUses(file, uses)).catch(() => undefined); // only a longer stay is at stake
  }

  async function removeOld(before: number): Promise<{ count: number; bytes: number }> {
    const sum = { count: 0, bytes: 0 };
    for (const [name, usedAt] of uses) {
      if (usedAt >= before) continue;
      const image = docker.getImage(name);
      try {
        const info = await image.inspect();
        const users = await docker.listContainers({ all: true, filters: { ancestor: [info.Id] } });
        if (users.length > 0) continue;
        await image.remove({ noprune: false, force: false });
        sum.count += 1;
        sum.bytes += info.Size;
      } catch (error) {
        // In use by now: next time. Gone: somebody else removed it.
        if (!isMissing(error)) continue;
      }
      uses.delete(name);
    }
    writing = writing.then(() => writeUses(file, uses));
    await writing;
    return sum;
  }

  return {
    pulled: note,
    used(name) {
      const usedAt = uses.get(name);
      if (usedAt !== undefined && now() - usedAt >= noteMs) note(name);
    },
    settled: () => writing,
    async clean({ before }) {
      const names = await removeLeftovers(docker, now()).catch((error: unknown) => {
        throw explain(error, 'looking for images that builds left behind');
      });
      const old = before === null ? { count: 0, bytes: 0 } : await removeOld(before);
      return { count: names + old.count, bytes: old.bytes };
    },
  };
}

async function readUses(file: string): Promise<Map<string, number>> {
  try {
    const read = JSON.parse(await readFile(file, 'utf8')) as Record<string, number>;
    return new Map(Object.entries(read).filter(([, at]) => typeof at === 'number'));
  } catch {
    return new Map();
  }
}

async function writeUses(file: string, uses: ReadonlyMap<string, number>): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, JSON.stringify(Object.fromEntries(uses)), { mode: 0o600 });
  await rename(`${file}.new`, file);
}
