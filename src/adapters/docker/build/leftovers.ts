import { randomBytes } from 'node:crypto';
import type Docker from 'dockerode';

const repository = 'slipway-build';
/** No build takes as long. */
const abandonedMs = 12 * 60 * 60_000;

/** A name for the image of one build, that tells when it began. */
export function temporaryName(now: number): string {
  return `${repository}:${now.toString(36)}-${randomBytes(8).toString('hex')}`;
}

/** When the build began whose name this is (milliseconds), or null: the name isn't one of a build. */
function begunAt(name: string): number | null {
  const tag = name.startsWith(`${repository}:`) ? name.slice(repository.length + 1) : '';
  const [, time] = /^([0-9a-z]{8,9})-[0-9a-f]{16}$/.exec(tag) ?? [];
  if (time !== undefined) return Number.parseInt(time, 36);
  // Of a version that didn't write the time into it.
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(tag) ? 0 : null;
}

/** Removes the names that killed builds left in the engine, of whichever server. Returns how many. */
export async function removeLeftovers(docker: Docker, now: number): Promise<number> {
  const images = await docker.listImages({ filters: { reference: [repository] } });
  let count = 0;
  for (const name of images.flatMap((image) => image.RepoTags ?? [])) {
    const begun = begunAt(name);
    if (begun === null || now - begun < abandonedMs) continue;
    const removed = await docker
      .getImage(name)
      .remove({ noprune: false, force: false })
      .then(
        () => true,
        () => false, // another server was faster, or it is in use
      );
    if (removed) count += 1;
  }
  return count;
}
