import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerOptions } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { type DeliveryRouteOptions, deliveryRoute } from '#src/adapters/github/deliveries.ts';
import { startServer } from '#src/main.ts';
import { readSettings } from '#src/settings.ts';
import { httpLimits, limitConnections } from '#src/web/limits.ts';
import { planned, plannedRun, push } from '#test/contracts/store-fixtures.ts';
import { openSite } from './site.ts';

const secret = 'a webhook secret';
const path = '/api/github/webhooks';
const sign = (body: string | Buffer) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

const opened: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

/** The webhook's route on a server with the product's limits, or quicker ones. */
async function serve(
  change: Partial<DeliveryRouteOptions> = {},
  limits: ServerOptions & { readonly waiting?: number } = {},
): Promise<{ readonly port: number; readonly stored: Buffer[] }> {
  const stored: Buffer[] = [];
  const { waiting, ...options } = limits;
  const route = deliveryRoute({
    path,
    secret,
    store: { add: async ({ body }) => stored.push(body) > 0 },
    onStored: () => {},
    next: (_request, response) => response.writeHead(404).end(),
    logger: pino({ level: 'silent' }),
    ...change,
  });
  const server: Server = createServer({ ...httpLimits, ...options }, route);
  limitConnections(server, waiting);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, stored };
}

/** A connection that says exactly what it is told to; `answer` is all that came until the server closed it. */
function dial(port: number, ...parts: readonly (string | Buffer)[]): { socket: Socket; answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  opened.push(() => void socket.destroy());
  let text = '';
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.on('close', () => resolve(text));
  for (const part of parts) socket.write(part);
  return { socket, answer: promise };
}

function head(body: string | Buffer, change: Readonly<Record<string, string | null>> = {}, version = '1.1'): string {
  const headers: Record<string, string | null> = {
    Host: 'ci.example',
    'Content-Type': 'application/json',
    'Content-Length': `${Buffer.byteLength(body)}`,
    'X-GitHub-Delivery': 'guid-1',
    'X-GitHub-Event': 'push',
    'X-Hub-Signature-256': sign(body),
    Connection: 'close',
    ...change,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return `POST ${path} HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n`;
}

const status = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);

