import { execFile } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { busyboxImage } from './docker.ts';
import { mistakes, settled } from './killer/judge.ts';
import { printed, readyz, until } from './killer/look.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';

const mib = 1024 ** 2;
const run = promisify(execFile);

let image: string;
let disk: string;
let town: Town;
let repository: Repository;
let victim: Victim;
beforeEach(async () => {
  image = await busyboxImage();
  disk = await mkdtemp(join(tmpdir(), 'slipway-small-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=100m', 'slipway-small-disk', disk]);
  town = await openTown({ disk });
  repository = await town.repository('shop');
  victim = await town.victim({ SLIPWAY_RESERVE: '20m', SLIPWAY_CATCH_UP: '3s', SLIPWAY_MAX_JOBS: '2' });
  await victim.start();
});
afterEach(async () => {
  await town[Symbol.asyncDispose]();
  await run('umount', ['-l', disk]);
  await rm(disk, { recursive: true, force: true });
});

const job = (steps: readonly string[]) => `    image: ${image}\n    run: ${JSON.stringify(steps)}\n`;
const fine = () => `jobs:\n  fine:\n${job(['echo fine'])}`;
/** Only the first attempt is greedy: what becomes of it is told by then. */
const once = (command: string) => `[ $SLIPWAY_ATTEMPT != 1 ] || ${command}`;
const expectedFine = { fine: { conclusion: 'success', log: '$ echo fine\nfine\n' } };

function check(sha: string, name: string) {
  return town.github.checkRuns(repository.fullName, sha).find((each) => each.name === name) ?? null;
}

async function free(): Promise<number> {
  const { bsize, bavail } = await statfs(disk);
  return bsize * bavail;
}

function isWhole(): void {
  using database = new DatabaseSync(join(victim.home, 'slipway.db'));
  expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
}

it('a job that fills the disk harms only itself; what is pushed meanwhile runs once there is space', async () => {
  const file = `jobs:\n  greedy:\n${job(['echo filling', once('dd if=/dev/zero of=big bs=1M count=500')])}`;
  const sha = await repository.push({ 'slipway.yml': file }, 'greedy');
  const meanwhile = await repository.push({ 'slipway.yml': fine() }, 'meanwhile');
  await town.github.waitFor('the greedy job to end', () => check(sha, 'greedy')?.status === 'completed', 30_000);
  const { conclusion, summary, text } = check(sha, 'greedy') ?? {};
  // Whoever meets the full disk first tells of it: the job's own command, or what writes its log.
  expect(conclusion === 'failure' ? text : summary).toMatch(
    /No space left on device|Retried: the log can't be written/,
  );
  await until('the space to be free again', victim, async () => (await free()) > 60 * mib);
  const later = await repository.push({ 'slipway.yml': fine() }, 'later');
  const expected = [meanwhile, later].map((pushed) => ({
    repository: repository.fullName,
    sha: pushed,
    jobs: expectedFine,
  }));
  await settled(town.github, expected, 20_000).catch((error: unknown) => {
    throw new Error(
      `${String(error)}\n${victim
        .complaints()
        .map((l) => l.slice(0, 420))
        .join('\n')}`,
    );
  });
  expect((await readyz(victim.address)).status).toBe(200);
  await victim.stop();
  isWhole();
  const wrong = await mistakes(town.github, victim, expected);
  // Who met the full disk ran again.
  expect(wrong.filter((each) => !each.includes('fine: ran again'))).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 80_000);

it('a job whose log has no end is ended at the reserve, with words that say what to do', async () => {
  const filler = join(disk, 'filler');
  await writeFile(filler, Buffer.alloc(Math.max(0, (await free()) - 45 * mib)));
  const file = `jobs:\n  talkative:\n${job(['echo begun', once('yes the-log-has-no-end')])}`;
  const sha = await repository.push({ 'slipway.yml': file }, 'talkative');
  await until('the job to begin', victim, async () => (await printed(victim, 'begun')) >= 1);
  const meanwhile = await repository.push({ 'slipway.yml': fine() }, 'meanwhile');
  await until('the reserve to be reached', victim, async () => {
    const { title, status } = check(sha, 'talkative') ?? {};
    return status === 'completed' || /runs again/.test(`${title}`);
  });
  await rm(filler);
  const expected = [{ repository: repository.fullName, sha: meanwhile, jobs: expectedFine }];
  await settled(town.github, expected, 40_000);
  await town.github.waitFor('the talkative job to end', () => check(sha, 'talkative')?.status === 'completed', 40_000);
  const { conclusion, summary } = check(sha, 'talkative') ?? {};
  expect(conclusion).toBe('success');
  expect(summary).toMatch(/Retried: the log can't be written/);
  expect(summary).toMatch(
    /Slipway's failure: The log can't be written\. (Only \d+ MiB of 100 MiB are free|.*The disk is full).*[Ff]ree some space/,
  );
  await victim.stop();
  isWhole();
  const wrong = await mistakes(town.github, victim, expected);
  // Who met the full disk ran again.
  expect(wrong.filter((each) => !each.includes('fine: ran again'))).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 90_000);

it('pushes to a server whose disk is full are stored or refused, and run when there is space', async () => {
  const filler = join(disk, 'filler');
  // Whatever is left after it is the file system's own.
  await writeFile(filler, Buffer.alloc(await free())).catch(() => {});
  const shas = [];
  for (let i = 0; i < 6; i++) shas.push(await repository.push({ 'slipway.yml': fine(), n: `${i}` }, `branch-${i}`));
  await town.github.webhooks.idle();
  const answers = town.github.webhooks.deliveries
    .filter((each) => each.event === 'push')
    .map((each) => each.statusCode);
  expect(answers.every((code) => code === 202 || code === 503)).toBe(true);
  expect(victim.running).toBe(true);
  await rm(filler);
  const expected = shas.map((sha) => ({ repository: repository.fullName, sha, jobs: expectedFine }));
  await settled(town.github, expected, 25_000).catch((error: unknown) => {
    throw new Error(
      `${String(error)}\n${victim
        .complaints()
        .map((l) => l.slice(0, 420))
        .join('\n')}`,
    );
  });
  await victim.stop();
  isWhole();
  const wrong = await mistakes(town.github, victim, expected);
  // Who met the full disk ran again.
  expect(wrong.filter((each) => !each.includes('fine: ran again'))).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 90_000);
