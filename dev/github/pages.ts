import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Hub } from './pulls.ts';
export async function servePage(
  _hub: Hub,
  _request: IncomingMessage,
  response: ServerResponse,
  _url: URL,
): Promise<void> {
  response.writeHead(404);
  response.end();
}
