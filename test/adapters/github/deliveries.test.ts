import { createHmac } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { type DeliveryRouteOptions, deliveryRoute } from '#src/adapters/github/deliveries.ts';
import type { Delivery } from '#src/engine/store.ts';
import { silent } from './support.ts';

const secret = 'a webhook secret';
const body = '{"zen":"Täglich grüßt das Murmeltier 🐹"}';
let server: Server | null = null;

afterEach(async () => {
  const open = server;
  server = null;
  if (!open) return;
  open.closeAllConnections();
  await new Promise((resolve) => open.close(resolve));
});

async function serve(change: Partial<DeliveryRouteOptions> = {}) {
  const stored = new Map<string, Delivery>();
  let told = 0;
  const next: RequestListener = (_request, response) => response.end('the rest');
  const listener = deliveryRoute({
    path: '/api/github/webhooks',
    secret,
    store: {
      async add(delivery) {
        if (stored.has(delivery.guid)) return false;
        stored.set(delivery.guid, delivery);
        return true;
      },
    },
    onStored: () => {
      told += 1;
    },
    next,
    logger: silent,
    ...change,
  });
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { stored, told: () => told, url: `http://127.0.0.1:${port}/api/github/webhooks` };
}

function sign(text: string): string {
  return `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;
}

function headers(change: Record<string, string | undefined> = {}): Record<string, string> {
  const all = {
    'content-type': 'application/json',
    'x-github-delivery': 'guid-1',
    'x-github-event': 'ping',
    'x-hub-signature-256': sign(body),
    ...change,
  };
  return Object.fromEntries(Object.entries(all).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
}

it('stores a genuine delivery as it came, then answers', async () => {
  const { stored, told, url } = await serve();
  const response = await fetch(`${url}?x=1`, { method: 'POST', headers: headers(), body });
  expect(response.status).toBe(202);
  expect(await response.json()).toEqual({ delivery: 'guid-1', state: 'stored' });
  expect(stored.get('guid-1')).toMatchObject({ event: 'ping', body: Buffer.from(body) });
  expect(told()).toBe(1);
});

it('knows a delivery that comes again', async () => {
  const { stored, told, url } = await serve();
  await fetch(url, { method: 'POST', headers: headers(), body });
  const response = await fetch(url, { method: 'POST', headers: headers(), body });
  expect(response.status).toBe(202);
  expect(await response.json()).toEqual({ delivery: 'guid-1', state: 'already known' });
  expect(stored.size).toBe(1);
  expect(told()).toBe(1);
});

it.each([
  ['no signature', 401, { 'x-hub-signature-256': undefined }],
  ['the old SHA-1 signature only', 401, { 'x-hub-signature-256': undefined, 'x-hub-signature': 'sha1=abc' }],
  ['a wrong signature', 401, { 'x-hub-signature-256': sign(`${body} `) }],
  ['half a signature', 401, { 'x-hub-signature-256': sign(body).slice(0, 20) }],
  ['no GUID', 400, { 'x-github-delivery': undefined }],
  ['an odd GUID', 400, { 'x-github-delivery': '../../etc' }],
  ['no event', 400, { 'x-github-event': undefined }],
  ['the wrong content type', 415, { 'content-type': 'application/x-www-form-urlencoded' }],
])('refuses %s with %i and stores nothing', async (_what, status, change) => {
  const { stored, told, url } = await serve();
  const response = await fetch(url, { method: 'POST', headers: headers(change), body });
  expect(response.status).toBe(status);
  expect(stored.size).toBe(0);
  expect(told()).toBe(0);
});

it('refuses an empty body', async () => {
  const { stored, url } = await serve();
  const response = await fetch(url, { method: 'POST', headers: headers() });
  expect(response.status).toBe(401);
  expect(stored.size).toBe(0);
});

it.each([
  ['said in advance', false],
  ['found out on the way', true],
])('refuses a body that is too large: %s', async (_what, chunked) => {
  const { stored, url } = await serve({ limits: { bytes: 1000 } });
  const text = 'x'.repeat(2000);
  const answer = fetch(url, {
    method: 'POST',
    headers: headers({ 'x-hub-signature-256': sign(text) }),
    body: chunked ? new Blob([text]).stream() : text,
    ...(chunked ? { duplex: 'half' } : {}),
  });
  expect((await answer).status).toBe(413);
  expect(stored.size).toBe(0);
});

it('refuses more bodies at once than it has memory for', async () => {
  const { url } = await serve({ limits: { inFlightBytes: 10 } });
  expect((await fetch(url, { method: 'POST', headers: headers(), body })).status).toBe(503);
});

it('gives up a body that does not end', async () => {
  const { url } = await serve({ limits: { receiveMs: 20 } });
  const endless = new ReadableStream({ start: (controller) => controller.enqueue(new TextEncoder().encode('{')) });
  const response = await fetch(url, {
    method: 'POST',
    headers: headers(),
    body: endless,
    duplex: 'half',
  });
  expect(response.status).toBe(408);
});

it('answers 503 if the delivery could not be stored, so that GitHub lists it as failed', async () => {
  const { told, url } = await serve({ store: { add: () => Promise.reject(new Error('disk full')) } });
  const response = await fetch(url, { method: 'POST', headers: headers(), body });
  expect(response.status).toBe(503);
  expect(await response.text()).not.toContain('disk full');
  expect(told()).toBe(0);
});

it('leaves everything else to the rest of the server', async () => {
  const { url } = await serve();
  expect(await (await fetch(url)).text()).toBe('the rest');
  expect(await (await fetch(`${url}/other`, { method: 'POST', body: 'x' })).text()).toBe('the rest');
});
