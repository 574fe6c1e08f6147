import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { busyboxImage } from './docker.ts';
import { mistakes, settled } from './killer/judge.ts';
import { openLine } from './killer/line.ts';
import { jobOf, printed, readyz, stored, until } from './killer/look.ts';
import { openTown, type Repository, type Town, type Victim } from './killer/town.ts';
import { type OwnEngine, startEngine } from './own-engine.ts';

let image: string;
let engine: OwnEngine;
let town: Town;
let repository: Repository;
beforeEach(async () => {
  image = await busyboxImage();
  engine = await startEngine();
  await engine.load(image);
  town = await openTown({ docker: engine.docker });
  repository = await town.repository('shop');
});
afterEach(async () => {
  await town[Symbol.asyncDispose]();
  await engine.dispose();
});

const socket = () => (engine.docker.modem as { socketPath?: string }).socketPath ?? '';
const well = (log: string) => ({ conclusion: 'success', log });

function check(sha: string, name: string) {
  const found = town.github.checkRuns(repository.fullName, sha).find((each) => each.name === name);
  if (!found) throw new Error(`There is no check run ${name}.`);
  return found;
}

function untilReady(victim: Victim, ready: boolean) {
  return until(`/readyz to be ${ready ? 'well' : 'ill'}`, victim, async () => {
    const answer = await readyz(victim.address);
    return (answer.status === 200) === ready && answer;
  });
}

const wait = 'i=0; while [ $SLIPWAY_ATTEMPT = 1 ] && [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done';

/** One that lasts, one that fails by itself, one that has to wait for a place, one that waits for the first. */
function project(): string {
  // Its first attempt lasts longer than the engine, in commands that are short: SIGTERM ends them one by one.
  const long = ['echo begun', wait, 'echo over'];
  return `jobs:
  long:
    image: ${image}
    run: ${JSON.stringify(long)}
  own:
    image: ${image}
    run: ["echo before", "exit 3"]
  queued:
    image: ${image}
    run: ["sleep 1", "echo queued"]
  after:
    image: ${image}
    needs: [long, queued]
    run: echo after
`;
}

it.each(['SIGTERM', 'SIGKILL'] as const)(
  'a restart of the engine by %s is nobody’s failure but its own, and what ran runs again',
  async (signal) => {
    const victim = await town.victim({ DOCKER_HOST: `unix://${socket()}`, SLIPWAY_MAX_JOBS: '2' });
    await victim.start();
    await untilReady(victim, true);
    const sha = await repository.push({ 'slipway.yml': project() });
    await until('the job to begin', victim, async () => (await printed(victim, 'begun')) === 1);
    await town.github.waitFor('the job to fail by itself', () => check(sha, 'own').status === 'completed');
    await engine.end(signal);
    const { checks } = await untilReady(victim, false);
    expect(checks).toMatchObject({ docker: 'failed', database: 'ok', github: 'ok' });
    expect(check(sha, 'after').status).toBe('queued');
    await engine.start();
    await untilReady(victim, true);
    const long = `$ echo begun\nbegun\n$ ${wait}\n$ echo over\nover\n`;
    const jobs = {
      long: well(long),
      own: { conclusion: 'failure', log: '$ echo before\nbefore\n$ exit 3\n' },
      queued: well('$ sleep 1\n$ echo queued\nqueued\n'),
      after: well('$ echo after\nafter\n'),
    };
    const expected = [{ repository: repository.fullName, sha, jobs }];
    await settled(town.github, expected, 60_000);
    await victim.stop();
    const view = (await stored(victim)).get(sha);
    const { earlier } = jobOf(view, 'long');
    expect(earlier).toMatchObject([{ by: 'platform', outcome: { kind: 'broken' } }]);
    expect(earlier[0]?.why).toMatch(/^the Docker engine restarted/);
    const { title, summary } = check(sha, 'long');
    expect(title).toMatch(/^Passed in \d/);
    expect(summary).toMatch(/^Passed\. Took .* Retried: .*(restarted|outside)/);
    expect(summary).toContain("Attempt 1: Slipway's failure: ");
    expect(check(sha, 'own').title).toBe('Step "exit 3" failed with exit code 3.');
    expect(jobOf(view, 'own').attempt).toBe(1);
    expect(jobOf(view, 'after').earlier).toEqual([]);
    const wrong = await mistakes(town.github, victim, expected);
    // That some ran again is as it should be.
    expect(wrong.filter((each) => !/(long|queued): ran again/.test(each))).toEqual([]);
    expect(await town.left()).toEqual([]);
  },
  90_000,
);

it('an engine that hangs holds no job beyond its limit, and when it answers again all goes on', async () => {
  await using line = await openLine(socket());
  const victim = await town.victim({ DOCKER_HOST: line.host, SLIPWAY_MAX_JOBS: '2' });
  await victim.start();
  await untilReady(victim, true);
  const file = `jobs:
  short:
    image: ${image}
    run: ["echo short begun", "sleep 3", "echo short over"]
  endless:
    image: ${image}
    run: ["echo endless begun", "sleep 600"]
    timeout: 5s
  later:
    image: ${image}
    run: echo later
    needs: short
`;
  const sha = await repository.push({ 'slipway.yml': file });
  await until('both to begin', victim, async () => {
    return (await printed(victim, 'short begun')) + (await printed(victim, 'endless begun')) === 2;
  });
  line.hang();
  const { checks } = await untilReady(victim, false);
  expect(checks).toMatchObject({ docker: 'timed out', database: 'ok' });
  // It tells its end without the engine.
  await town.github.waitFor('the short job to end', () => check(sha, 'short').conclusion === 'success');
  await town.github.waitFor('the endless job to end', () => check(sha, 'endless').conclusion === 'timed_out', 40_000);
  line.mend();
  await untilReady(victim, true);
  const jobs = {
    short: well('$ echo short begun\nshort begun\n$ sleep 3\n$ echo short over\nshort over\n'),
    endless: { conclusion: 'timed_out', log: '$ echo endless begun\nendless begun\n$ sleep 600\n' },
    later: well('$ echo later\nlater\n'),
  };
  const expected = [{ repository: repository.fullName, sha, jobs }];
  await settled(town.github, expected, 60_000);
  expect(check(sha, 'endless').title).toBe('Timed out: The job was stopped at its time limit of 5 s.');
  expect(check(sha, 'later').summary).toMatch(/^Passed\. Took .* Retried: Docker broke off or did not answer in time/);
  await victim.stop();
  const wrong = await mistakes(town.github, victim, expected);
  // Nobody told how the step ended that was stopped; what began while the engine hung ran again.
  expect(wrong.filter((each) => !/later: ran again|endless: 1 steps never ended/.test(each))).toEqual([]);
}, 120_000);
