import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { openStore } from '#src/adapters/store/store.ts';
import { planned, plannedRun, push } from '#test/contracts/store-fixtures.ts';

const child = fileURLToPath(new URL('child.ts', import.meta.url));
const clock = { now: () => Date.now() };

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-store-'));
  path = join(folder, 'slipway.db');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function start(mode: string, name: string) {
  return spawn(process.execPath, [child, mode, path, name], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Output of four processes that do the same at once. */
async function four(mode: string): Promise<string[][]> {
  const children = ['a', 'b', 'c', 'd'].map((name) => start(mode, name));
  const outputs = await Promise.all(children.map((process) => text(process.stdout)));
  return outputs.map((output) => output.split('\n').filter(Boolean));
}

it('gives no job to two of four processes that claim at once', async () => {
  const store = await openStore({ path, clock });
  const { jobs } = await plannedRun(
    store,
    push('a'.repeat(40)),
    Array.from({ length: 400 }, (_, i) => planned(`${i}`)),
  );
  for (const job of jobs) await store.runs.queue(job, 2000);
  const claimed = await four('claim');
  expect(claimed.flat().sort()).toEqual([...jobs].sort());
  for (const order of claimed) expect([...order].sort()).toEqual(order);
  await store.close();
});

it('makes one run a commit when four processes create it at once', async () => {
  await (await openStore({ path, clock })).close();
  const lines = (await four('create')).flat().map((line) => line.split(' '));
  expect(lines).toHaveLength(400);
  expect(lines.filter(([created]) => created === 'true')).toHaveLength(100);
  expect(new Set(lines.map(([, id]) => id)).size).toBe(100);
});

it('keeps every acknowledged delivery when the process is killed while it writes', async () => {
  const acknowledged = new Set<string>();
  for (let round = 0; round < 5; round += 1) {
    const process = start('write', `round${round}`);
    let output = '';
    process.stdout.setEncoding('utf8');
    process.stdout.on('data', (chunk: string) => {
      output += chunk;
      if (output.length > 2000 * (round + 1)) process.kill('SIGKILL');
    });
    await once(process, 'close');
    for (const guid of output.split('\n').slice(0, -1)) acknowledged.add(guid);
  }
  expect(acknowledged.size).toBeGreaterThan(500);
  const store = await openStore({ path, clock });
  for (const delivery of await store.deliveries.pending(1_000_000)) {
    expect(delivery.body.toString()).toBe(delivery.guid.repeat(100));
    acknowledged.delete(delivery.guid);
  }
  expect([...acknowledged]).toEqual([]);
  await store.close();
}, 60_000);
