import { openStore } from '#src/adapters/store/store.ts';
import { push, shop } from '#test/contracts/store-fixtures.ts';
import type { Place } from './databases.ts';

/** A process of its own on a database: `node child.ts MODE PLACE NAME`. What it did goes to its output, a line each. */
const [mode, place = '', name = ''] = process.argv.slice(2);
const store = await openStore({ ...(JSON.parse(place) as Place), clock: { now: () => Date.now() } });

if (mode === 'claim') {
  let job = await store.runs.claim(name, ['script'], Date.now());
  while (job) {
    console.log(job.id);
    job = await store.runs.claim(name, ['script'], Date.now());
  }
} else if (mode === 'create') {
  for (let i = 0; i < 100; i += 1) {
    const trigger = push(`${i}`.padStart(40, '0'));
    const { run, created } = await store.runs.create({ repository: shop, trigger, pullRequest: null, at: Date.now() });
    console.log(`${created} ${run.id}`);
  }
} else if (mode === 'open') {
  console.log('opened');
} else if (mode === 'echo') {
  // Answers each word it hears until it hears its name; its own words must not come back to it.
  const { promise, resolve } = Promise.withResolvers<void>();
  const awake = setInterval(() => {}, 60_000);
  store.signals.listen('jobs', (subject) => {
    if (subject === name) resolve();
    else store.signals.send('run', subject);
  });
  console.log('ready');
  await promise;
  clearInterval(awake);
} else {
  // Writes without end until it is killed; tells a delivery only once it was acknowledged.
  for (let i = 0; ; i += 10) {
    const guids = Array.from({ length: 10 }, (_, k) => `${name}-${i + k}`);
    await Promise.all(
      guids.map(async (guid) => {
        const body = Buffer.from(guid.repeat(100));
        await store.deliveries.add({ guid, event: 'push', body, receivedAt: Date.now() });
        console.log(guid);
      }),
    );
  }
}
await store.close();
