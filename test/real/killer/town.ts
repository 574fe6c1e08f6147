import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type GitHub, startGitHub } from '#dev/github/index.ts';
import type { Permissions } from '#dev/github/world.ts';
import { freePort } from '#dev/ports.ts';
import { registerSlipway } from '#dev/slipway.ts';
import type Docker from 'dockerode';
import { docker as sharedDocker } from '../docker.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('server.ts', import.meta.url));
const readyMs = 60_000;

/** A server that may be killed and started again on the same data. */
export interface Victim {
  readonly home: string;
  /** Where it listens. */
  readonly address: string;
  /** Starts it; with `killAt` it kills itself there (see server.ts). Resolves when it listens, or died before. */
  start(killAt?: string): Promise<void>;
  readonly running: boolean;
  /** Resolves when the process is gone. */
  gone(): Promise<void>;
  kill(): Promise<void>;
  /** See server.ts for what it does on SIGUSR2; SIGSTOP makes it stand still. */
  signal(name: 'SIGUSR2' | 'SIGSTOP' | 'SIGCONT'): void;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** What it logged since it was started, at warn and above. */
  complaints(): readonly string[];
  output(): string;
}

/** A small GitHub, and servers that work for it. */
export interface Town extends AsyncDisposable {
  readonly github: GitHub;
  readonly folder: string;
  /** Another server on the same App; all of them need `env` with one DATABASE_URL then. Webhooks go to the first. */
  victim(env?: Readonly<Record<string, string>>): Promise<Victim>;
  /** Makes a repository of acme's and answers with what pushes to it. */
  repository(name: string): Promise<Repository>;
  /** Containers, networks and volumes of this town that are left in Docker. */
  left(): Promise<readonly string[]>;
}

export interface Repository {
  readonly fullName: string;
  /** Commits these files on the branch and pushes it; answers with the commit. */
  push(files: Readonly<Record<string, string>>, branch?: string): Promise<string>;
  tag(name: string): Promise<void>;
  /** Commits these files on no branch and pushes the commit as this tag; answers with it. */
  release(name: string, files: Readonly<Record<string, string>>): Promise<string>;
}

export interface TownOptions {
  /** The engine that its servers use, if they use another one than the machine's. */
  readonly docker?: Docker;
  /** Where their data lies. */
  readonly disk?: string;
  /** Permissions that the App has beside its manifest's, or in place of those. */
  readonly permissions?: Permissions;
}

