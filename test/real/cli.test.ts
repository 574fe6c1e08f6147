import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import Docker from 'dockerode';
import { ensureImage } from '#dev/images/index.ts';
import { slipway as withEnvironment } from '#test/cli/slipway.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-cli-'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const program = new URL('../../src/cli/slipway.js', import.meta.url).pathname;

/** Runs `slipway` in the folder as a person does. */
function slipway(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { cwd: folder, timeout: 120_000 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

const pipeline = `jobs:
  build:
    image: slipway-dev/busybox
    run: [mkdir out, cat greeting > out/greeting]
    artifacts: [out/]
  check:
    needs: build
    image: slipway-dev/busybox
    run: [cd out, grep -q moin greeting]
  other:
    image: slipway-dev/busybox
    run: echo other
`;

it('runs the pipeline of a folder, with what is not committed, and leaves no container', async () => {
  await ensureImage('slipway-dev/busybox');
  await writeFile(join(folder, 'slipway.yml'), pipeline);
  await writeFile(join(folder, 'greeting'), 'moin\n');
  const good = await slipway('run', '--job', 'check');
  expect(good).toMatchObject({ code: 0, err: '' });
  expect(good.out).toContain('✔ build');
  expect(good.out).toContain('✔ check');
  expect(good.out).not.toContain('other');

  await writeFile(join(folder, 'greeting'), 'hello\n');
  const bad = await slipway('run');
  expect(bad.code).toBe(1);
  expect(bad.out).toMatch(/✘ check.*grep -q moin greeting.*exit code 1/);
  expect(bad.out).toContain('failure: check');

  const left = await new Docker().listContainers({
    all: true,
    filters: { label: [`slipway.repository=local/${basename(folder)}`] },
  });
  expect(left).toEqual([]);
}, 120_000);

it('says what is wrong with a file, and where', async () => {
  await writeFile(
    join(folder, 'slipway.yml'),
    'jobs:\n  a: { image: x, run: y, colour: red }\n  b: { needs: c, image: x, run: y }\n',
  );
  const validated = await slipway('validate');
  expect(validated.code).toBe(1);
  expect(validated.err).toMatch(/^slipway\.yml:2:\d+: error: .*colour/m);
  expect(validated.err).toMatch(/^slipway\.yml:3:\d+: error: .*"c"/m);
  expect((await slipway('run')).code).toBe(1);
  expect(await slipway('validate', 'nothing.yml')).toMatchObject({
    code: 1,
    err: expect.stringContaining('no such file') as unknown,
  });

  await writeFile(join(folder, 'slipway.yml'), pipeline);
  expect(await slipway('validate')).toEqual({ code: 0, out: 'slipway.yml: no mistakes.\n', err: '' });
});

it('says what to do where there is nothing to run, and when a setting is wrong', async () => {
  const nothing = await slipway('run');
  expect(nothing.code).toBe(1);
  expect(nothing.out).toContain('Add a file slipway.yml');
  expect(await slipway('run', '--event', 'release')).toMatchObject({ code: 1 });
});

it('gives jobs the secrets that are named, from the shell, and hides them', async () => {
  await ensureImage('slipway-dev/busybox');
  const job =
    'jobs: { a: { image: slipway-dev/busybox, secrets: [TOKEN], run: [test "$TOKEN" = hunter22, echo "is $TOKEN"] } }';
  await writeFile(join(folder, 'slipway.yml'), `${job}\n`);
  const run = (...args: string[]) => withEnvironment(folder, ['run', ...args], { env: { TOKEN: 'hunter22' } });
  const named = await run('--secret', 'TOKEN');
  expect(named).toMatchObject({ code: 0, err: '' });
  expect(named.out).toContain('is ***');
  expect(named.out).not.toContain('hunter22');
  const unnamed = await run();
  expect(unnamed.code).toBe(1);
  expect(unnamed.out).toContain('add --secret TOKEN');
  expect(await run('--secret', 'NO_SUCH_VARIABLE')).toMatchObject({ code: 1, out: '' });
}, 120_000);
