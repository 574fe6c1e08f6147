import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ProbotOctokit } from 'probot';
import { type GitHub, startGitHub } from '#dev/github/index.ts';
import type { App, Body, Installation, Permissions } from '#dev/github/world.ts';

export interface Received {
  readonly event: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly payload: Body;
}

/** A GitHub with the private repository acme/shop, an App installed on it, a work folder and a listening webhook. */
export interface Town extends AsyncDisposable {
  readonly github: GitHub;
  readonly app: App;
  readonly installation: Installation;
  readonly work: string;
  readonly hooks: Received[];
  /** What the webhook answers with. */
  status: number;
  git(...args: string[]): Promise<string>;
  /** Writes a file, commits it, and answers with the commit's SHA. */
  commit(path: string, text: string): Promise<string>;
  push(...refs: string[]): Promise<string>;
  /** Octokit as the product has it, as the installation or, without one, as the App. */
  octokit(as?: Installation | null): ProbotOctokit;
  events(): Promise<string[]>;
}

export async function makeTown(permissions?: Permissions): Promise<Town> {
  const home = await mkdtemp(join(tmpdir(), 'github-'));
  const work = await mkdtemp(join(tmpdir(), 'github-work-'));
  const hooks: Received[] = [];
  const town = { status: 200 };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      const event = String(request.headers['x-github-event']);
      hooks.push({ event, headers: request.headers, body, payload: JSON.parse(body) as Body });
      response.writeHead(town.status).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const github = await startGitHub({ home });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  const app = github.registerApp({ webhook: { url, secret: 'secret' }, ...(permissions && { permissions }) });
  await github.people.createRepository({ owner: 'acme', name: 'shop', private: true });
  const installation = github.install(app, 'acme');
  const git = async (...args: string[]): Promise<string> => {
    const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', '-c', 'commit.gpgsign=false'];
    const env = { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_GLOBAL: '/dev/null' };
    const { stdout } = await promisify(execFile)('git', ['-C', work, ...identity, ...args], { env });
    return stdout.trim();
  };
  await git('init', '--quiet', '--initial-branch=main');
  return Object.assign(town, {
    github,
    app,
    installation,
    work,
    hooks,
    git,
    commit: async (path: string, text: string) => {
      await writeFile(join(work, path), text);
      await git('add', '.');
      await git('commit', '--quiet', '-m', `Write ${path}`);
      return git('rev-parse', 'HEAD');
    },
    push: (...refs: string[]) => git('push', '--quiet', github.pushUrl('acme/shop', 'acme'), ...refs),
    octokit: (as: Installation | null = installation) =>
      new ProbotOctokit({
        baseUrl: `${github.url}/api/v3`,
        auth: { appId: app.id, privateKey: app.privateKey, ...(as && { installationId: as.id }) },
        retry: { enabled: false },
        throttle: { enabled: false },
        log: { debug: silent, info: silent, warn: silent, error: silent },
      }),
    events: async () => {
      await github.webhooks.idle();
      return hooks.map(({ event, payload }) => [event, payload['action']].filter(Boolean).join('.'));
    },
    [Symbol.asyncDispose]: async () => {
      await github.close();
      server.closeAllConnections();
      server.close();
      await Promise.all([home, work].map((folder) => rm(folder, { recursive: true, force: true })));
    },
  });
}

function silent(): void {
  // Octokit's log says what the tests assert anyway.
}

export const SHOP = { owner: 'acme', repo: 'shop' };
