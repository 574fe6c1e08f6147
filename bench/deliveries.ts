import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import examples from '@octokit/webhooks-examples' with { type: 'json' };
import { sign, verify } from '@octokit/webhooks-methods';
import { pino } from 'pino';
import { Probot } from 'probot';
import { deliveryRoute } from '#src/adapters/github/deliveries.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { interleave, median, type Row } from './measure.ts';

const secret = 'bench';
const seconds = 1;

/**
 * Deliveries a second, each verified, stored with fsync and answered, against a bare server which verifies and
 * commits in groups; and against a bare Probot handler that stores nothing.
 */
export async function deliveries(rounds: number): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-bench-'));
  const store = await openStore({ path: join(folder, 'slipway.db'), clock: { now: Date.now } });
  const logger = pino({ level: 'silent' });
  const ours = await listen(
    deliveryRoute({ path: '/hook', secret, store: store.deliveries, onStored: () => {}, next: notFound, logger }),
  );
  const bare = await listen(bareServer(join(folder, 'bare.db')));
  const probot = await listen(await bareProbot());
  const push = (examples as unknown as readonly { name: string; examples: readonly unknown[] }[]).find(
    (e) => e.name === 'push',
  )?.examples[0];
  const body = JSON.stringify(push);
  const signature = await sign(secret, body);
  const rows: Row[] = [];
  try {
    for (const connections of [1, 10, 100]) {
      const servers = connections === 100 ? [ours, bare, probot] : [ours, bare];
      const [a = [], b = [], c = []] = await interleave(
        rounds,
        1,
        servers.map((server) => () => load(server, connections, body, signature)),
      );
      const target = { atLeast: 0.8 };
      rows.push({
        name: `deliveries, ${connections} ${connections === 1 ? 'connection' : 'connections'}, against a bare server`,
        ours: median(a),
        floor: median(b),
        unit: '1/s',
        target,
        samples: rounds,
      });
      if (c.length > 0) {
        rows.push({
          name: `deliveries, ${connections} ${connections === 1 ? 'connection' : 'connections'}, against bare Probot`,
          ours: median(a),
          floor: median(c),
          unit: '1/s',
          target: { atLeast: 0.6 },
          samples: rounds,
        });
      }
    }
    return rows;
  } finally {
    for (const server of [ours, bare, probot]) {
      server.closeAllConnections();
      server.close();
    }
    await store.close();
    await rm(folder, { recursive: true });
  }
}

async function listen(listener: RequestListener): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

const notFound: RequestListener = (_request, response) => {
  response.writeHead(404).end();
};

/** The floor: verifies, collects what came in one turn of the event loop, and answers after its one fsync. */
function bareServer(path: string): RequestListener {
  const db = new DatabaseSync(path);
  db.exec(
    'PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE deliveries (guid TEXT PRIMARY KEY, event TEXT, body BLOB)',
  );
  const insert = db.prepare('INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?)');
  let batch: { guid: string; event: string; body: Buffer; done: () => void }[] = [];
  const commit = (): void => {
    const taken = batch;
    batch = [];
    db.exec('BEGIN');
    for (const { guid, event, body } of taken) insert.run(guid, event, body);
    db.exec('COMMIT');
    for (const { done } of taken) done();
  };
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      void verify(secret, body.toString(), String(request.headers['x-hub-signature-256'])).then((valid) => {
        if (!valid) {
          response.writeHead(401).end();
          return;
        }
        const done = (): void => {
          response.writeHead(202).end('{}');
        };
        if (batch.length === 0) setImmediate(commit);
        batch.push({
          guid: String(request.headers['x-github-delivery']),
          event: String(request.headers['x-github-event']),
          body,
          done,
        });
      });
    });
  };
}

async function bareProbot(): Promise<RequestListener> {
  const probot = new Probot({ appId: 1, privateKey: 'none', secret, logLevel: 'fatal' });
  await probot.ready();
  probot.on('push', () => {});
  const { createNodeMiddleware } = await import('@octokit/webhooks');
  const middleware = createNodeMiddleware(probot.webhooks, { path: '/hook' });
  return (request, response) => void middleware(request, response);
}

/** Deliveries answered a second. The load comes from a thread of its own. */
function load(server: Server, connections: number, body: string, signature: string): Promise<number> {
  const { port } = server.address() as AddressInfo;
  const worker = new Worker(new URL('load.ts', import.meta.url), {
    workerData: { url: `http://127.0.0.1:${port}/hook`, connections, seconds, body, signature },
  });
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}
