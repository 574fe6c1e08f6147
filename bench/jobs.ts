import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureImage } from '#dev/images/index.ts';
import { docker, type House, openHouse, span } from './house.ts';
import { interleave, median, type Row, time } from './measure.ts';

const run = promisify(execFile);
const lines = ['echo one', 'mkdir -p out', 'cat file-*.txt >out/all', 'wc -l out/all', 'echo done'];
const many = 20;
const manySteps = 50;

/** Jobs through the engine, from claim to finished, each against what Docker takes for the same without it. */
export async function jobs(rounds: number): Promise<readonly Row[]> {
  const image = await ensureImage('slipway-dev/busybox');
  await using cold = await openHouse({ warm: 0, jobs: many });
  await using warm = await openHouse({ warm: 1, jobs: many });
  await warm.play(pipeline(image, { job: { run: ['true'] } }));
  return [
    ...(await oneJob(rounds, image, cold, warm)),
    await stages(Math.ceil(rounds / 2), image, cold),
    await atOnce(Math.ceil(rounds / 2), image, cold),
    await steps(Math.ceil(rounds / 2), image, cold),
  ];
}

async function oneJob(rounds: number, image: string, cold: House, warm: House): Promise<readonly Row[]> {
  const text = pipeline(image, { job: { run: [lines.join('\n')] } });
  const [a = [], b = [], c = []] = await interleave(rounds, 2, [
    async () => {
      await warm.quiet();
      const took = span((await cold.play(text)).jobs);
      await cold.quiet();
      return took;
    },
    async () => {
      await warm.quiet();
      return span((await warm.play(text)).jobs);
    },
    async () => {
      await warm.quiet();
      return time(() => dockerRun(image, warm.tree, lines.join('\n')));
    },
  ]);
  const floor = median(c);
  const common = { floor, unit: 'ms', samples: rounds } as const;
  return [
    { name: 'a job of five lines, against `docker run --rm`', ours: median(a), target: { atMost: 1.15 }, ...common },
    { name: 'the same, in a container started ahead', ours: median(b), target: { atMost: 0.6 }, ...common },
  ];
}

const stageJobs: Readonly<Record<string, { readonly needs: readonly string[]; readonly run: string }>> = {
  'build-1': { needs: [], run: 'mkdir -p out && cat file-*.txt >out/build-1' },
  'build-2': { needs: [], run: 'mkdir -p out && cat file-*.txt >out/build-2' },
  'test-1': { needs: ['build-1', 'build-2'], run: 'wc -l out/build-1 out/build-2 >out/test-1' },
  'test-2': { needs: ['build-1', 'build-2'], run: 'wc -c out/build-1 out/build-2 >out/test-2' },
  'pack-1': { needs: ['test-1', 'test-2'], run: 'cat out/test-1 out/test-2 >out/pack-1' },
  'pack-2': { needs: ['test-1', 'test-2'], run: 'cat out/test-2 out/test-1 >out/pack-2' },
};

async function stages(rounds: number, image: string, house: House): Promise<Row> {
  const specs = Object.entries(stageJobs).map(([id, { needs, run: script }]) => [
    id,
    { ...(needs.length > 0 ? { needs } : {}), run: [script], artifacts: ['out/**'] },
  ]);
  const text = pipeline(image, Object.fromEntries(specs));
  const [a = [], b = []] = await interleave(rounds, 1, [
    () => playedAlone(house, text),
    () => bareStages(image, house.tree),
  ]);
  return {
    name: 'three stages of two jobs with artifacts, against `docker run` and tar',
    ours: median(a),
    floor: median(b),
    unit: 'ms',
    target: { atMost: 1.3 },
    samples: rounds,
  };
}

/** Milliseconds from the event to the run's end; what is left is removed before anything else is measured. */
async function playedAlone(house: House, text: string): Promise<number> {
  const took = await time(() => house.play(text));
  await house.quiet();
  return took;
}

/** Each job in a copy of the tree, with the archives of the jobs that it needs; two at a time. */
async function bareStages(image: string, tree: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  const names = Object.keys(stageJobs);
  try {
    return await time(async () => {
      for (const pair of [names.slice(0, 2), names.slice(2, 4), names.slice(4, 6)]) {
        await Promise.all(pair.map((name) => bareJob(image, tree, folder, name)));
      }
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function bareJob(image: string, tree: string, folder: string, name: string): Promise<void> {
  const workspace = join(folder, name);
  await cp(tree, workspace, { recursive: true });
  const { needs = [], run: script = '' } = stageJobs[name] ?? {};
  for (const need of needs) await run('tar', ['-xf', join(folder, `${need}.tar`), '-C', workspace]);
  await dockerRun(image, workspace, script);
  await run('tar', ['-cf', join(folder, `${name}.tar`), '-C', workspace, 'out']);
}

async function atOnce(rounds: number, image: string, house: House): Promise<Row> {
  const specs = Array.from({ length: many }, (_, i) => [`job-${i}`, { run: ['sleep 1'] }]);
  const text = pipeline(image, Object.fromEntries(specs));
  const [a = [], b = []] = await interleave(rounds, 1, [
    () => playedAlone(house, text),
    () => time(() => Promise.all(Array.from({ length: many }, () => bareContainer(image)))),
  ]);
  return {
    name: 'twenty one-second jobs at once, against the API: create, start, wait, remove',
    ours: median(a),
    floor: median(b),
    unit: 'ms',
    target: { atMost: 1.15 },
    samples: rounds,
  };
}

async function bareContainer(image: string): Promise<void> {
  const container = await docker.createContainer({ Image: image, Cmd: ['sleep', '1'] });
  await container.start();
  await container.wait();
  await container.remove();
}

/** What fifty steps take more than one, for each. */
async function steps(rounds: number, image: string, house: House): Promise<Row> {
  const one = pipeline(image, { job: { run: ['true'] } });
  const all = pipeline(image, { job: { run: Array.from({ length: manySteps }, () => 'true') } });
  const measured = (text: string) => async () => {
    const view = await house.play(text);
    await house.quiet();
    return span(view.jobs);
  };
  const [a = [], b = []] = await interleave(rounds, 1, [measured(all), measured(one)]);
  return {
    name: 'a step, beyond the first',
    ours: Math.max(0, (median(a) - median(b)) / (manySteps - 1)),
    floor: null,
    unit: 'ms',
    target: { atMost: 5 },
    samples: rounds,
  };
}

function pipeline(image: string, specs: Readonly<Record<string, object>>): string {
  const all = Object.entries(specs).map(([id, spec]) => [id, { image, ...spec }]);
  // JSON is YAML.
  return JSON.stringify({ jobs: Object.fromEntries(all) });
}

/** As a person would: by Docker's own program, in the folder. */
async function dockerRun(image: string, folder: string, script: string): Promise<void> {
  const mount = ['--volume', `${folder}:/workspace`, '--workdir', '/workspace'];
  await run('docker', ['run', '--rm', ...mount, image, 'sh', '-ec', script]);
}
