import { createServer, type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Exchange } from './forward.ts';
import type { Handler } from './handle.ts';

/** Connections of one job at once; more are closed at once. */
const MOST_CONNECTIONS = 128;
/** For the head of a request, and for a connection that says nothing, milliseconds. */
const HEAD_DEADLINE = 15_000;
/** A connection without a request is kept so long, milliseconds: clients keep theirs for the next. */
const KEEP_ALIVE = 120_000;
/** What is under way when a job ends is waited for so long, milliseconds. */
const LAST_CALLS = 30_000;

export interface ProxyServer {
  /** Path of a socket that isn't there yet. */
  listen(path: string): Promise<void>;
  /** Takes no more, cuts off every client, and waits for what would change something on the engine. */
  close(): Promise<void>;
}

/** An HTTP server for one job's clients: nothing that it was sent goes further without the handler. */
export function createProxyServer(handler: Handler): ProxyServer {
  const sockets = new Set<Socket>();
  const running = new Set<Promise<void>>();

  function serve(request: IncomingMessage, response: ServerResponse, upgrade: Duplex | null): void {
    const gone = new AbortController();
    const { socket } = request;
    const end = () => gone.abort(new Error('the client went away'));
    // The response closes with each exchange, the socket only with the client.
    response.once('close', () => {
      socket.off('close', end);
      if (!response.writableFinished && upgrade === null) end();
    });
    socket.once('close', end);
    const exchange: Exchange = { request, response, upgrade, gone: gone.signal };
    const task: Promise<void> = handler(exchange)
      .catch(() => {
        socket.destroy();
      })
      .finally(() => running.delete(task));
    running.add(task);
  }

  const server = createServer(
    {
      maxHeaderSize: 64 * 1024,
      headersTimeout: HEAD_DEADLINE,
      // Uploads take their time; bodies that are read whole have a deadline of their own.
      requestTimeout: 0,
      connectionsCheckingInterval: 5000,
      keepAliveTimeout: KEEP_ALIVE,
      // Clients of sockets send what they like.
      requireHostHeader: false,
    },
    (request, response) => serve(request, response, null),
  );
  server.maxHeadersCount = 100;
  server.maxConnections = MOST_CONNECTIONS;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {});
    if (head.length > 0) socket.unshift(head);
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    // All that it does is to write.
    response.assignSocket(socket as Socket);
    response.once('finish', () => socket.end());
    serve(request, response, socket);
  });

  return {
    listen: (path) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(path, () => {
          server.off('error', reject);
          server.on('error', () => {});
          resolve();
        });
      }),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, LAST_CALLS);
      await Promise.race([Promise.allSettled(running), late.promise]);
      clearTimeout(timer);
    },
  };
}
