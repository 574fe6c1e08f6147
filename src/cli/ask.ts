import { harmless } from '#src/model/harmless.ts';
import { type ApiRequests, doneShape } from '#src/web/api-shapes.ts';
import { openServer, type ServerOptions } from './server.ts';

/** Asks the server for it, and prints what came of it: what is done, and where that can be watched. */
export async function askServer<Name extends keyof ApiRequests>(
  name: Name,
  asked: Omit<ApiRequests[Name], 'repository'>,
  options: ServerOptions,
): Promise<void> {
  const server = await openServer(options);
  const { message, run } = await server.post(`/api/${name}`, { repository: server.repository, ...asked }, doneShape);
  console.log(message.split('\n').map(harmless).join('\n'));
  if (run !== undefined && !message.includes(run)) console.log(harmless(run));
}
