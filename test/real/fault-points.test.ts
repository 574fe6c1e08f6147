import { expect, it } from '@jest/globals';
import { busyboxImage } from './docker.ts';
import { type Expected, mistakes, settled } from './killer/judge.ts';
import { reached } from './killer/reached.ts';
import { openTown } from './killer/town.ts';

/** Store methods that change nothing, or only what is old or of this moment. */
const reads =
  /\.(get|view|job|pending|missing|unfinished|unfinishedOfPullRequest|exists|untold|list|ofCommit|ofBranch|ofPullRequest|deploying|nextDue|artifacts|running|all|leader|beat|forget|prune|heldUpBy|owners|find|ofJob|lastHealthy|environments|previews|repositories|line|of|every|ping|close)$/;

/** Each is met before and after. Second names and `start`: see killer/server.ts. */
const points = [
  'deliveries.add',
  'runs.create',
  'deliveries.finish',
  'runs.trust',
  'runs.plan',
  'runs.drop',
  'groups.enter',
  'runs.queue',
  'runs.noteJob',
  'runs.claim',
  'told.set/check.creating',
  'executor.run',
  'job.begin',
  'job.log',
  // Here are jobs to go on with.
  'job.rewind 1 start',
  'executor.attach 1 start',
  'workers.enter 1 start',
  'runs.inherit 1 start',
  'workers.lead 1 start',
  'runs.progress/script.echo.running',
  'runs.progress/script.echo.completed',
  'runs.again',
  'runs.complete',
  'groups.leave',
  'told.set/check.open',
  'told.set/check.completed',
  'runs.finish',
  'runs.told',
] as const;

/** Points on the way of a run whose jobs take turns, fail and run again; for the others a small one will do. */
const whole = /^(groups|runs\.(noteJob|queue|again|complete))\b/;

/**
 * `make` fails once and then leaves a file, `use` prints it and what its service says, `turn` takes turns with `make`, `never`
 * is for no branch. `short`: only the last two.
 */
function project(
  image: string,
  name: string,
  short: boolean,
): { readonly file: string; readonly jobs: Expected['jobs'] } {
  const make = `echo "attempt $SLIPWAY_ATTEMPT of ${name}" | tee made.txt; [ "$SLIPWAY_ATTEMPT" != 1 ]`;
  const use = 'cat made.txt; wget -q -O - http://web/';
  const file = `jobs:
  make:
    image: ${image}
    concurrency: { group: turns of ${name}, queue: max }
    retry: 1
    run: |-
      ${make}
    artifacts: made.txt
  use:
    image: ${image}
    needs: make
    services:
      web: { image: ${image}, command: [sh, -c, "mkdir /web && echo ${name} serves >/web/index.html && exec httpd -f -p 80 -h /web"], port: 80 }
    run: |-
      ${use}
  turn:
    image: ${image}
    concurrency: { group: turns of ${name}, queue: max }
    run: echo ${name}
  never:
    image: ${image}
    if: event.kind == 'tag'
    run: echo never
`;
  const turn = { conclusion: 'success', log: `$ echo ${name}\n${name}\n` } as const;
  const never = { conclusion: 'skipped', log: null } as const;
  if (short) return { file: `jobs:\n${file.slice(file.indexOf('  turn:'))}`, jobs: { turn, never } };
  const made = (attempt: number) => `attempt ${attempt} of ${name}\n`;
  return {
    file,
    jobs: {
      make: { conclusion: 'success', log: `$ ${make}\n${made(2)}`, before: [`$ ${make}\n${made(1)}`] },
      use: { conclusion: 'success', log: `$ ${use}\n${made(2)}${name} serves\n` },
      turn,
      never,
    },
  };
}

it('goes on from before and after each transition of a push', async () => {
  const image = await busyboxImage();
  await using town = await openTown();
  const repository = await town.repository('points');
  const victim = await town.victim({ SLIPWAY_CATCH_UP: '2s', SLIPWAY_MAX_JOBS: '4' });
  const expected: Expected[] = [];
  const push = async (name: string, short: boolean): Promise<Expected> => {
    const { file, jobs } = project(image, name, short);
    const sha = await repository.push({ 'slipway.yml': file }, name);
    const commit = { repository: repository.fullName, sha, jobs };
    expected.push(commit);
    return commit;
  };

  await victim.start('list');
  await settled(town.github, [await push('list', false)], 30_000);
  await victim.stop();
  const unlisted = [...victim.output().matchAll(/^point ([^/\n]*)$/gm)]
    .map(([, name = '']) => name)
    .filter((name) => !reads.test(name) && !points.some((point) => point.split(/[ /]/)[0] === name));
  expect(unlisted).toEqual([]);

  const missed: string[] = [];
  for (const [index, point] of points.entries()) {
    for (const moment of ['before', 'after']) {
      await victim.start(`${moment} ${point}`);
      await push(`${moment}-${index}`, !whole.test(point));
      if (!(await reached(victim))) missed.push(`${moment} ${point}`);
    }
  }
  await victim.start();
  await settled(town.github, expected, 120_000).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${victim.complaints().slice(-20).join('\n')}`);
  });
  await victim.stop();
  expect(missed).toEqual([]);
  expect(await mistakes(town.github, { home: victim.home }, expected)).toEqual([]);
  // Killed between making a container that waits for jobs and starting it: the sweeps spare it for its first five minutes.
  const left = (await town.left()).filter((each) => !/^container \/slipway-idle-\w+ \(Created\)$/.test(each));
  expect(left).toEqual([]);
}, 600_000);
