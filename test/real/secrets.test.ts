import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bashImage, docker } from './docker.ts';
import { until } from './killer/look.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';

const run = promisify(execFile);
const cli = fileURLToPath(new URL('../../src/cli/slipway.js', import.meta.url));

/** In each value a word that stands in any encoding which leaves letters alone; it is in no file of the repository. */
const words = { TOKEN: 'Zq9xWv7KtBn4', KEY: 'Mm3pLd8RsJw2', OTP: 'Hc6yTf1GvQe5', NPM: 'Xu2kNb7DjSo9' };
const values: Readonly<Record<keyof typeof words, string>> = {
  TOKEN: `t/${words.TOKEN}+"a\\b'&<${words.TOKEN}> $HOME %s`,
  KEY: `-----BEGIN KEY-----\n${Array.from({ length: 9 }, (_, i) => `${words.KEY}${`${i}`.repeat(50)}`).join('\n')}\n-----END KEY-----\n`,
  OTP: `otp ${words.OTP}`,
  NPM: `npm_${words.NPM}`,
};

/**
 * The words, and their base64 wherever they stand in what was encoded. What a job does to a value that it wants to show
 * is without end and not looked for: reversed, in hex, a letter at a time.
 */
const needles = Object.values(words).flatMap((word) => [
  word,
  ...[0, 1, 2].map((shift) =>
    Buffer.from(`${'?'.repeat(shift)}${word}`)
      .toString('base64')
      .slice(shift === 0 ? 0 : 4, 12),
  ),
]);

const shows = [
  'set -x',
  'echo "$TOKEN"',
  'set +x',
  'echo "$TOKEN" "x${TOKEN}y"; env; set; export -p; cat "$KEY"; echo "$(cat "$KEY")"',
  'for pad in "" u uu; do printf "%s%s:tail" "$pad" "$TOKEN" | base64 | tr -d "\\n"; echo; base64 <"$KEY"; done',
  'printf %s "$TOKEN" | base64; echo "https://u:$TOKEN@example.com"; printf "%q\\n" "$TOKEN"',
  // In two writes, and over a second.
  'printf %s "${TOKEN%???????????????}"; sleep 1; printf "%s\\n" "${TOKEN#"${TOKEN%???????????????}"}"',
  'echo "src/a.c:3:5: error: token $TOKEN of $(cat "$KEY")"',
  '"$TOKEN" || true; ls "/$TOKEN" || true; cat /run/slipway/* /run/slipway/.s* /proc/self/environ || true',
].join('\n');

const pipeline = (image: string) => `
jobs:
  leak:
    image: ${image}
    shell: bash
    secrets: { TOKEN: TOKEN, PLAIN: NPM, KEY: { file: true } }
    run:
      - ${JSON.stringify(shows)}
      - { run: 'echo "with otp [\${OTP:+yes}]"; echo "$OTP"', secrets: [OTP] }
      - 'echo "after: [\${OTP-}] $(ls -A /run/slipway)"'
      - 'echo "of process 1: $(cat /proc/1/cmdline /proc/1/environ | tr "\\0" "\\n" | grep -cF "$TOKEN")"'
      - 'echo standing; sleep 8'
      - ${JSON.stringify(shows)}
      - |
        escaped=$(printf %s "$TOKEN" | sed 's/&/\\&amp;/g;s/</\\&lt;/g;s/>/\\&gt;/g;s/"/\\&quot;/g')
        printf '<testsuite><testcase name="with %s" classname="c" file="src/b.c" line="3"><failure message="%s">%s</failure></testcase></testsuite>' "$PLAIN" "$escaped" "$(cat "$KEY") $escaped" >report.xml
        cat report.xml
        exit 1
    reports: { junit: report.xml }
  pack:
    image: ${image}
    secrets: [OTP]
    run: 'echo made >"$OTP.txt"; ls; exit 0'
    artifacts: ["*.txt", "none-$OTP"]
  other:
    image: ${image}
    needs: pack
    run: 'ls; env; cat /proc/*/environ; echo "none here: [\${TOKEN-}\${KEY-}\${OTP-}] $(ls -A /run/slipway)"'
  image:
    build: { secrets: [NPM] }
`;

