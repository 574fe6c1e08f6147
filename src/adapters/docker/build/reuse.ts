import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { type CredentialsOf, registryOf } from './registry-name.ts';
import { dial, records } from './wire.ts';

/**
 * True if the engine has this image (`repository@sha256:...`), or gets it from its registry now. False if it can't be had:
 * then it has to be built again.
 */
export async function fetchBuilt(
  docker: Docker,
  credentialsOf: CredentialsOf,
  image: string,
  line: (text: string) => void,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await docker.getImage(image).inspect();
    return true;
  } catch (error) {
    if ((error as { statusCode?: unknown }).statusCode !== 404) throw error;
  }
  signal.throwIfAborted();
  const host = registryOf(image);
  const credentials = credentialsOf(host);
  try {
    const stream = await dial<Readable>(docker, {
      method: 'POST',
      path: '/images/create?',
      options: { fromImage: image },
      authconfig: credentials ? { ...credentials, serveraddress: host } : {},
      isStream: true,
      abortSignal: signal,
      statusCodes: { 200: true },
    });
    for await (const { error } of records(stream)) if (error !== undefined) throw new Error(error);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    line(
      `${image} can't be had any more (${error instanceof Error ? error.message.trim() : String(error)}): it is built again.`,
    );
    return false;
  }
}