export async function openTown(options: TownOptions = {}): Promise<Town> {
  const docker = options.docker ?? sharedDocker;
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-killer-'));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  await mkdir(join(folder, 'github'));
  const github = await startGitHub({ home: join(folder, 'github') });
  stack.defer(() => github.close());
  const home = join(options.disk ?? folder, 'slipway');
  stack.defer(() => clear(docker, home));
  const port = await freePort();
  const { app, env } = await registerSlipway(github, { port, home, permissions: options.permissions ?? {} });
  let installed = false;
  let first = true;
  const owned = stack.move();
  return {
    github,
    folder,
    async victim(more = {}) {
      const own = first ? {} : { PORT: String(await freePort()) };
      first = false;
      const victim = createVictim(home, { ...env, ...own, LOG_LEVEL: 'info', ...more });
      owned.defer(() => victim.kill());
      return victim;
    },
    async repository(name) {
      await github.people.createRepository({ owner: 'acme', name, private: true });
      github.people.setRole(`acme/${name}`, 'ada', 'write');
      if (!installed) github.install(app, 'acme');
      installed = true;
      return openRepository(github, `acme/${name}`, join(folder, `work-${name}`));
    },
    left: () => leftOf(docker, home),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function createVictim(home: string, env: Readonly<Record<string, string>>): Victim {
  let child: ChildProcess | null = null;
  let output = '';

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (child === null || !alive(child)) return;
    const gone = once(child, 'close');
    child.kill(signal);
    await gone;
  }

  return {
    home,
    address: `http://127.0.0.1:${env['PORT']}`,
    get running() {
      return child !== null && alive(child);
    },
    async start(killAt = '') {
      output = '';
      const started = spawn(process.execPath, [program], {
        env: { ...process.env, ...env, KILL_AT: killAt },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      child = started;
      const { promise, resolve } = Promise.withResolvers<void>();
      const take = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-2_000_000);
        if (output.includes('"msg":"listening"')) resolve();
      };
      started.stdout.on('data', take);
      started.stderr.on('data', take);
      started.once('close', () => resolve());
      const timer = setTimeout(() => started.kill('SIGKILL'), readyMs);
      await promise;
      clearTimeout(timer);
      if (!alive(started) && started.signalCode !== 'SIGKILL') throw new Error(`The server ended:\n${output}`);
    },
    async gone() {
      if (child !== null && alive(child)) await once(child, 'close');
    },
    kill: () => end('SIGKILL'),
    signal: (name) => child?.kill(name),
    stop: () => end('SIGTERM'),
    output: () => output,
    complaints: () => output.split('\n').filter((line) => /^\{"level":[4-6]0/.test(line)),
  };
}

function alive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function openRepository(github: GitHub, fullName: string, folder: string): Promise<Repository> {
  const person = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.example'];
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', [...person, ...args], { cwd: folder })).stdout.trim();
  const commit = async (files: Readonly<Record<string, string>>): Promise<string> => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    await git('add', '--all');
    await git('commit', '--quiet', '--allow-empty', '--message', 'Change something');
    return git('rev-parse', 'HEAD');
  };
  await mkdir(folder);
  await git('init', '--quiet', '--initial-branch=main');
  await git('remote', 'add', 'origin', github.pushUrl(fullName, 'ada'));
  return {
    fullName,
    async push(files, branch = 'main') {
      await git('switch', '--quiet', '--force-create', branch);
      const sha = await commit(files);
      await git('push', '--quiet', '--force', 'origin', branch);
      return sha;
    },
    async tag(name) {
      await git('tag', name);
      await git('push', '--quiet', 'origin', name);
    },
    async release(name, files) {
      await git('switch', '--quiet', '--detach');
      const sha = await commit(files);
      await git('tag', name);
      await git('push', '--quiet', 'origin', name);
      return sha;
    },
  };
}

async function installation(home: string): Promise<string | null> {
  return (await readFile(join(home, 'installation'), 'utf8').catch(() => null))?.trim() ?? null;
}

async function leftOf(docker: Docker, home: string): Promise<readonly string[]> {
  const id = await installation(home);
  if (id === null) return [];
  const filters = { label: [`slipway.home=${id}`] };
  const [containers, networks, { Volumes }] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters: { label: [`slipway.home=${id}`] } }),
  ]);
  return [
    ...containers.map((each) => `container ${each.Names.join(' ')} (${each.Status})`),
    ...networks.map((each) => `network ${each.Name}`),
    ...(Volumes ?? []).map((each) => `volume ${each.Name}`),
  ];
}

/** Whatever a failed test has left. */
async function clear(docker: Docker, home: string): Promise<void> {
  const id = await installation(home);
  if (id === null) return;
  const filters = { label: [`slipway.home=${id}`] };
  for (const { Id } of await docker.listContainers({ all: true, filters })) {
    await docker
      .getContainer(Id)
      .remove({ force: true, v: true })
      .catch(() => {});
  }
  for (const { Id } of await docker.listNetworks({ filters }))
    await docker
      .getNetwork(Id)
      .remove()
      .catch(() => {});
  const { stdout } = await run('findmnt', ['--list', '--noheadings', '--output', 'TARGET']).catch(() => ({
    stdout: '',
  }));
  for (const point of stdout
    .split('\n')
    .filter((line) => line.startsWith(`${home}/`))
    .toReversed()) {
    await run('umount', ['-l', '--', point]).catch(() => {});
  }
}
