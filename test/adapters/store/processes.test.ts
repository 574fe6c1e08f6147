import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { openStore } from '#src/adapters/store/store.ts';
import { planned, plannedRun, push } from '#test/contracts/store-fixtures.ts';
import { type Place, databases } from './databases.ts';

const child = fileURLToPath(new URL('child.ts', import.meta.url));
const clock = { now: () => Date.now() };

for (const each of databases) {
  describe(`on ${each.name}`, () => {
    let place: Place;
    let remove: () => Promise<void>;
    beforeAll(() => each.start(), 60_000);
    afterAll(() => each.end());
    beforeEach(async () => {
      ({ place, remove } = await each.make());
    });
    afterEach(() => remove());

    function start(mode: string, name: string) {
      return spawn(process.execPath, [child, mode, JSON.stringify(place), name], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
    }

    /** Output of four processes that do the same at once. */
    async function four(mode: string): Promise<string[][]> {
      const children = ['a', 'b', 'c', 'd'].map((name) => start(mode, name));
      const outputs = await Promise.all(children.map((process) => text(process.stdout)));
      return outputs.map((output) => output.split('\n').filter(Boolean));
    }

    it('is made once by four processes that start at once', async () => {
      expect(await four('open')).toEqual(Array.from({ length: 4 }, () => ['opened']));
      await (await openStore({ ...place, clock })).close();
    });

    it('gives no job to two of four processes that claim at once', async () => {
      const store = await openStore({ ...place, clock });
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
      await (await openStore({ ...place, clock })).close();
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
      const store = await openStore({ ...place, clock });
      for (const delivery of await store.deliveries.pending(1_000_000)) {
        expect(delivery.body.toString()).toBe(delivery.guid.repeat(100));
        acknowledged.delete(delivery.guid);
      }
      expect([...acknowledged]).toEqual([]);
      await store.close();
    }, 60_000);
  });
}
