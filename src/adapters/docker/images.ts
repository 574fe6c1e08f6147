import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { type CredentialsOf, registryOf } from './build/registry-name.ts';
import { engineFailure, explain, isMissing } from './errors.ts';

/** What must be known of an image to run it. */
export interface Image {
  readonly id: string;
  readonly name: string;
  /** The configured user isn't root: what the server makes must be handed over to it. */
  readonly otherUser: boolean;
  readonly healthCheck: boolean;
  /** Lowest exposed TCP port, or null. */
  readonly port: number | null;
}

export interface PullContext {
  readonly docker: Docker;
  /** The same engine without a deadline: the signal ends a pull. */
  readonly patient: Docker;
  readonly credentialsOf: CredentialsOf;
  /**
   * True for registries to which the operator has an account that this job isn't given: what the engine has from there
   * came with it, so the registry is asked whether anybody may have the image. Default: none.
   */
  readonly withheld?: (registry: string) => boolean;
  /** Told which images were pulled and used, so that old ones can go. */
  readonly uses: ImageUses;
  /** Progress for people, a line a call. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface ImageUses {
  pulled(name: string): void;
  used(name: string): void;
}

/**
 * The image, pulled if the engine lacks it. UserError if there is no such image or it may not be had,
 * PlatformError if the registry or the engine can't be reached.
 */
export async function ensureImage(name: string, context: PullContext): Promise<Image> {
  const known = await inspect(context.docker, name);
  if (known && !context.withheld?.(registryOf(name))) {
    context.uses.used(name);
    return known;
  }
  await pull(name, context);
  if (known) context.uses.used(name);
  else context.uses.pulled(name);
  const pulled = await inspect(context.docker, name);
  if (pulled) return pulled;
  throw new PlatformError(`Docker pulled the image ${name}, but doesn't have it afterwards. Is the disk full?`);
}

/** The image if the engine has it under this name, else null. The engine takes the beginning of an id for a name, too. */
export async function inspect(docker: Docker, name: string): Promise<Image | null> {
  try {
    const info = await docker.getImage(name).inspect();
    // Who guesses two digits of an id must not get somebody else's image.
    const isId = /^(?:sha256:)?[0-9a-f]{1,64}$/i.test(name);
    if (isId && !(info.RepoTags ?? []).includes(`${name}:latest`)) return null;
    const user = (info.Config.User ?? '').split(':')[0];
    const test = info.Config.Healthcheck?.Test;
    const ports = Object.keys(info.Config.ExposedPorts ?? {})
      .filter((port) => !port.endsWith('/udp') && !port.endsWith('/sctp'))
      .map((port) => Number.parseInt(port, 10));
    return {
      id: info.Id,
      name,
      otherUser: user !== '' && user !== '0' && user !== 'root',
      healthCheck: test !== undefined && test.length > 0 && test[0] !== 'NONE',
      port: ports.length > 0 ? Math.min(...ports) : null,
    };
  } catch (error) {
    if (isMissing(error)) return null;
    throw explain(error, `looking for the image ${name}`, name);
  }
}

/** Docker pulls every tag of a name that has none. */
function withTag(name: string): string {
  return /(:[^/]+|@.+)$/.test(name) ? name : `${name}:latest`;
}

async function pull(name: string, { patient, credentialsOf, say, signal }: PullContext): Promise<void> {
  signal.throwIfAborted();
  const registry = registryOf(name);
  const credentials = credentialsOf(registry);
  const authconfig = credentials ? { ...credentials, serveraddress: registry } : undefined;
  say(`Pulling ${name}`);
  const started = performance.now();
  let stream: Readable;
  try {
    stream = (await patient.pull(withTag(name), {
      ...(authconfig ? { authconfig } : {}),
      abortSignal: signal,
    })) as Readable;
  } catch (error) {
    signal.throwIfAborted();
    throw pullFailure(error, name, registry, credentials !== null);
  }
  await follow(stream, name, registry, credentials !== null, say, signal);
  say(`Pulled ${name} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

interface PullRecord {
  readonly id?: string;
  readonly status?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

/** A line every few seconds instead of the thousands that the engine sends. */
async function follow(
  stream: Readable,
  name: string,
  registry: string,
  withCredentials: boolean,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const stop = () => stream.destroy();
  signal.addEventListener('abort', stop);
  const layers = new Map<string, { current: number; total: number }>();
  let said = performance.now();
  let text = '';
  try {
    for await (const chunk of stream) {
      text += String(chunk);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line.trim() === '') continue;
        const record = JSON.parse(line) as PullRecord;
        if (record.error !== undefined) throw pullFailure(new Error(record.error), name, registry, withCredentials);
        const detail = record.progressDetail;
        if (record.status === 'Downloading' && record.id && detail?.total) {
          layers.set(record.id, { current: detail.current ?? 0, total: detail.total });
        }
        if (performance.now() - said < 3000 || layers.size === 0) continue;
        said = performance.now();
        const sum = (key: 'current' | 'total') => [...layers.values()].reduce((n, layer) => n + layer[key], 0) / 1e6;
        say(`Pulling ${name}: ${sum('current').toFixed(0)} of ${sum('total').toFixed(0)} MB`);
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, `pulling ${name}`, name);
  } finally {
    signal.removeEventListener('abort', stop);
    stream.destroy();
  }
  signal.throwIfAborted();
}

/** Whose fault a pull is: what isn't there or may not be had is the user's, what can't be reached the platform's. */
function pullFailure(error: unknown, name: string, registry: string, withCredentials: boolean): Error {
  const { message } = engineFailure(error);
  const said = `The registry ${registry} said: ${message}.`;
  if (/no matching manifest|platform.*does not match|unsupported.*platform/i.test(message)) {
    return new UserError(`The image ${name} isn't made for this machine's platform. ${said}`, { cause: error });
  }
  if (/denied|unauthorized|authentication required|no basic auth/i.test(message)) {
    const hint = withCredentials
      ? "The operator's credentials for this registry don't reach it."
      : `If it is private, the operator must give Slipway credentials for ${registry}.`;
    return new UserError(`The image ${name} doesn't exist or may not be pulled. ${said} ${hint}`, { cause: error });
  }
  if (/not found|manifest unknown|manifest for .* not|name unknown|does not exist/i.test(message)) {
    return new UserError(`There is no image ${name}. ${said} Look at its name and tag.`, { cause: error });
  }
  const user = explain(error, `pulling ${name}`, name);
  if (user instanceof UserError) return user;
  return new PlatformError(
    `The image ${name} can't be pulled from ${registry}: ${message}. If the registry is reachable again, re-run the job.`,
    { cause: error },
  );
}
