import { spawn } from 'node:child_process';
import { watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureImage } from '#dev/images/index.ts';
import { interleave, median, type Row } from './measure.ts';
import { openTown, type Town } from './town.ts';

const idleMs = 20_000;
const logMegabytes = 60;
/** Of Linux on every architecture that Node runs on. */
const ticksPerSecond = 100;

/** The whole server as a process: from a push to the first byte of the log, its memory, and what long logs cost it. */
export async function server(rounds: number): Promise<readonly Row[]> {
  const image = await ensureImage('slipway-dev/busybox');
  await using none = await openTown({ SLIPWAY_WARM: '0' });
  await using warm = await openTown({ SLIPWAY_WARM: '1' });
  await sleep(idleMs);
  const memory = await residentMegabytes(none.pid);
  const files = { ...small, 'slipway.yml': pipeline(image, 'echo Hello') };
  for (const town of [none, warm]) await town.succeeded(await town.push(files));
  const [cold = [], ready = [], never = [], bare = []] = await interleave(rounds, 1, [
    async () => {
      await settled();
      await warm.endReady();
      await settled();
      return firstByte(warm);
    },
    () => settled().then(() => firstByte(warm)),
    () => settled().then(() => firstByte(none)),
    () => settled().then(() => bareFirstByte(image)),
  ]);
  const common = { floor: null, unit: 'ms', samples: rounds, target: null } as const;
  return [
    { ...common, name: 'push to the first byte of the log, cold', ours: median(cold), target: { atMost: 300 } },
    { ...common, name: 'the same, with a container ready', ours: median(ready) },
    { ...common, name: 'the same, where none is ever started ahead (`SLIPWAY_WARM=0`)', ours: median(never) },
    { ...common, name: '`docker run` alone to its first byte', ours: median(bare) },
    ...(await longLog(none, image)),
    { ...common, name: 'idle memory', ours: memory, unit: 'MB', target: { atMost: 150 }, samples: 1 },
  ];
}

const small = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`file-${i}.txt`, `${i}\n`.repeat(200)]));

/** The engine goes on removing a container's network for a while after it said that it's done. */
function settled(): Promise<void> {
  return sleep(2_000);
}

function pipeline(image: string, script: string): string {
  return JSON.stringify({ jobs: { job: { image, run: script } } });
}

/** From the moment GitHub sends the push to the first byte that a reader finds in the job's log. */
async function firstByte(town: Town): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const watcher = watch(town.logs, { recursive: true }, (_event, name) => {
    if (!name?.endsWith('.log')) return;
    const now = Date.now();
    void stat(join(town.logs, name)).then(({ size }) => size > 0 && resolve(now));
  });
  try {
    const sha = await town.push({ 'file-0.txt': `${Date.now()}\n` });
    const at = await promise;
    await town.succeeded(sha);
    const sent = town.github.webhooks.deliveries.find((d) => d.event === 'push' && d.body.includes(`"after":"${sha}"`));
    return at - (sent?.at ?? Number.NaN);
  } finally {
    watcher.close();
  }
}

async function bareFirstByte(image: string): Promise<number> {
  const start = performance.now();
  const child = spawn('docker', ['run', '--rm', image, 'echo', 'Hello'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const took = await new Promise<number>((resolve) =>
    child.stdout.once('data', () => resolve(performance.now() - start)),
  );
  await exited;
  return took;
}

/** How long the server lets others wait while a job prints as fast as it can, and what it computes for a MB of it. */
async function longLog(town: Town, image: string): Promise<readonly Row[]> {
  const lines = Array.from(
    { length: 10_000 },
    (_, i) => `  ✓ test/unit/module-${i}.test.ts › does what it says (${i} ms)`,
  );
  const text = `${lines.join('\n')}\n`;
  const times = Math.floor((logMegabytes * 1024 * 1024) / Buffer.byteLength(text));
  const script = `i=0; while [ $i -lt ${times} ]; do cat lines.txt; i=$((i+1)); done`;
  const before = await cpuMs(town.pid);
  const over = new AbortController();
  const waits = probe(`${town.url}/healthz`, over.signal);
  await town.succeeded(await town.push({ 'lines.txt': text, 'slipway.yml': pipeline(image, script) }));
  over.abort();
  const longest = Math.max(...(await waits));
  const cpu = (await cpuMs(town.pid)) - before;
  return [
    {
      name: `longest wait for /healthz while a job prints ${logMegabytes} MB`,
      ours: longest,
      floor: null,
      unit: 'ms',
      target: { atMost: 100 },
      samples: 1,
    },
    {
      name: 'processor time of the server for a MB of log',
      ours: cpu / logMegabytes,
      floor: null,
      unit: 'ms',
      target: null,
      samples: 1,
    },
  ];
}

async function probe(url: string, signal: AbortSignal): Promise<readonly number[]> {
  const waits: number[] = [];
  while (!signal.aborted) {
    const start = performance.now();
    await (await fetch(url)).arrayBuffer();
    waits.push(performance.now() - start);
    await sleep(5);
  }
  return waits;
}

async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** User and system time of the process. See proc(5). */
async function cpuMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000;
}
