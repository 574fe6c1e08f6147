import { PlatformError, UserError } from '#src/model/outcome.ts';

/** What a failed call to the engine's API tells: HTTP status (0: none came) and message. */
export interface EngineFailure {
  readonly status: number;
  readonly message: string;
  readonly code: string | null;
}

export function engineFailure(error: unknown): EngineFailure {
  const e = (error ?? {}) as { statusCode?: unknown; json?: { message?: unknown }; message?: unknown; code?: unknown };
  const message = typeof e.json?.message === 'string' ? e.json.message : String(e.message ?? error);
  return {
    status: typeof e.statusCode === 'number' ? e.statusCode : 0,
    message: message.trim(),
    code: typeof e.code === 'string' ? e.code : null,
  };
}

export function isMissing(error: unknown): boolean {
  return engineFailure(error).status === 404;
}

/**
 * The error for people: UserError if what the job asks for can't be, PlatformError otherwise.
 * `doing` completes "Docker failed while ...".
 */
export function explain(error: unknown, doing: string, image: string | null = null): Error {
  if (error instanceof PlatformError || error instanceof UserError) return error;
  const failure = engineFailure(error);
  if (image !== null) {
    const user = userMistake(failure.message, image);
    if (user) return new UserError(user, { cause: error });
  }
  return new PlatformError(platformMessage(failure, doing), { cause: error });
}

function userMistake(message: string, image: string): string | null {
  if (/exec format error/i.test(message) || /does not match the (specified|detected) .*platform/i.test(message)) {
    return `The image ${image} is made for another kind of processor than this machine's. Use an image for this platform.`;
  }
  if (/"?\/bin\/sh"?: (stat|exec|no such file|permission denied|executable file not found)/i.test(message)) {
    return `The image ${image} has no /bin/sh, so no command can run in it. Use an image with a shell (a -debug or -slim variant, say).`;
  }
  const program = /exec: "([^"]+)": (?:executable file not found|stat |permission denied)/i.exec(message)?.[1];
  if (program !== undefined)
    return `The image ${image} has no program ${program} that can be run. Correct \`command\`.`;
  if (/no command specified/i.test(message)) {
    return `The image ${image} has no command of its own. Name one with \`command\`.`;
  }
  if (/unable to find user|no matching entries in passwd file/i.test(message)) {
    return `The image ${image} names a user that doesn't exist in it (${message}).`;
  }
  if (/invalid reference format|repository name must be lowercase/i.test(message)) {
    return `"${image}" is no valid name of an image. It looks like registry/name:tag, in lower case.`;
  }
  return null;
}

function platformMessage({ message, code }: EngineFailure, doing: string): string {
  if (/bind source path does not exist/i.test(message)) {
    return (
      `Docker failed while ${doing}: the engine can't see Slipway's folder (${message}). It runs on another machine, ` +
      'or Slipway in a container without its home mounted from the host. Run both on one machine, and mount the home folder as a bind mount or volume.'
    );
  }
  const runtime = /unknown (?:or invalid )?runtime[^:]*?(?: specified|:| name:) *"?([\w.-]+)/i.exec(message)?.[1];
  if (runtime !== undefined) {
    return (
      `The Docker engine has no runtime ${runtime}, which the operator's file (SLIPWAY_CONFIG) names for this repository's jobs. ` +
      "An operator installs it and adds it to the engine's daemon.json under runtimes, or changes repositories: jobs: runtime."
    );
  }
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'EACCES') {
    const hint =
      code === 'EACCES'
        ? "Give the server's user access to Docker's socket."
        : 'Start Docker, or set DOCKER_HOST to where it listens.';
    return `Docker can't be reached while ${doing} (${message}). ${hint}`;
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return `Docker broke off or did not answer in time while ${doing} (${message}). See that the engine is well.`;
  }
  return `Docker failed while ${doing}: ${message}`;
}
