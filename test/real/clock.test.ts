import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { Job } from '#src/model/run.ts';
import { busyboxImage } from './docker.ts';
import { mistakes, settled } from './killer/judge.ts';
import { jobOf, printed, readyz, stored, until } from './killer/look.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';

let image: string;
let town: Town;
let repository: Repository;
let victim: Victim;
beforeEach(async () => {
  image = await busyboxImage();
  town = await openTown();
  repository = await town.repository('shop');
  victim = await town.victim({ SLIPWAY_CATCH_UP: '3s' });
  await victim.start();
});
afterEach(async () => {
  await town[Symbol.asyncDispose]();
});

const well = (log: string) => ({ conclusion: 'success', log });

function check(sha: string, name: string) {
  const found = town.github.checkRuns(repository.fullName, sha).find((each) => each.name === name);
  if (!found) throw new Error(`There is no check run ${name}.`);
  return found;
}

/** Every job is about as long as the others; the clock jumps while they run. */
function project(name: string): string {
  return `jobs:
  plain:
    image: ${image}
    run: ["echo ${name} begun", "sleep 4", "echo ${name} over"]
  limited:
    image: ${image}
    timeout: 6s
    run: ["echo ${name} limited", "sleep 600"]
  again:
    image: ${image}
    retry: 1
    run: ["sleep 2", "exit 3"]
`;
}

const expectedOf = (name: string, sha: string) => ({
  repository: repository.fullName,
  sha,
  jobs: {
    plain: well(`$ echo ${name} begun\n${name} begun\n$ sleep 4\n$ echo ${name} over\n${name} over\n`),
    // What its shell says of the SIGTERM is the shell's affair.
    limited: { conclusion: 'timed_out', log: null },
    again: { conclusion: 'failure', log: null },
  },
});

/** Nothing that people read of the job is impossible: an end before the begin, a time below zero. */
function expectTimes(job: Job): void {
  for (const part of [job, ...job.steps, ...job.earlier]) {
    if (part.startedAt === null || part.finishedAt === null) continue;
    expect(part.finishedAt).toBeGreaterThanOrEqual(part.startedAt);
  }
}

it('ends every job rightly, once, while the clock jumps an hour ahead, two back, and right again', async () => {
  const expected = [];
  for (const jump of ['ahead', 'back', 'right']) {
    const sha = await repository.push({ 'slipway.yml': project(jump) }, jump);
    expected.push(expectedOf(jump, sha));
    await until('the jobs to begin', victim, async () => {
      return (await printed(victim, `${jump} begun`)) + (await printed(victim, `${jump} limited`)) === 2;
    });
    victim.signal('SIGUSR2');
    // The page is read as well by whom the clock deceives.
    await until('/readyz to be well', victim, async () => (await readyz(victim.address)).status === 200);
    const page = await (await fetch(check(sha, 'plain').detailsUrl ?? '')).text();
    expect(page).not.toMatch(/-\d+(\.\d+)? (ms|s|min|h)\b/);
    await settled(town.github, expected, 40_000);
  }
  for (const { sha, jobs } of expected) {
    expect(check(sha, 'limited').title).toMatch(/^Timed out: The job was stopped at its time limit of 6 s/);
    expect(check(sha, 'again').title).toBe('Step "exit 3" failed with exit code 3.');
    for (const name of Object.keys(jobs)) {
      const { startedAt, completedAt, title, summary } = check(sha, name);
      expect(Date.parse(completedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(startedAt ?? ''));
      expect(`${title} ${summary}`).not.toMatch(/-\d+(\.\d+)? (ms|s|m|h)\b/);
    }
  }
  await victim.stop();
  const views = await stored(victim);
  for (const { sha, jobs } of expected) {
    for (const name of Object.keys(jobs)) expectTimes(jobOf(views.get(sha), name));
    expect(jobOf(views.get(sha), 'again').earlier).toMatchObject([{ by: 'retry', why: 'retry 1 of 1' }]);
  }
  const wrong = await mistakes(town.github, victim, expected);
  expect(wrong.filter((each) => !each.includes('again: ran again'))).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 120_000);

it('talks to GitHub, follows its job and keeps its pauses when it is started with a clock that is wrong', async () => {
  const file = `jobs:
  long:
    image: ${image}
    timeout: 1m
    run: ["echo begun", "sleep 6", "echo over"]
`;
  const sha = await repository.push({ 'slipway.yml': file });
  await until('the job to begin', victim, async () => (await printed(victim, 'begun')) === 1);
  victim.signal('SIGUSR2');
  await victim.kill();
  // The process after it has the right clock: what is stored is an hour ahead of it.
  await victim.start();
  victim.signal('SIGUSR2');
  const jobs = { long: well('$ echo begun\nbegun\n$ sleep 6\n$ echo over\nover\n') };
  const later = await repository.push({ 'slipway.yml': file.replaceAll('begun', 'later') }, 'later');
  const expected = [
    { repository: repository.fullName, sha, jobs },
    {
      repository: repository.fullName,
      sha: later,
      jobs: { long: well('$ echo later\nlater\n$ sleep 6\n$ echo over\nover\n') },
    },
  ];
  // GitHub's tokens end by GitHub's clock: those that it gave out count no more.
  for (const token of town.github.world.tokens.values()) Object.assign(token, { expiresAt: 0 });
  await settled(town.github, expected, 40_000);
  await victim.stop();
  expect(await mistakes(town.github, victim, expected)).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 90_000);
