import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import type { ArchiveRef } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';
import type { Archives } from './archives.ts';
import type { JobFolder } from './folder.ts';

/** More files than any job hands on. */
const mostEntries = 1_000_000;

/** Copies the artifacts of earlier jobs to where the job unpacks them. UserError if they would leave the workspace. */
export async function giveInputs(
  archives: Pick<Archives, 'path'>,
  folder: Pick<JobFolder, 'copy'>,
  inputs: readonly ArchiveRef[],
): Promise<void> {
  const paths = await Promise.all(inputs.map((ref) => archives.path(ref)));
  await Promise.all([refuseHostile(paths), ...paths.map((path, i) => folder.copy(path, `input-${i}.tar`))]);
}

/**
 * Looks through the archives that are unpacked in one folder, in this order, and throws UserError if one of them would
 * write outside of it. A job's artifacts are its own work: what it packed must not decide what the next job's container
 * runs. Tar itself is no help: it follows a link that an earlier archive made. Links may lead anywhere, but nothing may
 * be written through one.
 */
export async function refuseHostile(archives: readonly string[]): Promise<void> {
  const links = new Set<string>();
  let entries = 0;
  for (const archive of archives) {
    // The oldest form, too; the types don't know the option.
    const unpack = extract({ allowUnknownFormat: true } as object);
    const source = createReadStream(archive, { highWaterMark: 1024 * 1024 });
    const feeding = pipeline(source, unpack);
    // Seen below as the end of the entries; without this it would be an unhandled rejection meanwhile.
    feeding.catch(() => {});
    try {
      for await (const entry of unpack) {
        entries += 1;
        const why = entries > mostEntries ? `there are more than ${mostEntries} files` : whyNot(entry.header, links);
        if (why !== null) throw new UserError(`The artifacts of an earlier job can't be unpacked: ${why}.`);
        entry.resume();
      }
      await feeding;
    } catch (error) {
      unpack.destroy();
      source.destroy();
      if (error instanceof UserError) throw error;
      // Another tar might make more of it.
      const why = error instanceof Error ? error.message : String(error);
      throw new UserError(`The artifacts of an earlier job can't be read: ${why}`, { cause: error });
    }
  }
}

/** Why an entry isn't unpacked, or null. Notes in `links` what is one. */
function whyNot(header: Header, links: Set<string>): string | null {
  const shown = JSON.stringify(header.name.slice(0, 200));
  const name = normal(header.name);
  if (name === null) return `the path ${shown} leads out of the workspace`;
  // Where these stand, GNU tar goes by another name than everybody else.
  if (Object.keys(header.pax ?? {}).some((key) => key.startsWith('GNU.sparse'))) return `${shown} is a sparse file`;
  if (passesLink(name, links)) return `the path ${shown} passes a symbolic link`;
  switch (header.type) {
    case 'symlink':
      links.add(name);
      return null;
    case 'file':
    case 'contiguous-file':
    case 'directory':
      // It takes the link's place; a folder doesn't.
      if (header.type !== 'directory') links.delete(name);
      return null;
    case 'link': {
      const target = normal(header.linkname ?? '');
      const leaves = target === null || passesLink(target, links);
      return leaves ? `the hard link ${shown} leads out of the workspace` : null;
    }
    default:
      return `${shown} is neither a file, a folder nor a link`;
  }
}

function normal(path: string): string | null {
  // Before it is normalised: `link/../x` is not `x`.
  if (path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) return null;
  return posix.normalize(path).replace(/^\.\/|\/$/g, '');
}

function passesLink(path: string, links: ReadonlySet<string>): boolean {
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
    if (links.has(path.slice(0, end))) return true;
  }
  return false;
}
