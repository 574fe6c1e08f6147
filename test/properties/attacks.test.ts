import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from '@jest/globals';
import { attacks } from './attacks.ts';

/** Each takes a second at most. What takes longer than this would take hours. */
const deadline = 25_000;

let worker: Worker | null = null;
afterAll(async () => {
  await worker?.terminate();
});

async function answer(name: string): Promise<unknown> {
  worker ??= new Worker(new URL('attacks.ts', import.meta.url));
  const asked = worker;
  const stop = new AbortController();
  const answered = once(asked, 'message', { signal: stop.signal }).then(([said]: unknown[]) => said);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  asked.postMessage(name);
  const late = sleep(deadline, 'it hangs', { signal: stop.signal });
  late.catch(() => undefined);
  answered.catch(() => undefined);
  const said = await Promise.race([answered, late]);
  stop.abort();
  if (said === 'it hangs') {
    worker = null;
    await asked.terminate();
  }
  return said;
}

describe('input made to be slow', () => {
  it.each(Object.keys(attacks))(
    'ends in time: %s',
    async (name) => {
      expect(await answer(name)).toBe('done');
    },
    deadline * 2,
  );
});
