import { type ClientRequest, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type Docker from 'dockerode';
import { PlatformError } from '#src/model/outcome.ts';

/** For a question of the server's own. The same as jobs give the engine, milliseconds. */
const ANSWER_DEADLINE = 120_000;
/** Bytes of an answer that is read whole. */
export const ANSWER_LIMIT = 32 * 1024 * 1024;

export interface EngineCall {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** What is sent and received after the answer's head is the caller's own protocol. */
  readonly hijack?: boolean;
}

/** The Docker engine, spoken to by HTTP: each request has a connection of its own. */
export interface Engine {
  /** Not sent before its body is ended. */
  request(call: EngineCall): ClientRequest;
  /** Asks and reads the whole answer; null where there is none. PlatformError if the engine can't be reached. */
  ask(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly json: unknown }>;
}

/** What docker-modem knows of where the engine is. */
interface Address {
  readonly socketPath?: string | (() => Promise<string>);
  readonly host?: string;
  readonly port?: number | string;
}

export async function engineOf(docker: Docker): Promise<Engine> {
  const { socketPath: named, host, port } = docker.modem as unknown as Address;
  const socketPath = typeof named === 'function' ? await named() : named;
  const where = socketPath ? { path: socketPath } : { host: host ?? '127.0.0.1', port: Number(port ?? 2375) };

  function request({ method, path, headers = {}, hijack = false }: EngineCall): ClientRequest {
    return httpRequest({
      method,
      path,
      headers: { host: 'docker', ...(headers as Record<string, string | string[]>) },
      // Without an agent: the connection is used once. A container's standard input ends before its output does.
      createConnection: () => connect({ ...where, allowHalfOpen: hijack }),
    });
  }

  function ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; json: unknown }>();
    const headers = {
      'content-length': String(Buffer.byteLength(text)),
      ...(text === '' ? {} : { 'content-type': 'application/json' }),
    };
    const call = request({ method, path, headers: method === 'GET' ? {} : headers });
    const timer = setTimeout(() => call.destroy(new Error('it does not answer')), ANSWER_DEADLINE);
    call.once('error', reject);
    call.once('response', (answer) => {
      readWhole(answer, ANSWER_LIMIT).then(
        (bytes) => resolve({ status: answer.statusCode ?? 0, json: parse(bytes.toString('utf8')) }),
        reject,
      );
    });
    call.end(text);
    return promise
      .catch((error: unknown) => {
        throw unreachable(error);
      })
      .finally(() => clearTimeout(timer));
  }

  return { request, ask };
}

export function unreachable(error: unknown): PlatformError {
  const reason = error instanceof Error ? error.message : String(error);
  return new PlatformError(
    `The Docker engine can't be reached (${reason}). See that it runs, then run the job again.`,
    {
      cause: error,
    },
  );
}

/** All bytes of a stream; it is destroyed, and an error thrown, if there are more than `limit`. */
export async function readWhole(stream: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > limit) throw new TooLong(limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export class TooLong extends Error {
  override readonly name = 'TooLong';
  constructor(limit: number) {
    super(`more than ${limit} bytes`);
  }
}

/** JSON, or null where the text is none. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
