import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long a client may take to say what it wants, milliseconds, and how much it may say before that, bytes. */
export const httpLimits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16 * 1024,
} as const satisfies ServerOptions;

/** Connections whose request isn't complete, those between two requests included. */
const mostWaiting = 1_000;

/**
 * Closes the connection that has kept the server waiting for longest whenever more than `most` of them do. A fixed
 * number of connections would be full of those that never say anything, and shut out everybody else.
 */
export function limitConnections(server: Server, most: number = mostWaiting): void {
  // In the order in which they began to wait.
  const waiting = new Set<Socket>();

  function add(socket: Socket): void {
    if (socket.destroyed) return;
    waiting.delete(socket);
    waiting.add(socket);
    const [oldest] = waiting;
    if (waiting.size > most && oldest) oldest.destroy();
  }

  server.on('connection', (socket: Socket) => {
    socket.once('close', () => waiting.delete(socket));
    add(socket);
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket, headers } = request;
    const arrived = () => waiting.delete(socket);
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) arrived();
    else request.once('end', arrived);
    response.once('close', () => add(socket));
  });
}