describe('a forged delivery', () => {
  const body = '{"ref":"refs/heads/main"}';
  const right = sign(body);

  it.each([
    ['no signature', { 'X-Hub-Signature-256': null }],
    ['an empty one', { 'X-Hub-Signature-256': '' }],
    ['only the algorithm', { 'X-Hub-Signature-256': 'sha256=' }],
    ['another algorithm', { 'X-Hub-Signature-256': right.replace('sha256', 'sha1') }],
    ['no algorithm', { 'X-Hub-Signature-256': right.slice(7) }],
    ['capitals', { 'X-Hub-Signature-256': right.toUpperCase() }],
    ['too long', { 'X-Hub-Signature-256': `${right}00` }],
    ['not hexadecimal', { 'X-Hub-Signature-256': `sha256=${'g'.repeat(64)}` }],
    ['a list of a wrong and the right one', { 'X-Hub-Signature-256': `sha256=${'0'.repeat(64)}, ${right}` }],
    ['the header twice', { 'X-Hub-Signature-256': `sha256=${'0'.repeat(64)}\r\nX-Hub-Signature-256: ${right}` }],
    ['of an empty secret', { 'X-Hub-Signature-256': `sha256=${createHmac('sha256', '').update(body).digest('hex')}` }],
  ])('is refused: %s', async (_what, change) => {
    const { port, stored } = await serve();
    expect(status(await dial(port, head(body, change), body).answer)).toBe(401);
    expect(stored).toEqual([]);
  });

  it('is compared byte by byte: bytes that decode to the same text are others', async () => {
    const { port, stored } = await serve();
    const genuine = Buffer.from('{"title":"\u{fffd}"}');
    const other = Buffer.from(genuine.toString('latin1').replace('\xef\xbf\xbd', '\xff'), 'latin1');
    expect(other.toString()).toBe(genuine.toString());
    expect(status(await dial(port, head(other, { 'X-Hub-Signature-256': sign(genuine) }), other).answer)).toBe(401);
    expect(stored).toEqual([]);
    expect(status(await dial(port, head(other), other).answer)).toBe(202);
    expect(stored).toEqual([other]);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonp', null])(
    'of the content type %s is refused',
    async (type) => {
      const { port, stored } = await serve();
      expect(status(await dial(port, head(body, { 'Content-Type': type }), body).answer)).toBe(415);
      expect(stored).toEqual([]);
    },
  );

  it('is refused before anything is parsed: a body that is no JSON gets the same answer', async () => {
    const { port } = await serve();
    const nothing = await dial(port, head('{', { 'X-Hub-Signature-256': right }), '{').answer;
    const json = await dial(port, head('{}', { 'X-Hub-Signature-256': right }), '{}').answer;
    expect(nothing.split('\r\n\r\n')[1]).toBe(json.split('\r\n\r\n')[1]);
  });
});

describe('a genuine delivery', () => {
  it('comes through in any form that HTTP allows', async () => {
    const { port, stored } = await serve();
    const body = '{"a":1}';
    const chunked = `3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n`;
    const lengths = { 'Content-Length': null, 'Transfer-Encoding': 'chunked' };
    expect(status(await dial(port, head(body, lengths), chunked).answer)).toBe(202);
    expect(status(await dial(port, head(body, {}, '1.0'), body).answer)).toBe(202);
    expect(status(await dial(port, head(body, { Expect: '100-continue' }), body).answer)).toBe(100);
    expect(stored).toHaveLength(3);
  });
});

describe('a body that lies about its length', () => {
  const room = { limits: { bytes: 1000 } };

  it('is cut off where it passes the limit, not where it ends', async () => {
    const { port, stored } = await serve(room);
    const lengths = { 'Content-Length': null, 'Transfer-Encoding': 'chunked' };
    const { socket, answer } = dial(port, head('', lengths));
    const timer = setInterval(() => socket.write(`ff\r\n${'x'.repeat(255)}\r\n`), 1);
    expect(status(await answer)).toBe(413);
    clearInterval(timer);
    expect(stored).toEqual([]);
  });

  it.each([
    ['more than it sends', { 'Content-Length': '999' }, 408],
    ['less than it sends', { 'Content-Length': '5' }, 400],
    ['more than the limit', { 'Content-Length': '99999999999999' }, 413],
    ['a negative number', { 'Content-Length': '-1' }, 400],
    ['no number', { 'Content-Length': '1e3' }, 400],
    ['two lengths', { 'Content-Length': '5\r\nContent-Length: 6' }, 400],
    ['a length and chunks', { 'Transfer-Encoding': 'chunked' }, 400],
  ])('%s', async (_what, change, expected) => {
    const { port, stored } = await serve({ limits: { ...room.limits, receiveMs: 50 } });
    expect(status(await dial(port, `${head('{"a":"b"}', change)}{"a":"b"}`).answer)).toBe(expected);
    expect(stored).toEqual([]);
  });
});

describe('slow clients', () => {
  const quick = { headersTimeout: 50, requestTimeout: 100, connectionsCheckingInterval: 10 };

  it.each([
    ['say nothing', ''],
    ['never end their headers', `POST ${path} HTTP/1.1\r\nHost: ci.example\r\n`],
    ['never end a form', 'POST /sign-in HTTP/1.1\r\nHost: ci.example\r\nContent-Length: 100\r\n\r\ntoken='],
    ['never end a delivery', `${head('', { 'Content-Length': '100' })}{`],
  ])('that %s are cut off', async (_what, said) => {
    // Waits for the body, as the form parser of the pages does.
    const next: DeliveryRouteOptions['next'] = (request, response) => request.on('end', () => response.end()).resume();
    const { port } = await serve({ next, limits: { receiveMs: 100 } }, quick);
    expect([0, 408]).toContain(status(await dial(port, said).answer));
  });

  it("in any number don't keep out a delivery", async () => {
    const { port, stored } = await serve({}, { waiting: 20 });
    const silent = Array.from({ length: 100 }, () => dial(port, 'POST / HTTP/1.1\r\nHost:'));
    const half = Array.from({ length: 100 }, () => dial(port, `${head('', { 'Content-Length': '1000' })}{`));
    await Promise.all([...silent, ...half].map(({ socket }) => once(socket, 'connect')));
    const body = '{}';
    expect(status(await dial(port, head(body), body).answer)).toBe(202);
    expect(stored).toHaveLength(1);
    await Promise.all(silent.map(({ answer }) => answer));
  });

  it("that hold all memory for bodies don't keep out a delivery", async () => {
    const { port, stored } = await serve({ limits: { inFlightBytes: 10_000 } });
    const hoarders = Array.from({ length: 10 }, () =>
      dial(port, head('', { 'Content-Length': '5000' }), 'x'.repeat(4_000)),
    );
    const ended: string[] = [];
    for (const { answer } of hoarders) void answer.then((text) => ended.push(text));
    while (ended.length < 8) await sleep(5);
    const body = JSON.stringify({ title: 'y'.repeat(5_000) });
    expect(status(await dial(port, head(body), body).answer)).toBe(202);
    expect(stored).toHaveLength(1);
  });
});

describe('the server as a whole', () => {
  async function start(): Promise<string> {
    const home = await mkdtemp(join(tmpdir(), 'slipway-attacks-'));
    const settings = readSettings({ SLIPWAY_HOME: home, PORT: '0', HOST: '127.0.0.1', LOG_LEVEL: 'silent' });
    const server = await startServer(settings, pino({ level: 'silent' }));
    opened.push(async () => {
      await server.close();
      await rm(home, { recursive: true });
    });
    return server.url;
  }

  it('limits headers, cuts off who waits, and says nothing of what it is made of', async () => {
    const url = new URL(await start());
    const port = Number(url.port);
    const request = (line: string, extra = '') => `${line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${extra}\r\n`;
    expect(status(await dial(port, request('GET /healthz', `X: ${'y'.repeat(17_000)}\r\n`)).answer)).toBe(431);
    const first = dial(port);
    await once(first.socket, 'connect');
    const others = Array.from({ length: 1_000 }, () => dial(port));
    expect(await first.answer).toBe('');
    for (const { socket } of others) socket.destroy();
    for (const line of ['GET /setup', 'GET /%ff', 'GET //', 'GET /%', 'POST /setup', 'DELETE /', 'GET /../../etc']) {
      const answer = await dial(port, request(line)).answer;
      expect(status(answer)).toBeLessThan(500);
      expect(answer).not.toMatch(/express|node|probot|x-powered-by|^server:|node_modules|\bat .*:\d+/im);
    }
  });
});

describe('odd addresses', () => {
  it.each([
    ['/%ff', 404],
    ['//', 200],
    ['//evil.example/', 404],
    ['/%2e%2e/%2e%2e/etc/passwd', 404],
    ['/../../etc/passwd', 404],
    ['/assets/../../../package.json', 404],
    ['/assets/%2e%2e%2fapp.ts', 404],
    [`/${'a'.repeat(10_000)}`, 404],
    ['/runs/%00', 404],
    ['/runs/%ff?s=%ff', 400],
    ['/runs/__proto__?s=x', 404],
    ['/badge/%ff/x.svg', 400],
    ['/badge/a/..%2f..%2fx.svg', 200],
    ['/?before[__proto__][x]=1', 200],
    ['/?before=%ff', 200],
    ['/runs/x/jobs/y/log?attempt=99999999999999999999', 404],
    ['/\\..\\..', 404],
    ['http://evil.example/', 200],
    ['*', 404],
  ])('%s is answered quietly: %i', async (target, expected) => {
    await using site = await openSite();
    const port = Number(new URL(site.url).port);
    const said = `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    const answer = await dial(port, said).answer;
    expect(status(answer)).toBe(expected);
    expect(answer).not.toMatch(/node_modules|URIError|\bat .*:\d+/);
    expect(site.errors).toEqual([]);
  });

  it.each(['PUT', 'DELETE', 'PATCH', 'POST', 'TRACE', 'PROPFIND'])('%s of a page changes nothing', async (method) => {
    await using site = await openSite();
    const { id } = await plannedRun(site.store, push('a'.repeat(40)), [planned('a')]);
    const url = new URL(site.links.run(id));
    const said = `${method} ${url.pathname}${url.search} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
    expect(status(await dial(Number(url.port), said).answer)).toBe(404);
  });

  it('HEAD is answered as GET is, at once, also where GET would go on', async () => {
    await using site = await openSite();
    const { id, jobs } = await plannedRun(site.store, push('a'.repeat(40)), [planned('a')]);
    const events = site.links.run(id).replace('?', '/events?');
    for (const url of [site.url, site.links.run(id), site.links.job(id, jobs[0] ?? ''), events]) {
      const response = await fetch(url, { method: 'HEAD' });
      expect([response.status, await response.text()]).toEqual([200, '']);
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    }
  });
});
