import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';

/** A request as docker-modem understands it. */
export interface EngineRequest {
  readonly method: 'POST';
  readonly path: string;
  readonly options?: Record<string, unknown>;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly file?: Readable;
  /** Goes into a header; an empty object says that there are no credentials. */
  readonly authconfig?: object;
  readonly hijack?: boolean;
  readonly isStream?: boolean;
  readonly abortSignal: AbortSignal;
  readonly statusCodes: Readonly<Record<number, true>>;
}

/** One record of the JSON stream that builds and pushes answer with. */
export interface EngineRecord {
  readonly id?: string;
  readonly aux?: unknown;
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
}

/** Sends a request that the client library has no method for. */
export function dial<T>(docker: Docker, request: EngineRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    docker.modem.dial(request, (error: unknown, answer: unknown) =>
      error ? reject(engineError(error)) : resolve(answer as T),
    );
  });
}

/** Records of a JSON stream, one a line. */
export async function* records(stream: Readable): AsyncGenerator<EngineRecord> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as EngineRecord;
  }
  if (rest.trim() !== '') yield lastRecord(rest);
}

function lastRecord(text: string): EngineRecord {
  try {
    return JSON.parse(text) as EngineRecord;
  } catch {
    throw new PlatformError('The Docker engine broke off in the middle of its answer. See that it is well.');
  }
}

/** True if nobody answers at the engine's address, or the connection broke. */
function isConnectionError(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return (
    typeof code === 'string' &&
    /^(ECONN\w+|ERR_STREAM_PREMATURE_CLOSE|ENOENT|EACCES|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOST\w+)$/.test(code)
  );
}

/** Also one that another realm made, as tests have it. */
function isError(error: unknown): error is Error {
  return typeof (error as { message?: unknown } | null)?.message === 'string';
}

/** What the client library throws, in words for people. Anything else is handed on as it is. */
export function engineError(error: unknown): unknown {
  if (!isError(error) || error instanceof PlatformError) return error;
  if (isConnectionError(error))
    return new PlatformError(
      `The Docker engine can't be reached (${error.message}). See that it runs and that DOCKER_HOST names it.`,
      { cause: error },
    );
  const status = (error as { statusCode?: unknown }).statusCode;
  if (typeof status === 'number')
    return new PlatformError(`The Docker engine answered: ${error.message.trim()}`, { cause: error });
  return error;
}
