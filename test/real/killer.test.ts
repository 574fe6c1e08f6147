import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { busyboxImage } from './docker.ts';
import { type Expected, mistakes, settled } from './killer/judge.ts';
import { openTown } from './killer/town.ts';

const kills = 30;
const seed = 20_261_121;

/** Repeatable: https://en.wikipedia.org/wiki/Lehmer_random_number_generator */
function lehmer(start: number): () => number {
  let state = start;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** A run of four jobs: one prints for a while, one makes a file, one prints it, one fails. */
function project(image: string, name: string): { readonly file: string; readonly jobs: Expected['jobs'] } {
  const lines = Array.from({ length: 200 }, (_, i) => `${name} line ${i + 1} ${'x'.repeat(1 + ((i * 7) % 90))}`);
  const print = `i=0; while read -r line; do i=$((i+1)); echo "$line"; [ $((i % 50)) != 0 ] || sleep 0.2; done <lines`;
  const file = `jobs:
  print:
    image: ${image}
    run: |-
      ${print}
  make:
    image: ${image}
    run: ["echo ${name} > made.txt", "sleep 0.3"]
    artifacts: made.txt
  use:
    image: ${image}
    needs: make
    run: cat made.txt
  fail:
    image: ${image}
    run: ["echo before", "sleep 0.2; exit 3", "echo never"]
`;
  return {
    file: `${file}\n`,
    jobs: {
      print: { conclusion: 'success', log: `$ ${print}\n${lines.join('\n')}\n` },
      make: { conclusion: 'success', log: `$ echo ${name} > made.txt\n$ sleep 0.3\n` },
      use: { conclusion: 'success', log: `$ cat made.txt\n${name}\n` },
      fail: { conclusion: 'failure', log: '$ echo before\nbefore\n$ sleep 0.2; exit 3\n' },
    },
  };
}

it(`loses nothing when the server is killed ${kills} times in a stream of pushes (seed ${seed})`, async () => {
  const image = await busyboxImage();
  const random = lehmer(seed);
  await using town = await openTown();
  const repositories = [await town.repository('one'), await town.repository('two'), await town.repository('three')];
  const victim = await town.victim({ SLIPWAY_CATCH_UP: '2s', SLIPWAY_MAX_JOBS: '4' });
  const expected: Expected[] = [];
  await victim.start();
  for (let kill = 0; kill < kills; kill += 1) {
    const repository = repositories[Math.floor(random() * repositories.length)];
    if (repository === undefined) throw new Error('no repository');
    const name = `push${kill}`;
    const { file, jobs } = project(image, name);
    const lines = /^\$ .*\n([^]*)$/.exec(jobs['print']?.log ?? '')?.[1] ?? '';
    const sha = await repository.push({ 'slipway.yml': file, lines }, `branch-${kill}`);
    expected.push({ repository: repository.fullName, sha, jobs });
    await sleep(random() * 1000);
    await victim.kill();
    if (random() < 0.3) await sleep(random() * 1000);
    await victim.start();
  }
  await settled(town.github, expected, 120_000).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${victim.complaints().slice(-20).join('\n')}`);
  });
  await victim.stop();
  expect(await mistakes(town.github, victim, expected)).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 600_000);
