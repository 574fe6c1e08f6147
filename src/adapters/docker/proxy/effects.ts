import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '#src/model/outcome.ts';
import { type Engine, parse } from './engine.ts';

/**
 * An image has its real name only while it is pushed, for on the engine that name may mean something else to others. What
 * is changed is written down before, so that it is undone also after the server died.
 */
export interface RealNames {
  /** Gives the image `from` (an id or name of the engine) the name for as long as `work` takes. One at a time a name. */
  lend<T>(from: string, repo: string, tag: string, work: () => Promise<T>): Promise<T>;
  /** Undoes what a server did that died. */
  restore(): Promise<void>;
}

interface Note {
  readonly repo: string;
  readonly tag: string;
  /** Id of the image that had the name before. */
  readonly before: string | null;
}

/** Runs works of the same name one after the other, of all jobs. */
type Lock = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** `folder`: of the job, out of its reach. */
export function openRealNames(engine: Engine, lock: Lock, folder: string): RealNames {
  const notes = join(folder, 'names');

  async function idOf(name: string): Promise<string | null> {
    const { status, json } = await engine.ask('GET', `/images/${encodeURIComponent(name)}/json`);
    const id = (json as { Id?: unknown } | null)?.Id;
    return status === 200 && typeof id === 'string' ? id : null;
  }

  async function name(from: string, repo: string, tag: string): Promise<void> {
    const query = `repo=${encodeURIComponent(repo)}&tag=${encodeURIComponent(tag)}`;
    const { status, json } = await engine.ask('POST', `/images/${encodeURIComponent(from)}/tag?${query}`);
    if (status >= 400) throw failure(`naming an image ${repo}:${tag}`, json);
  }

  async function undo({ repo, tag, before }: Note): Promise<void> {
    const now = await idOf(`${repo}:${tag}`);
    if (now === before) return;
    // Taken off first: with it go the digests that the push gave the job's image, which would keep it.
    const { status, json } = await engine.ask('DELETE', `/images/${encodeURIComponent(`${repo}:${tag}`)}?noprune=1`);
    if (status >= 400 && status !== 404) throw failure(`taking the name ${repo}:${tag} off an image`, json);
    if (before !== null) await name(before, repo, tag);
  }

  return {
    lend: (from, repo, tag, work) =>
      lock(`${repo}:${tag}`, async () => {
        const note: Note = { repo, tag, before: await idOf(`${repo}:${tag}`) };
        const file = join(notes, `${createHash('sha256').update(`${repo}:${tag}`).digest('hex').slice(0, 16)}.json`);
        await mkdir(notes, { recursive: true, mode: 0o700 });
        await writeFile(file, JSON.stringify(note), { mode: 0o600 });
        try {
          await name(from, repo, tag);
          return await work();
        } finally {
          await undo(note);
          await rm(file, { force: true });
        }
      }),
    async restore() {
      for (const entry of await readdir(notes).catch(() => [])) {
        const file = join(notes, entry);
        // Torn by the server's death: nothing was done yet.
        const note = parse(await readFile(file, 'utf8')) as Note | null;
        if (note) await lock(`${note.repo}:${note.tag}`, () => undo(note));
        await rm(file, { force: true });
      }
    },
  };
}

/** The job's container joins a network that the job made, or leaves it. Where it can't, that is how it was. */
export async function connectSelf(engine: Engine, network: string, self: string, join: boolean): Promise<void> {
  const path = `/networks/${encodeURIComponent(network)}/${join ? 'connect' : 'disconnect'}`;
  await engine.ask('POST', path, { Container: self, ...(join ? {} : { Force: true }) });
}

function failure(what: string, json: unknown): PlatformError {
  const message = (json as { message?: unknown } | null)?.message;
  return new PlatformError(
    `The Docker engine failed at ${what}: ${typeof message === 'string' ? message : 'no reason'}`,
  );
}
