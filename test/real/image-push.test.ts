import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import Docker from 'dockerode';
import { push } from '#src/adapters/docker/build/push.ts';
import { engineError } from '#src/adapters/docker/build/wire.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { busyboxImage, docker } from './docker.ts';

const servers: Server[] = [];
const names: string[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
  for (const name of names.splice(0)) await docker.getImage(name).remove();
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Pushes a small image to a registry that answers so. */
async function pushTo(listener: RequestListener, signal = new AbortController().signal) {
  const repository = `127.0.0.1:${await serve(listener)}/acme/shop`;
  await docker.getImage(await busyboxImage()).tag({ repo: repository, tag: 'v1' });
  names.push(`${repository}:v1`);
  const lines: string[] = [];
  const options = { docker, credentialsOf: () => null, retryDelaysMs: [1, 1] };
  return { result: push(options, repository, 'v1', (line) => lines.push(line), signal), lines };
}

describe('a registry', () => {
  // 5xx the engine itself repeats for minutes before it says so.
  it.each([429])(
    'that answers %i is tried again, and is then the failure of the platform',
    async (status) => {
      const { result, lines } = await pushTo((_request, response) => {
        response.writeHead(status, { 'retry-after': '0' }).end('busy');
      });
      await expect(result).rejects.toBeInstanceOf(PlatformError);
      await expect(result).rejects.toThrow(/See that the registry runs/);
      expect(lines.filter((line) => line.includes('trying again'))).toHaveLength(2);
    },
    60_000,
  );

  it('that breaks connections off is tried again', async () => {
    const { result, lines } = await pushTo((request) => request.socket.destroy());
    await expect(result).rejects.toBeInstanceOf(PlatformError);
    expect(lines.filter((line) => line.includes('trying again'))).toHaveLength(2);
  }, 60_000);

  it.each([401, 403])(
    'that answers %i refuses, which is told at once',
    async (status) => {
      const { result, lines } = await pushTo((_request, response) => {
        const errors = [{ code: status === 401 ? 'UNAUTHORIZED' : 'DENIED', message: 'requested access is denied' }];
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
      });
      expect(await result).toMatchObject({ kind: 'refused' });
      expect(lines.filter((line) => line.includes('trying again'))).toEqual([]);
    },
    60_000,
  );

  it('that hangs does not keep a push from being stopped', async () => {
    const stop = new AbortController();
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const { result } = await pushTo(() => resolve(), stop.signal);
    result.catch(() => {});
    await asked;
    stop.abort(new Error('Cancelled by mona'));
    await expect(result).rejects.toThrow(/mona|abort/i);
  }, 20_000);
});

describe('an engine that dies in the middle of a push', () => {
  it.each([
    ['between records', '{"status":"Preparing"}\n'],
    ['within a record', '{"status":"Prep'],
  ])('%s, is the failure of the platform', async (_when, text) => {
    const port = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(text, () => response.socket?.destroy());
    });
    const engine = new Docker({ protocol: 'http', host: '127.0.0.1', port });
    const options = { docker: engine, credentialsOf: () => null, retryDelaysMs: [] };
    const error = await push(options, 'r.example/a', 'v1', () => {}, new AbortController().signal).catch(engineError);
    expect(error).toBeInstanceOf(PlatformError);
    expect((error as Error).message).toMatch(/Docker engine/);
  });
});

describe("the operator's credentials", () => {
  const given = { username: 'ci', password: 'wrong-password' };
  it.each([
    ['unauthorized: authentication required', given, true],
    ['unauthorized: incorrect username or password', given, true],
    ['denied: Your authorization token has expired. Reauthenticate and try again.', given, true],
    ['unauthorized: unauthorized to access repository: acme/shop, action: push', given, false],
    ['denied: requested access to the resource is denied', given, false],
    ['unauthorized: authentication required', null, false],
  ])("%j with %j: the platform's failure, for good: %j", async (message, credentials, isPlatform) => {
    const port = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify({ error: message })}\n`);
    });
    const engine = new Docker({ protocol: 'http', host: '127.0.0.1', port });
    const options = { docker: engine, credentialsOf: () => credentials, retryDelaysMs: [1] };
    const lines: string[] = [];
    const told = await push(options, 'r.example/a', 'v1', (it) => lines.push(it), new AbortController().signal).catch(
      (error: unknown) => error,
    );
    expect(told).toMatchObject(isPlatform ? { name: 'PlatformError', retry: 'never' } : { kind: 'refused' });
    const text = told instanceof Error ? told.message : JSON.stringify(told);
    expect(text).toContain('SLIPWAY_CONFIG');
    expect(text).not.toContain('wrong-password');
    expect(lines).toEqual([]);
  });
});
