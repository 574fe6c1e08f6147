import { type ChildProcess, spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gitEnvironment } from './git.ts';

const FIVE_MINUTES = 300_000;

export interface GitRequest {
  /** Folder of the bare repository. */
  readonly folder: string;
  /** Path behind the repository's: `/info/refs`, `/git-upload-pack`, `/git-receive-pack`. */
  readonly service: string;
  readonly query: string;
  readonly user: string | null;
}

/** Serves git's smart HTTP by git's own http-backend. Owns the processes it starts. */
export class GitHttp {
  readonly #home: string;
  readonly #children = new Set<ChildProcess>();

  constructor(home: string) {
    this.#home = home;
  }

  /** Answers one request; resolves when git has ended. */
  async serve(git: GitRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const child = spawn('git', ['http-backend'], {
      env: { ...gitEnvironment(this.#home), ...environment(git, request) },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: FIVE_MINUTES,
    });
    this.#children.add(child);
    let head: Buffer | null = Buffer.alloc(0);
    child.stdout.on('data', (chunk: Buffer) => {
      if (head === null) {
        if (!response.write(chunk)) child.stdout.pause();
        return;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      writeHead(response, head.subarray(0, end).toString('latin1'));
      response.write(head.subarray(end + 4));
      head = null;
    });
    response.on('drain', () => child.stdout.resume());
    response.on('close', () => child.kill());
    child.stdin.on('error', () => undefined); // git may end before it has read everything
    child.on('error', () => response.destroy());
    child.on('close', () => {
      this.#children.delete(child);
      if (head !== null && !response.headersSent) response.writeHead(500);
      resolve();
    });
    request.pipe(child.stdin);
    await promise;
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

/** The CGI variables, as `git help http-backend` lists them. */
function environment(git: GitRequest, request: IncomingMessage): Record<string, string> {
  const header = (name: string): string => String(request.headers[name] ?? '');
  return {
    GIT_PROJECT_ROOT: git.folder,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: git.service,
    QUERY_STRING: git.query,
    REQUEST_METHOD: request.method ?? 'GET',
    CONTENT_TYPE: header('content-type'),
    ...(request.headers['content-length'] && { CONTENT_LENGTH: header('content-length') }),
    HTTP_CONTENT_ENCODING: header('content-encoding'),
    GIT_PROTOCOL: header('git-protocol'),
    REMOTE_USER: git.user ?? '',
    REMOTE_ADDR: '127.0.0.1',
  };
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const [name = '', ...rest] = line.split(':');
    const value = rest.join(':').trim();
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
