import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { busyboxImage } from './docker.ts';
import { dockerImage } from './docker-client.ts';
import { until } from './killer/look.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';

jest.setTimeout(240_000);

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../src/cli/slipway.js', import.meta.url));

let image: string;
let box: string;
beforeAll(async () => {
  [image, box] = [await dockerImage(), await busyboxImage()];
});

describe('a repository whose pipeline says docker: true', () => {
  let town: Town;
  let victim: Victim;
  let repository: Repository;
  beforeAll(async () => {
    town = await openTown();
    repository = await town.repository('shop');
    const config = join(town.folder, 'slipway-operator.yml');
    await writeFile(config, 'repositories: { acme/shop: { strangers: { approval: never } } }\n');
    victim = await town.victim({ SLIPWAY_CATCH_UP: '2s', SLIPWAY_CONFIG: config });
    await victim.start();
  });
  afterAll(async () => {
    await town[Symbol.asyncDispose]();
  });

  const checks = (sha: string) => town.github.checkRuns(repository.fullName, sha);
  async function completed(sha: string, name: string): Promise<string | null | undefined> {
    const done = () => checks(sha).find((check) => check.name === name && check.status === 'completed');
    await town.github.waitFor(`the job of ${sha}`, () => done() !== undefined, 90_000);
    return done()?.conclusion;
  }
  /** The logs of all jobs. */
  async function logs(): Promise<readonly string[]> {
    const folder = join(victim.home, 'logs');
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  }
  const gone = () =>
    until('what the jobs made to be removed', victim, async () => (await madeBy(town)).length === 0, 60_000);

  it('builds an image and runs it, though the server is killed meanwhile', async () => {
    const pipeline = `
jobs:
  pack:
    image: ${image}
    shell: bash
    docker: true
    run:
      - docker build -t app . && docker run -d --name web app sleep 600
      - 'echo standing; sleep 8'
      - 'echo "then: $(docker ps --format "{{.Names}}") $(docker exec web cat /made)"'
      - 'docker tag app 127.0.0.1:9/acme/app; docker push 127.0.0.1:9/acme/app || echo not pushed'
`;
    const sha = await repository.push({
      'slipway.yml': pipeline,
      Dockerfile: `FROM ${box}\nRUN echo by hand >/made\n`,
    });
    await until('the job to stand', victim, async () => (await logs()).some((log) => /^standing$/m.test(log)), 60_000);
    await victim.kill();
    await victim.start();
    expect(await completed(sha, 'pack')).toBe('success');
    const log = (await logs()).join('');
    expect(log).toMatch(/^then: web by hand$/m);
    expect(log).toMatch(/^not pushed$/m);
    expect(log).toMatch(/(?:lets?|may).* push/);
    await gone();
  });

  it("gives a stranger's pull request nothing of the engine's network and no push", async () => {
    const { github } = town;
    await github.people.forkRepository(repository.fullName, 'eve');
    const folder = join(town.folder, 'work-eve');
    await run('git', ['clone', '--quiet', github.pushUrl('eve/shop', 'eve'), folder]);
    const pipeline = `
jobs:
  strange:
    image: ${image}
    shell: bash
    docker: true
    run:
      - 'set +e; docker run --rm ${box} echo ran inside'
      - 'docker run --rm ${box} ls /sys/class/net'
      - 'docker build -t app . || echo not built'
      - 'docker tag ${box} 127.0.0.1:9/acme/app; docker push 127.0.0.1:9/acme/app || echo not pushed'
      - 'docker run --rm --privileged ${box} true || echo no privilege; docker run --rm -v /:/host ${box} true || echo no host'
      - 'docker run -d ${box} sleep 600; true'
`;
    await writeFile(join(folder, 'slipway.yml'), pipeline);
    const git = (...args: string[]) =>
      run('git', ['-c', 'user.name=Eve', '-c', 'user.email=e@x.example', ...args], { cwd: folder });
    await git('switch', '--quiet', '--create', 'strange');
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'Strange');
    await git('push', '--quiet', 'origin', 'strange');
    const sha = (await git('rev-parse', 'HEAD')).stdout.trim();
    await github.people.openPullRequest(repository.fullName, { title: 'Strange', head: 'eve:strange', by: 'eve' });
    const conclusion = await completed(sha, 'strange');
    const log = (await logs()).find((text) => text.includes('ran inside')) ?? (await logs()).join('\n');
    if (conclusion !== 'success') throw new Error(log);
    expect(log).toContain('has no network, for it uses Docker');
    for (const line of ['ran inside', 'not built', 'not pushed', 'no privilege', 'no host']) {
      expect(log).toMatch(new RegExp(`^${line}$`, 'm'));
    }
    expect(log).not.toMatch(/^eth0/m);
    await gone();
  });
});

it('slipway run has an engine for a job that asks for it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-cli-'));
  try {
    const pipeline = `
jobs:
  pack:
    image: ${image}
    shell: bash
    docker: true
    run:
      - docker build -t app .
      - 'echo "then: $(docker run --rm app cat /made)"'
      - 'docker run --rm --privileged app true || echo no privilege'
`;
    await writeFile(join(folder, 'slipway.yml'), pipeline);
    await writeFile(join(folder, 'Dockerfile'), `FROM ${box}\nRUN echo by hand >/made\n`);
    const { stdout } = await run(process.execPath, [cli, 'run'], { cwd: folder, timeout: 120_000 });
    expect(stdout).toContain('then: by hand');
    expect(stdout).toContain('no privilege');
    expect(stdout).toContain('✔ pack');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Containers, networks and volumes of the town's jobs; not what is kept ready. */
async function madeBy(town: Town): Promise<readonly string[]> {
  return (await town.left()).filter((name) => !name.includes('slipway-idle-'));
}
