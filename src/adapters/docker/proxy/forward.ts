import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { EngineRequest } from './contract.ts';
import { ANSWER_LIMIT, type Engine, parse, readWhole, unreachable } from './engine.ts';
import { eachRecord, joinSockets } from './streams.ts';

/** A request of the client on its way. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What follows the request, body and all, if the client asks to go on in another protocol. */
  readonly upgrade: Duplex | null;
  /** Aborted when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
}

export interface Changes {
  readonly answer: (json: unknown) => unknown;
  readonly event: (json: unknown) => unknown;
  readonly errorMessage: (message: string) => string;
  /** Called with the engine's answer to an `answer: 'json'`, before the client gets it. */
  readonly done?: (json: unknown) => Promise<unknown>;
  /** Sees the bytes of a streamed answer. */
  readonly watch?: (bytes: Buffer) => void;
}

export interface Sent {
  /** Of the engine's answer. */
  readonly status: number;
}

/** Headers of the engine's answers that clients use. What frames an answer is our own. */
const ANSWER_HEADERS = [
  'content-type',
  'api-version',
  'builder-version',
  'docker-experimental',
  'ostype',
  'server',
  'swarm',
  'cache-control',
  'x-docker-container-path-stat',
];
/** Bytes of an error. */
const ERROR_LIMIT = 256 * 1024;

/**
 * Sends an order to the engine and its answer to the client. What changes something is awaited to its end even if the
 * client goes away, so that nothing comes into being after a job was cleaned up; streams end with the client.
 */
export async function forward(
  engine: Engine,
  order: EngineRequest,
  headers: Readonly<Record<string, string | readonly string[]>>,
  exchange: Exchange,
  changes: Changes,
): Promise<Sent> {
  const { request, upgrade, gone } = exchange;
  const hijack = order.answer === 'hijack' && upgrade !== null;
  const json = typeof order.body === 'object' ? JSON.stringify(order.body.json) : null;
  const call = engine.request({
    method: order.method,
    path: order.path,
    hijack,
    headers: {
      ...headers,
      ...framing(order, json),
      ...(hijack ? { connection: 'Upgrade', upgrade: request.headers.upgrade === 'h2c' ? 'h2c' : 'tcp' } : {}),
    },
  });
  const abort = () => call.destroy(new Error('the client went away'));
  // A body that breaks off has no end that could be waited for.
  if (order.answer !== 'json' || order.body === 'stream') gone.addEventListener('abort', abort, { once: true });
  const answered: Promise<Answer> = firstAnswer(call);
  // It is awaited below, after the body is on its way.
  answered.catch(() => {});
  if (order.body === 'stream') request.pipe(call);
  else call.end(json ?? '');
  try {
    const { answer, socket } = await answered.catch((error: unknown) => {
      throw unreachable(error);
    });
    if (socket) {
      await switchProtocols(exchange, answer, socket);
      return { status: 101 };
    }
    await pass(order, answer, exchange, changes);
    return { status: answer.statusCode ?? 0 };
  } finally {
    gone.removeEventListener('abort', abort);
    request.unpipe(call);
    // Of an answer that came before the whole body was sent. After a whole exchange it changes nothing.
    if (order.answer !== 'json') call.destroy();
  }
}

/** The engine takes parameters from a form in the body, so what kind of body it is says nobody but we. */
function framing(order: EngineRequest, json: string | null): Record<string, string> {
  if (json !== null) return { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(json)) };
  if (order.body === 'stream') return { 'content-type': 'application/x-tar', 'transfer-encoding': 'chunked' };
  return order.method === 'POST' || order.method === 'PUT' ? { 'content-length': '0' } : {};
}

interface Answer {
  readonly answer: IncomingMessage;
  /** If the engine changed the protocol. */
  readonly socket: Duplex | null;
}

function firstAnswer(call: ClientRequest): Promise<Answer> {
  return new Promise<Answer>((resolve, reject) => {
    call.on('error', reject);
    call.once('response', (answer) => resolve({ answer, socket: null }));
    call.once('upgrade', (answer, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve({ answer, socket });
    });
  });
}

async function switchProtocols(
  { upgrade, response }: Exchange,
  answer: IncomingMessage,
  engine: Duplex,
): Promise<void> {
  if (upgrade === null || upgrade.destroyed) {
    engine.destroy();
    return;
  }
  response.detachSocket(upgrade as Socket);
  const protocol = answer.headers.upgrade === 'h2c' ? 'h2c' : 'tcp';
  const type = answer.headers['content-type'];
  const lines = ['HTTP/1.1 101 UPGRADED', 'Connection: Upgrade', `Upgrade: ${protocol}`];
  if (type !== undefined) lines.push(`Content-Type: ${type}`);
  upgrade.write(`${lines.join('\r\n')}\r\n\r\n`);
  await joinSockets(upgrade, engine);
}

async function pass(
  order: EngineRequest,
  answer: IncomingMessage,
  exchange: Exchange,
  changes: Changes,
): Promise<void> {
  const { response, request, gone } = exchange;
  const status = answer.statusCode ?? 502;
  for (const name of ANSWER_HEADERS) {
    const value = answer.headers[name];
    if (value !== undefined) response.setHeader(name, value);
  }
  if (status >= 400) return passError(status, answer, exchange, changes);
  if (request.method === 'HEAD' || status === 204 || status === 304) {
    answer.resume();
    if (order.answer === 'json') await changes.done?.(null);
    response.writeHead(status).end();
    return;
  }
  if (order.answer === 'json') {
    const bytes = await readWhole(answer, ANSWER_LIMIT);
    const json = parse(bytes.toString('utf8'));
    const whole = (await changes.done?.(json)) ?? json;
    // Some answer with a word (`OK` of _ping), some with nothing.
    if (json === null) return void response.writeHead(status).end(bytes);
    const text = JSON.stringify(changes.answer(whole));
    response.writeHead(status, { 'content-length': Buffer.byteLength(text) }).end(text);
    return;
  }
  response.writeHead(status);
  // The client may wait for the head before it goes on: `docker run` does, with the answer to its wait.
  response.flushHeaders();
  if (changes.watch) answer.on('data', changes.watch);
  if (order.answer === 'events') await pipeline(answer, eachRecord(changes.event), response, { signal: gone });
  else await pipeline(answer, response, { signal: gone });
}

async function passError(status: number, answer: IncomingMessage, exchange: Exchange, changes: Changes): Promise<void> {
  const { response, request } = exchange;
  if (request.method === 'HEAD') {
    answer.resume();
    response.writeHead(status).end();
    return;
  }
  const bytes = await readWhole(answer, ERROR_LIMIT);
  const said = (parse(bytes.toString('utf8')) as { message?: unknown } | null)?.message;
  const message = typeof said === 'string' ? said : `The Docker engine answered ${status}.`;
  sendJson(response, status, { message: changes.errorMessage(message) });
}

export function sendJson(response: ServerResponse, status: number, json: unknown): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  if (json === null || status === 204) return void response.writeHead(status).end();
  const text = `${JSON.stringify(json)}\n`;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
