import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { startGitHub } from '#dev/github/index.ts';
import { Root } from '#dev/images/root.ts';
import { freePort } from '#dev/ports.ts';
import { registerSlipway } from '#dev/slipway.ts';
import { bashImage, docker, importRoot } from './docker.ts';

/** The server in a container that has no more than compose.yaml gives it, on an image with what the Dockerfile installs. */
const repository = fileURLToPath(new URL('../../', import.meta.url));
const dockerfile = readFileSync(join(repository, 'Dockerfile'), 'utf8');
const compose = (parse(readFileSync(join(repository, 'compose.yaml'), 'utf8')) as { services: { slipway: Compose } })
  .services.slipway;
const user = /^USER (\d+:\d+)$/m.exec(dockerfile)?.[1] ?? 'root';

interface Compose {
  readonly read_only: boolean;
  readonly tmpfs: readonly string[];
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
}

const run = promisify(execFile);
let serverImage: string;
let jobImage: string;
const undo: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  [serverImage, jobImage] = await Promise.all([makeImage(), bashImage()]);
});
afterEach(async () => {
  for (const each of undo.splice(0).toReversed()) await each();
});

/** Debian as far as the server uses it: coreutils, util-linux, git, Node. */
async function makeImage(): Promise<string> {
  const root = new Root();
  for (const folder of ['/tmp', '/proc', '/sys', '/dev', '/etc', '/app', '/var/lib/slipway']) root.folder(folder);
  root.program('/bin/dash', '/bin/sh');
  const tools = 'cat chmod chown cp du flock ls mkdir mkfifo mount rm tar touch umount id'.split(' ');
  for (const name of tools) root.program(execFileSync('which', [name], { encoding: 'utf8' }).trim(), `/bin/${name}`);
  root.program(process.execPath, '/bin/node');
  const core = execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim();
  root.program('/usr/bin/git', '/usr/bin/git');
  root.copyTree(core, core);
  root.libraries(join(core, 'git-remote-http'));
  return importRoot('slipway-test/server', root, []);
}

async function startContainer(env: Readonly<Record<string, string>>, home: string): Promise<string> {
  const socket = await stat('/var/run/docker.sock');
  const args = [
    `--user=${user}`,
    `--group-add=${socket.gid}`,
    '--network=host',
    '--init',
    ...(compose.read_only ? ['--read-only'] : []),
    ...compose.tmpfs.flatMap((each) => ['--tmpfs', each]),
    ...compose.cap_drop.flatMap((each) => ['--cap-drop', each]),
    ...compose.security_opt.flatMap((each) => ['--security-opt', each]),
    '--volume=/var/run/docker.sock:/var/run/docker.sock',
    `--volume=${home}:/var/lib/slipway`,
    `--volume=${repository}:/app:ro`,
    '--workdir=/app',
    '--label=slipway.test=server-image',
    ...Object.entries({ ...env, SLIPWAY_HOME: '/var/lib/slipway' }).flatMap(([k, v]) => ['-e', `${k}=${v}`]),
  ];
  const { stdout } = await run('docker', ['run', '--detach', ...args, serverImage, 'node', 'src/main.ts']);
  const id = stdout.trim();
  undo.push(() => run('docker', ['rm', '--force', id]));
  return id;
}

it('runs as nobody in particular, writes nothing but its data, and runs jobs all the same', async () => {
  expect(user).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/);
  expect(compose).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
  const home = await mkdtemp(join(tmpdir(), 'slipway-image-'));
  const data = join(home, 'data');
  const [uid = 0, gid = 0] = user.split(':').map(Number);
  await run('install', ['-d', '-m', '700', data]);
  await chown(data, uid, gid);
  undo.push(() => rm(home, { recursive: true, force: true }));

  const github = await startGitHub({ home: join(home, 'github') });
  undo.push(() => github.close());
  await github.people.createRepository({ owner: 'acme', name: 'shop', private: true });
  const port = await freePort();
  const { app, env } = await registerSlipway(github, { port, home: data });
  github.install(app, 'acme');
  const id = await startContainer(env, data);
  const logs = async () => (await run('docker', ['logs', id])).stdout.slice(-4_000);
  const health = /^ {2}CMD (\[.*\])$/m.exec(dockerfile)?.[1] ?? '[]';
  const check = JSON.parse(health) as readonly string[];
  for (let tries = 0; ; tries += 1) {
    const healthy = await run('docker', ['exec', id, ...check]).then(
      () => true,
      () => false,
    );
    if (healthy) break;
    if (tries > 60) throw new Error(`The server isn't healthy:\n${await logs()}`);
  }
  const steps = ['cat hello.txt', 'echo changed >hello.txt', 'mkdir out && touch out/made', 'id -u'];
  const jobs = (more: string) => `jobs:\n  test:\n    image: ${jobImage}\n    run: ${JSON.stringify(steps)}\n${more}`;
  const next = `  next:\n    needs: [test]\n    image: ${jobImage}\n    run: ['ls out/made']\n`;
  const files = { 'hello.txt': 'hello\n', 'slipway.yml': jobs(`    artifacts: [out]\n${next}`) };
  const sha = await push(github.pushUrl('acme/shop', 'acme'), join(home, 'work'), files);
  const both = () => {
    const runs = github.checkRuns('acme/shop', sha).filter(({ status }) => status === 'completed');
    return runs.length >= 2 || runs.some(({ conclusion }) => conclusion !== 'success') ? runs : null;
  };
  const ended = await github.waitFor('both jobs', both, 60_000).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await logs()}`);
  });
  expect(
    ended.map(({ name, conclusion, summary }) => [name, conclusion, conclusion === 'success' ? '' : summary]),
  ).toEqual(
    expect.arrayContaining([
      ['test', 'success', ''],
      ['next', 'success', ''],
    ]),
  );

  const inside = await run('docker', ['exec', id, 'sh', '-c', 'id -u; cat /proc/1/status; touch /app/x /x 2>&1 || :']);
  expect(inside.stdout).toMatch(/^10001\n/);
  expect(inside.stdout).toMatch(/CapEff:\t0+\n/);
  expect(inside.stdout).toMatch(/NoNewPrivs:\t1/);
  expect(inside.stdout).toMatch(/Read-only file system[^]*Read-only file system/);
  await docker.getContainer(id).stop({ t: 25 });
}, 180_000);

async function push(url: string, work: string, files: Readonly<Record<string, string>>): Promise<string> {
  const who = ['-c', 'user.name=Ada', '-c', 'user.email=ada@acme.example'];
  const git = async (...args: readonly string[]) => (await run('git', ['-C', work, ...who, ...args])).stdout.trim();
  await mkdir(work);
  await git('init', '--quiet', '--initial-branch=main');
  for (const [name, text] of Object.entries(files)) await writeFile(join(work, name), text);
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'Sell things');
  await git('push', '--quiet', url, 'main');
  return git('rev-parse', 'HEAD');
}
