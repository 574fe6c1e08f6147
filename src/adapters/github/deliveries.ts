import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { DeliveryStore } from '#src/engine/store.ts';

export interface DeliveryRouteOptions {
  /** Path of the webhook, exact. */
  readonly path: string;
  readonly secret: string;
  readonly store: Pick<DeliveryStore, 'add'>;
  /** Told after each new delivery is stored and answered. */
  readonly onStored: () => void;
  /** Takes every other request. */
  readonly next: RequestListener;
  readonly logger: Logger;
  readonly limits?: Partial<typeof defaultLimits>;
}

/** 25 MB is GitHub's own limit of a payload; it waits 10 s for an answer. */
const defaultLimits = {
  /** Bytes of one body. */
  bytes: 25 * 1024 * 1024,
  /** Bytes of all bodies that are being received: nobody is authenticated before the last byte. */
  inFlightBytes: 200 * 1024 * 1024,
  /** Milliseconds in which a body must have arrived. */
  receiveMs: 10_000,
};

/**
 * The request listener that stands before everything else: verifies a delivery, stores it durably and
 * only then answers. 202 stored or known already, 400 headers missing, 401 signature missing or wrong (nothing
 * is stored), 408 too slow, 413 too large, 415 not JSON, 503 it couldn't be stored: GitHub then lists it as failed.
 * Nothing of a body is decoded before its signature was found to fit. It is no Express route because Express costs a third of what this path takes.
 */
export function deliveryRoute(options: DeliveryRouteOptions): RequestListener {
  const limits = { ...defaultLimits, ...options.limits };
  /** Bodies on the way, in the order in which they began. */
  const receiving = new Set<Receiving>();
  let inFlight = 0;
  let warnedAt = 0;

  return (request, response) => {
    if (request.method !== 'POST' || pathOf(request) !== options.path) {
      options.next(request, response);
      return;
    }
    const headers = headersOf(request);
    if (typeof headers === 'string') return refuse(response, 400, headers);
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
      return refuse(response, 415, 'Set the content type of the webhook to application/json.');
    }
    if (headers.signature === null) return refuse(response, 401, 'The header X-Hub-Signature-256 is missing.');
    const { guid, event, signature } = headers;
    if (Number(request.headers['content-length'] ?? 0) > limits.bytes) return refuse(response, 413, 'Over 25 MB.');
    receive(request, response, (body) => {
      store(guid, event, signature, body, response).catch((error: unknown) => {
        options.logger.error({ err: error, guid }, 'A delivery could not be stored; GitHub lists it as failed.');
        answer(response, 503, { error: 'The delivery could not be stored. Redeliver it later.' });
      });
    });
  };

  /** Collects the body and hands it on once, unless it is refused on the way. */
  function receive(request: IncomingMessage, response: ServerResponse, done: (body: Buffer) => void): void {
    const chunks: Buffer[] = [];
    let size = 0;
    let open = true;
    const timer = setTimeout(() => stop(408, 'The body took too long.'), limits.receiveMs);
    const self: Receiving = { giveUp: () => stop(503, 'Too many deliveries at once.') };
    receiving.add(self);
    const close = () => {
      if (!open) return;
      open = false;
      receiving.delete(self);
      clearTimeout(timer);
      inFlight -= size;
    };
    const stop = (status: number, message: string) => {
      close();
      chunks.length = 0;
      refuse(response, status, message);
    };
    request.on('data', (chunk: Buffer) => {
      if (!open) return;
      size += chunk.length;
      inFlight += chunk.length;
      chunks.push(chunk);
      if (size > limits.bytes) stop(413, 'Over 25 MB.');
      // Whoever sends slowly on purpose goes first; it may be this one.
      for (const each of receiving) if (inFlight > limits.inFlightBytes) each.giveUp();
    });
    request.on('end', () => {
      if (!open) return;
      close();
      done(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    });
    request.on('close', close);
    request.on('error', close);
  }

  async function store(
    guid: string,
    event: string,
    signature: string,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    if (body.length === 0 || !isGenuine(options.secret, body, signature)) {
      warnOfForgery(event);
      return refuse(response, 401, "The signature doesn't fit the webhook's secret.");
    }
    const added = await options.store.add({ guid, event, body, receivedAt: Date.now() });
    answer(response, 202, { delivery: guid, state: added ? 'stored' : 'already known' });
    if (added) options.onStored();
  }

  /** Once a minute: anybody can send forged deliveries, and may not fill the log with them. */
  function warnOfForgery(event: string): void {
    if (Date.now() - warnedAt < 60_000) return;
    warnedAt = Date.now();
    options.logger.warn({ event }, 'A delivery was refused: its signature does not fit WEBHOOK_SECRET.');
  }
}

interface Receiving {
  giveUp(): void;
}

/** Compares over the bytes as they came, in a time that doesn't depend on where the signatures differ. */
function isGenuine(secret: string, body: Buffer, signature: string): boolean {
  const given = /^sha256=([0-9a-f]{64})$/.exec(signature)?.[1];
  if (given === undefined) return false;
  return timingSafeEqual(createHmac('sha256', secret).update(body).digest(), Buffer.from(given, 'hex'));
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '';
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** The headers that GitHub always sends, or a sentence on what is wrong with them. */
function headersOf(
  request: IncomingMessage,
): { readonly guid: string; readonly event: string; readonly signature: string | null } | string {
  const guid = request.headers['x-github-delivery'];
  const event = request.headers['x-github-event'];
  const signature = request.headers['x-hub-signature-256'];
  if (typeof guid !== 'string' || !/^[\w-]{1,64}$/.test(guid)) return 'The header X-GitHub-Delivery is missing or odd.';
  if (typeof event !== 'string' || !/^[a-z_]{1,64}$/.test(event)) return 'The header X-GitHub-Event is missing or odd.';
  return { guid, event, signature: typeof signature === 'string' ? signature : null };
}

/** Refuses and, where a body may still be coming, ends the connection: it isn't worth reading. */
function refuse(response: ServerResponse, status: number, message: string): void {
  if (!response.req.complete) response.setHeader('connection', 'close');
  answer(response, status, { error: message });
}

function answer(response: ServerResponse, status: number, content: Readonly<Record<string, string>>): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(content);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
  });
  response.end(text);
}
