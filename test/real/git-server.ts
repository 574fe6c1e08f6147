import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Real git over HTTP (`git http-backend`) on a free port of 127.0.0.1, as GitHub serves it. */
export interface GitServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Makes an empty repository that is served as `/NAME.git`. NAME may be `owner/name`. */
  create(name: string): Promise<GitRepository>;
  /** Paths with query of all requests that were let in. */
  readonly requests: readonly string[];
  /** Answers everything with this status from now on; null: works again. */
  fail(status: number | null): void;
  close(): Promise<void>;
}

export interface GitRepository {
  readonly cloneUrl: string;
  /** Folder of the bare repository. */
  readonly dir: string;
  /** Writes (null: deletes) files on a branch, commits, pushes, and answers with the commit's id. */
  commit(files: Readonly<Record<string, string | null>>, options?: CommitOptions): Promise<string>;
  /** Runs git in the bare repository and answers with its output. */
  git(...args: string[]): Promise<string>;
  /** The working clone from which commits are made, for whatever `commit` doesn't do; `git` there, then `push`. */
  readonly work: string;
}

export interface CommitOptions {
  readonly branch?: string;
  readonly message?: string;
  /** Ref to push to. Default: the branch. */
  readonly ref?: string;
  /** Throws the branch's history away: the new commit has no parent. */
  readonly orphan?: boolean;
}

export async function startGitServer(options: { readonly token?: string } = {}): Promise<GitServer> {
  const root = await mkdtemp(join(tmpdir(), 'slipway-git-'));
  const requests: string[] = [];
  let failing: number | null = null;
  const server = createServer((request, response) => {
    if (failing !== null) {
      response.writeHead(failing).end('failing, as asked');
    } else if (options.token !== undefined && !isAuthorized(request, options.token)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    } else {
      requests.push(request.url ?? '');
      serve(root, request, response);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    requests,
    create: (name) => createRepository(root, name, `${url}/${name}.git`),
    fail(status) {
      failing = status;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(root, { recursive: true, force: true });
    },
  };
}

function isAuthorized(request: IncomingMessage, token: string): boolean {
  const given = request.headers.authorization ?? '';
  return given === `Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
}

/** CGI, as far as git http-backend(1) needs it. */
function serve(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: decodeURIComponent(url.pathname),
    QUERY_STRING: url.search.slice(1),
    REQUEST_METHOD: request.method ?? 'GET',
    CONTENT_TYPE: request.headers['content-type'] ?? '',
    REMOTE_USER: 'tester',
    REMOTE_ADDR: '127.0.0.1',
    GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
    HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
  };
  if (request.headers['content-length']) env['CONTENT_LENGTH'] = request.headers['content-length'];
  const child = spawn('git', ['http-backend'], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  let head: Buffer | null = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    if (head === null) {
      if (!response.write(chunk)) child.stdout.pause();
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    writeHead(response, head.toString('latin1', 0, end));
    response.write(head.subarray(end + 4));
    head = null;
  });
  response.on('drain', () => child.stdout.resume());
  response.on('close', () => child.kill());
  child.stdout.on('end', () => response.end());
}

function writeHead(response: ServerResponse, head: string): void {
  let status = 200;
  for (const line of head.split('\r\n')) {
    const [name = '', value = ''] = line.split(/: */, 2);
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}

async function createRepository(root: string, name: string, cloneUrl: string): Promise<GitRepository> {
  const dir = join(root, `${name}.git`);
  const work = join(root, 'work', name);
  await mkdir(dir, { recursive: true });
  await mkdir(work, { recursive: true });
  const git = gitIn(dir);
  const inWork = gitIn(work);
  await git('init', '--quiet', '--bare', '--initial-branch=main');
  await git('config', 'http.receivepack', 'true');
  await git('config', 'uploadpack.allowAnySHA1InWant', 'true');
  await inWork('init', '--quiet', '--initial-branch=main');
  await inWork('remote', 'add', 'origin', dir);

  async function commit(files: Readonly<Record<string, string | null>>, options: CommitOptions = {}): Promise<string> {
    const branch = options.branch ?? 'main';
    if (options.orphan) await inWork('checkout', '--quiet', '--orphan', `orphan-${Date.now()}`);
    else if ((await inWork('branch', '--show-current')) !== branch) await switchTo(branch);
    for (const [path, text] of Object.entries(files)) {
      const file = join(work, path);
      if (text === null) {
        await rm(file, { recursive: true, force: true });
        continue;
      }
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    await inWork('add', '--all');
    await inWork('commit', '--quiet', '--allow-empty', '-m', options.message ?? 'A commit');
    if (options.orphan) await inWork('branch', '--force', '--move', branch);
    await inWork('push', '--quiet', '--force', 'origin', `HEAD:${options.ref ?? `refs/heads/${branch}`}`);
    return inWork('rev-parse', 'HEAD');
  }

  async function switchTo(branch: string): Promise<void> {
    const exists = await inWork('branch', '--list', branch);
    await inWork('checkout', '--quiet', ...(exists ? [branch] : ['-b', branch]));
  }

  return { cloneUrl, dir, work, commit, git };
}

/** git in a folder, with an identity, free of the machine's configuration. */
export function gitIn(dir: string): (...args: string[]) => Promise<string> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.com',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.com',
  };
  return async (...args) => {
    const { stdout } = await run('git', args, { cwd: dir, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trimEnd();
  };
}
