import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import { slipway } from '#test/cli/slipway.ts';
import { busyboxImage } from './docker.ts';
import { openTown, type Town, type Victim } from './killer/town.ts';

let image: string;
beforeAll(async () => {
  image = await busyboxImage();
});

const value = 'correct-horse-battery';
const sealedValue = 'staple-hunter22';

/** The check run of the job, once it is over. */
async function ended({ github }: Town, repository: string, sha: string, key: string) {
  const find = () => github.checkRuns(repository, sha).find((check) => check.name === key);
  await github.waitFor(`${key} to end`, () => find()?.status === 'completed');
  const check = find();
  return { conclusion: check?.conclusion ?? null, told: JSON.stringify(check ?? null) };
}

/** Every file that the server keeps, but for what jobs brought themselves. */
async function filesWith(text: string, { home }: Victim): Promise<readonly string[]> {
  const found: string[] = [];
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await readFile(path).catch(() => Buffer.alloc(0))).includes(text)) found.push(path);
  }
  return found;
}

it('gives a job what was set and sealed on the command line while the server runs, and shows it nowhere', async () => {
  await using town = await openTown();
  const repository = await town.repository('shop');
  const server = await town.victim({ DOCKER_HOST: process.env['DOCKER_HOST'] ?? '', SLIPWAY_RECONCILE: 'off' });
  await server.start();
  const sealed = await slipway(town.folder, ['seal', '--server', server.address, 'acme/shop'], { input: sealedValue });
  expect(sealed).toMatchObject({ code: 0, err: '' });

  function pipeline(text: string): string {
    const test = `test "$TOKEN" = ${value} && test "$SEALED" = ${sealedValue}`.replaceAll('-', '""-');
    return `jobs:
  use:
    image: ${image}
    secrets: [TOKEN]
    env: { SEALED: { sealed: "${text}" } }
    run: ['${test}', 'echo "they are $TOKEN and $SEALED"']
`;
  }

  const unset = await repository.push({ 'slipway.yml': pipeline(sealed.out.trim()) });
  const failed = await ended(town, 'acme/shop', unset, 'use');
  expect(failed.conclusion).toBe('failure');
  expect(failed.told).toContain('slipway secret set acme/shop TOKEN');

  const env = { SLIPWAY_HOME: server.home };
  const set = await slipway(town.folder, ['secret', 'set', 'acme/shop', 'TOKEN', '--branch', 'main'], {
    input: `${value}\n`,
    env,
  });
  expect(set).toMatchObject({ code: 0, err: expect.stringMatching(/^slipway: using the data in \S+\n$/) });
  const good = await repository.push({ again: '1' });
  const passed = await ended(town, 'acme/shop', good, 'use');
  expect([passed.conclusion, passed.told]).toEqual(['success', expect.stringContaining('they are *** and ***')]);

  // Another branch, for which it isn't; and another repository, for which it was neither set nor sealed.
  const branch = await ended(town, 'acme/shop', await repository.push({ again: '2' }, 'feature'), 'use');
  expect([branch.conclusion, branch.told]).toEqual(['failure', expect.stringContaining('limited to the branch main')]);
  const thief = await town.repository('thief');
  const file = `jobs: { use: { image: ${image}, env: { A: { sealed: "${sealed.out.trim()}" } }, run: 'echo $A' } }\n`;
  const stolen = await ended(town, 'acme/thief', await thief.push({ 'slipway.yml': file }), 'use');
  expect([stolen.conclusion, stolen.told]).toEqual([
    'failure',
    expect.stringContaining('sealed for another repository'),
  ]);

  // What a job wrote as it wrote it goes with its folder.
  await server.stop();
  const told = JSON.stringify([failed, passed, branch, stolen, server.output()]);
  for (const text of [value, sealedValue]) {
    expect(told).not.toContain(text);
    expect(await filesWith(text, server)).toEqual([]);
  }
}, 120_000);
