import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { sendJson } from '#src/adapters/docker/proxy/forward.ts';
import type { Handler } from '#src/adapters/docker/proxy/handle.ts';
import { createProxyServer, type ProxyServer } from '#src/adapters/docker/proxy/server.ts';

let folder: string;
let path: string;
let server: ProxyServer;
let clients: Socket[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-proxy-'));
  path = join(folder, 's');
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function serve(handler: Handler): Promise<void> {
  server = createProxyServer(handler);
  await server.listen(path);
}

function dial(text = ''): Promise<Socket> {
  const client = connect(path);
  clients.push(client);
  client.on('error', () => {});
  // Nothing that isn't read is closed.
  client.resume();
  return new Promise((resolve) => {
    client.once('connect', () => {
      client.write(text);
      resolve(client);
    });
    client.once('close', () => resolve(client));
  });
}

function get(): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ socketPath: path, path: '/', agent: false }, (answer) => resolve(answer.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
}

/** What a connection says until it is closed. */
async function said(text: string): Promise<string> {
  const client = await dial(text);
  let answer = '';
  client.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  await new Promise<void>((resolve) => client.once('close', () => resolve()));
  return answer;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(20);
}

const well: Handler = async ({ response }) => sendJson(response, 200, {});

describe('the server of a job’s engine', () => {
  it('outlives a thousand connections that say nothing, or half of it', async () => {
    await serve(well);
    const halves = ['', 'GET / HT', 'POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf'];
    await Promise.all(Array.from({ length: 1000 }, (_, i) => dial(halves[i % halves.length])));
    await until(() => clients.filter((client) => !client.closed && !client.destroyed).length <= 128);
    for (const client of clients) client.destroy();
    await until(async () => (await get().catch(() => 0)) === 200);
  });

  it.each([
    ['a length and chunks', 'POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    ['an unknown coding', 'POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\nabc'],
    ['a header of 100 KB', `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`],
    ['a space before the colon', 'GET / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc'],
    ['a folded header', 'GET / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 3\r\n\r\nabc'],
  ])('refuses %s', async (_what, text) => {
    let calls = 0;
    await serve(async ({ response, request: asked }) => {
      // Whoever reads the body gets to the contradiction.
      for await (const _ of asked) calls += 0;
      calls++;
      sendJson(response, 200, {});
    });
    expect(await said(text)).toMatch(/^HTTP\/1\.1 4\d\d/);
    expect(calls).toBe(0);
  });

  it('tells its handler when the client goes, and does not wait for clients when it closes', async () => {
    const { promise: gone, resolve } = Promise.withResolvers<string>();
    await serve(({ gone: signal }) => {
      return new Promise((done) => {
        signal.addEventListener('abort', () => {
          resolve('gone');
          done();
        });
      });
    });
    const client = await dial('GET / HTTP/1.1\r\n\r\n');
    await sleep(50);
    client.destroy();
    expect(await gone).toBe('gone');
    await dial('GET / HTTP/1.1\r\n\r\n');
    await sleep(50);
    await server.close();
  });
});
