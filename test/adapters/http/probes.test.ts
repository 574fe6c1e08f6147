import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { isForbidden } from '#src/adapters/http/ask.ts';
import { openProbes } from '#src/adapters/http/probes.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';

let server: Server | null = null;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  server = null;
});
const never = new AbortController().signal;

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => {
    server?.listen(0, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
const probes = (deadlineMs = 5000) => openProbes({ servers: new Map(), deadlineMs });

describe('a probe', () => {
  it('is told status and body', async () => {
    const url = await serve((request, response) => response.writeHead(418).end(`${request.method} ${request.url}`));
    expect(await probes().get(`${url}/health?deep=1`, never)).toEqual({ status: 418, body: 'GET /health?deep=1' });
  });

  it('follows no redirect', async () => {
    const url = await serve((request, response) =>
      response.writeHead(302, { location: '/elsewhere' }).end(request.url),
    );
    expect(await probes().get(`${url}/`, never)).toEqual({ status: 302, body: '/' });
  });

  it('reads 64 KB and no more', async () => {
    const url = await serve((_request, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(10_000)));
        response.once('drain', more);
      };
      more();
    });
    expect((await probes().get(url, never)).body).toHaveLength(65_536);
  });

  it('takes no proxy from the environment', async () => {
    const url = await serve((_request, response) => response.end('direct'));
    const before = { ...process.env };
    Object.assign(process.env, {
      HTTP_PROXY: 'http://127.0.0.1:9',
      http_proxy: 'http://127.0.0.1:9',
      NODE_USE_ENV_PROXY: '1',
    });
    try {
      expect(await probes().get(url, never)).toMatchObject({ body: 'direct' });
    } finally {
      process.env = before;
    }
  });

  it.each([
    ['never answers', () => {}],
    ['never ends', (_request: unknown, response: { write(text: string): void }) => response.write('x')],
  ] as [string, RequestListener][])('ends at its deadline where the server %s', async (_name, listener) => {
    const url = await serve(listener);
    await expect(probes(100).get(url, never)).rejects.toThrow(/gave no answer within 0.1 s/);
  });

  it('ends when asked to', async () => {
    const url = await serve(() => {});
    const stop = new AbortController();
    const asked = probes().get(url, stop.signal);
    stop.abort(new Error('Cancelled.'));
    await expect(asked).rejects.toThrow('Cancelled.');
  });

  it('says that nobody is there, without the path', async () => {
    const url = await serve(() => {});
    await new Promise((resolve) => server?.close(resolve));
    const failed = probes().get(`${url}/secret`, never);
    await expect(failed).rejects.toThrow(PlatformError);
    await expect(failed).rejects.toThrow(/^http:\/\/127\.0\.0\.1:\d+ can't be reached \(ECONNREFUSED\)\.$/);
  });

  it('says that the answer broke off', async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('x');
      setImmediate(() => response.destroy());
    });
    await expect(probes().get(url, never)).rejects.toThrow(/can't be reached/);
  });

  it.each([
    'http://169.254.169.254/latest/meta-data',
    'http://2852039166/',
    'http://0xa9fea9fe/',
    'http://[fe80::1]/',
    'http://[::ffff:169.254.169.254]/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
  ])('never asks %s', async (url) => {
    await expect(probes().get(url, never)).rejects.toThrow(UserError);
    await expect(probes().get(url, never)).rejects.toThrow(/never asked/);
  });

  it.each([
    ['a metadata address', ['169.254.169.254']],
    ['one among others', ['127.0.0.1', 'fe80::1']],
  ])('never asks a name that leads to %s', async (_name, addresses) => {
    const url = await serve((_request, response) => response.end('reached'));
    const asked = openProbes({
      servers: new Map(),
      resolve: (_hostname, _options, callback) => {
        callback(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        );
      },
    }).get(url.replace('127.0.0.1', 'shop.example.com'), never);
    await expect(asked).rejects.toThrow(UserError);
  });

  it.each(['ftp://shop/', 'file:///etc/passwd'])('never asks %s', async (url) => {
    await expect(probes().get(url, never)).rejects.toThrow(UserError);
  });
});

describe('addresses', () => {
  it.each([
    ['169.254.0.1', true],
    ['169.254.255.255', true],
    ['fe80::1', true],
    ['fe80::1%eth0', true],
    ['febf::1', true],
    ['::ffff:a9fe:a9fe', true],
    ['64:ff9b::a9fe:a9fe', true],
    ['fd00:ec2::254', true],
    ['168.63.129.16', true],
    ['169.253.255.255', false],
    ['10.0.0.1', false],
    ['127.0.0.1', false],
    ['fd00:ec2::253', false],
    ['::1', false],
  ])('%s', (address, forbidden) => expect(isForbidden(address)).toBe(forbidden));
});

describe('Prometheus', () => {
  const vector = (...values: string[]) => ({
    status: 'success',
    data: { resultType: 'vector', result: values.map((it) => ({ metric: {}, value: [1, it] })) },
  });
  const cases: [string, number, unknown, number | null | RegExp][] = [
    ['one number', 200, vector('0.25'), 0.25],
    ['no number', 200, vector(), null],
    ['not a number', 200, vector('NaN'), NaN],
    ['endless', 200, vector('+Inf'), Infinity],
    ['a scalar', 200, { status: 'success', data: { resultType: 'scalar', result: [1, '7'] } }, 7],
    ['two numbers', 200, vector('1', '2'), /answers 2 numbers/],
    ['a matrix', 200, { status: 'success', data: { resultType: 'matrix', result: [] } }, /not a matrix/],
    ['a wrong query', 400, { status: 'error', errorType: 'bad_data', error: 'parse error: x' }, /parse error: x/],
    ['no rights', 401, {}, /check its token/],
    ['a server that is ill', 503, { status: 'error', error: 'x' }, /no answer to the query \(status 503\)/],
    ['something else', 200, '<html>', /no answer to the query/],
  ];
  it.each(cases)('answers %s', async (_name, code, body, expected) => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      let sent = '';
      request.on('data', (chunk: Buffer) => {
        sent += chunk.toString();
      });
      request.on('end', () => {
        asked.push(`${request.method} ${request.url} ${request.headers.authorization} ${sent}`);
        response.writeHead(code).end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
    const servers = new Map([['main', { url: `${url}/prom/`, token: 'geheim' }]]);
    const answer = openProbes({ servers }).query('main', 'sum(rate(x[5m]))', never);
    const outcome = await answer.catch((error: Error) => error.message);
    const fits = expected instanceof RegExp ? expected.test(String(outcome)) : Object.is(outcome, expected);
    expect({ outcome, fits }).toEqual({ outcome, fits: true });
    expect(String(outcome)).not.toContain('geheim');
    expect(asked).toEqual(['POST /prom/api/v1/query Bearer geheim query=sum%28rate%28x%5B5m%5D%29%29']);
  });

  it('that nobody has set up is said', async () => {
    await expect(openProbes({ servers: new Map() }).query('main', 'up', never)).rejects.toThrow(
      /no Prometheus server "main"/,
    );
  });
});
