import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chown, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';

export interface PostgresCluster extends AsyncDisposable {
  /** Makes a new, empty database. Answers its address, with the password. */
  createDatabase(encoding?: 'UTF8' | 'LATIN1'): Promise<string>;
  /** Ends it as its operator would: connections are cut, everything is put away. */
  stop(): Promise<void>;
  /** Ends it as a crash does: nothing is put away. */
  kill(): Promise<void>;
  /** Starts it again on the same data, at the same address. */
  start(): Promise<void>;
  /** Ends it and removes everything. */
  dispose(): Promise<void>;
}

const user = 'slipway';
/** Opens what lives as long as a test. With signs that must be written differently in an address. */
const password = 'rudder-and/keel';
const patienceMs = 30_000;

/**
 * A PostgreSQL cluster of its own with Debian's programs, in a temporary folder, reached by a socket in it. It goes with
 * this process, even when that is killed. `fsync` costs time and is for measuring.
 */
export async function startPostgres({ fsync = false }: { readonly fsync?: boolean } = {}): Promise<PostgresCluster> {
  const programs = programFolder();
  const folder = await mkdtemp(join(tmpdir(), 'slipway-postgres-'));
  const options = { ...(await giveAway(folder)), cwd: '/', env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' } };
  const data = join(folder, 'data');
  let server: ChildProcess | null = null;

  // Ends what still runs there and removes the folder as soon as this process lets go of its input, or dies.
  const keeper = spawn('sh', ['-c', keeping, 'keeper', folder], {
    ...options,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const cleaned = once(keeper, 'exit');
  keeper.unref();
  (keeper.stdin as unknown as { unref(): void }).unref();

  async function start(): Promise<void> {
    const args = ['-D', data, '-k', folder, ...settings(fsync)];
    // Of its own session: a Ctrl-C at the terminal is for the tests, which end it when they are done.
    server = spawn(join(programs, 'postgres'), args, {
      ...options,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await untilReady(server);
  }

  /** Signals: https://www.postgresql.org/docs/current/server-shutdown.html */
  async function end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    if (server === null || server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, 'exit');
    server.ref();
    server.kill(signal);
    await gone;
    server = null;
  }

  async function dispose(): Promise<void> {
    await end('SIGQUIT');
    keeper.ref();
    keeper.stdin.end();
    await cleaned;
  }

  try {
    await writeFile(join(folder, 'password'), password);
    const args = ['-D', data, '-U', user, '-A', 'scram-sha-256', `--pwfile=${join(folder, 'password')}`];
    await promisify(execFile)(join(programs, 'initdb'), [...args, '-E', 'UTF8', '--no-sync'], {
      ...options,
      timeout: 60_000,
    });
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }

  const address = (database: string) =>
    `postgres://${user}:${encodeURIComponent(password)}@localhost/${database}?host=${encodeURIComponent(folder)}`;
  let count = 0;
  return {
    async createDatabase(encoding = 'UTF8') {
      count += 1;
      const name = `test${count}`;
      const client = new Client({ connectionString: address('postgres') });
      await client.connect();
      try {
        const locale = encoding === 'UTF8' ? '' : `locale 'C'`;
        await client.query(`create database ${name} encoding '${encoding}' ${locale} template template0`);
      } finally {
        await client.end();
      }
      return address(name);
    },
    start,
    stop: () => end('SIGINT'),
    kill: () => end('SIGQUIT'),
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

const keeping = `
  cat >/dev/null
  if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null); then
    kill -QUIT "$pid" 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
  fi
  rm -rf "$1"`;

function settings(fsync: boolean): string[] {
  const all = {
    listen_addresses: '',
    fsync: fsync ? 'on' : 'off',
    shared_buffers: '16MB',
    max_connections: '60',
    max_wal_size: '256MB',
    log_min_messages: 'log',
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function untilReady(server: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let output = '';
  server.stderr?.on('data', (chunk: Buffer) => {
    output = `${output}${chunk.toString()}`.slice(-8_192);
    if (output.includes('ready to accept connections')) resolve();
  });
  server.once('error', reject);
  server.once('exit', (code) => reject(new Error(`PostgreSQL ended with ${code}:\n${output}`)));
  const timer = setTimeout(() => reject(new Error(`PostgreSQL isn't ready after 30 s:\n${output}`)), patienceMs);
  try {
    await promise;
    // Neither the server nor its log keeps this process alive; the keeper ends it.
    server.unref();
    (server.stderr as unknown as { unref(): void }).unref();
  } finally {
    clearTimeout(timer);
  }
}

/** PostgreSQL's programs: of the newest version that Debian's packages put here, or what is in the PATH. */
function programFolder(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(root, version, 'bin')), ...(process.env['PATH'] ?? '').split(':')];
  const found = folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
  if (found === undefined) throw new Error('PostgreSQL is missing. script/bootstrap installs it.');
  return found;
}

/** PostgreSQL refuses to run as root: then the folder is given to its own user, or to nobody. */
async function giveAway(folder: string): Promise<{ readonly uid?: number; readonly gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const id = (option: string, name: string) =>
    Number(execFileSync('id', [option, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  for (const name of ['postgres', 'nobody']) {
    try {
      const who = { uid: id('-u', name), gid: id('-g', name) };
      await chown(folder, who.uid, who.gid);
      return who;
    } catch {
      // The next one.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody.');
}