const dockerfile = `FROM slipway-dev/busybox
RUN --mount=type=secret,id=NPM set -x; cat /run/secrets/NPM; cat /run/secrets/NPM | base64; wc -c </run/secrets/NPM; exit 7
`;

describe('secrets on the way from the command line to a job', () => {
  let town: Town;
  let victim: Victim;
  let repository: Repository;
  let image: string;

  beforeAll(async () => {
    image = await bashImage();
    town = await openTown();
    repository = await town.repository('shop');
    const config = join(town.folder, 'slipway-operator.yml');
    await writeFile(config, 'repositories: { acme/shop: { strangers: { approval: never } } }\n');
    victim = await town.victim({ SLIPWAY_CATCH_UP: '2s', SLIPWAY_CONFIG: config });
    await victim.start();
    for (const [name, value] of Object.entries(values)) await setSecret(name, value);
  }, 60_000);
  afterAll(async () => {
    await town[Symbol.asyncDispose]();
  });

  async function setSecret(name: string, value: string): Promise<void> {
    const child = spawn(process.execPath, [cli, 'secret', 'set', 'acme/shop', name], {
      env: { PATH: process.env['PATH'], SLIPWAY_HOME: victim.home },
      cwd: town.folder,
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    child.stdin.end(value);
    expect(await once(child, 'close')).toEqual([0, null]);
  }

  /** The needles that stand in a text. */
  const found = (text: string) => needles.filter((needle) => text.includes(needle));

  const shown = (texts: readonly string[]) =>
    texts.flatMap((text) => text.split('\n')).filter((line) => found(line).length > 0);

  /** Files below the folder that hold one of the needles. */
  async function files(folder: string, ...skip: readonly string[]): Promise<readonly string[]> {
    const options = ['-rlaF', '-D', 'skip', ...skip.map((name) => `--exclude-dir=${name}`)];
    const patterns = needles.flatMap((needle) => ['-e', needle]);
    const { stdout } = await run('grep', [...options, ...patterns, folder]).catch((error: { stdout?: string }) => ({
      stdout: error.stdout ?? '',
    }));
    return stdout.split('\n').filter((line) => line !== '');
  }

  async function logs(): Promise<readonly string[]> {
    const folder = join(victim.home, 'logs');
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  }

  const checks = (sha: string) => town.github.checkRuns(repository.fullName, sha);

  async function completed(sha: string, names: readonly string[]): Promise<void> {
    await town.github.waitFor(
      `the jobs of ${sha}`,
      () => names.every((name) => checks(sha).some((check) => check.name === name && check.status === 'completed')),
      90_000,
    );
  }

  it('are shown nowhere, though the job tries and the server is killed', async () => {
    const sha = await repository.push({ 'slipway.yml': pipeline(image), Dockerfile: dockerfile });
    await until('the job to stand', victim, async () => (await logs()).some((log) => /^standing$/m.test(log)), 60_000);

    const id = (await readFile(join(victim.home, 'installation'), 'utf8')).trim();
    const containers = await docker.listContainers({ filters: { label: [`slipway.home=${id}`] } });
    // Containers of jobs that have ended may go meanwhile; that of the one that stands doesn't.
    const looks = containers.map(async ({ Id }) => {
      const container = docker.getContainer(Id);
      return JSON.stringify([await container.inspect(), await container.top()]);
    });
    const seen = (await Promise.allSettled(looks)).flatMap((look) => (look.status === 'fulfilled' ? [look.value] : []));
    expect(seen.join()).toContain('sleep 8');
    expect(found(seen.join())).toEqual([]);
    // In the jobs' folders too, while they run: but for what the jobs themselves printed, and how they called their files.
    const told = /\/control\/(log|artifacts\.list(\.\w+)?|input-\d+\.tar)$/;
    expect((await files(town.folder, 'artifacts')).filter((path) => !told.test(path))).toEqual([]);

    await victim.kill();
    await victim.start();
    await completed(sha, ['leak', 'pack', 'other', 'image']);

    const all = await logs();
    const leak = all.find((log) => log.includes('of process 1')) ?? '';
    expect(leak).toContain('with otp [yes]\n***\n');
    expect(leak).toMatch(/^after: \[\] KEY$/m);
    expect(leak).toMatch(/^of process 1: 0$/m);
    // Both halves, the one before the server's death and the one after.
    expect(leak.split('https://u:***@example.com')).toHaveLength(3);
    expect(all.join('')).toContain('none here: [] \n');
    const conclusions = Object.fromEntries(checks(sha).map((check) => [check.name, check.conclusion]));
    expect(conclusions).toMatchObject({ leak: 'failure', pack: 'success', other: 'success', image: 'failure' });

    expect(shown(all)).toEqual([]);
    expect(found(JSON.stringify(checks(sha)))).toEqual([]);
    const leaked = checks(sha).find((check) => check.name === 'leak');
    expect(JSON.stringify(leaked)).toContain('src/b.c');
    expect(JSON.stringify(leaked)).toContain('c › with ***');
    expect(JSON.stringify(leaked)).toContain('src/a.c');
    expect(found(victim.output())).toEqual([]);
    expect(found(await pages(sha))).toEqual([]);
    // What a job puts into its own reports and artifacts is its own.
    expect(await files(town.folder, 'artifacts', 'jobs', 'mounts')).toEqual([]);
    await victim.stop();
    const database = await readFile(join(victim.home, 'slipway.db'));
    expect(found(database.toString('latin1'))).toEqual([]);
    await victim.start();
  }, 180_000);

  /** What the run's pages show, with the logs. */
  async function pages(sha: string): Promise<string> {
    const urls = new Set(checks(sha).flatMap(({ detailsUrl }) => detailsUrl ?? []));
    expect(urls.size).toBeGreaterThan(0);
    return (await Promise.all([...urls].map(async (url) => (await fetch(url)).text()))).join('');
  }

  it("don't reach a stranger's run", async () => {
    const { github } = town;
    await github.people.forkRepository(repository.fullName, 'eve');
    const folder = join(town.folder, 'work-eve');
    await run('git', ['clone', '--quiet', github.pushUrl('eve/shop', 'eve'), folder]);
    const file = `
jobs:
  steal: { image: ${image}, secrets: { A: TOKEN, B: { secret: KEY, file: true } }, run: ['env; echo "have [\${A-}\${B-}] $(ls -A /run/slipway)"', { run: 'echo "have [\${C-}]"', secrets: { C: OTP } }] }
  image: { build: { dockerfile: Stealfile, secrets: [NPM] } }
`;
    await writeFile(join(folder, 'slipway.yml'), file);
    const lines = ['RUN --mount=type=secret,id=NPM echo "have [$(cat /run/secrets/NPM 2>/dev/null)]"; exit 7'];
    await writeFile(join(folder, 'Stealfile'), `FROM slipway-dev/busybox\n${lines.join('\n')}\n`);
    const git = (...args: string[]) =>
      run('git', ['-c', 'user.name=Eve', '-c', 'user.email=e@x.example', ...args], { cwd: folder });
    await git('switch', '--quiet', '--create', 'steal');
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'Steal');
    await git('push', '--quiet', 'origin', 'steal');
    const sha = (await git('rev-parse', 'HEAD')).stdout.trim();
    await github.people.openPullRequest(repository.fullName, { title: 'Steal', head: 'eve:steal', by: 'eve' });
    await completed(sha, ['steal', 'image']);
    const all = await logs();
    const steal =
      all.find((log) =>
        log.startsWith("Slipway: secrets withheld (a stranger's commit): TOKEN (A), KEY (B), OTP (C)\n"),
      ) ?? '';
    expect(steal).toMatch(/^have \[\] $/m);
    expect(steal).toMatch(/^have \[\]$/m);
    expect(steal).not.toContain('***');
    const build = all.find((log) => log.startsWith("Slipway: secrets withheld (a stranger's commit): NPM\n")) ?? '';
    expect(build).toMatch(/^have \[\]$/m);
    expect(shown(all)).toEqual([]);
  }, 120_000);
});
