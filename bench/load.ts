import { randomUUID } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import autocannon from 'autocannon';

/** Sends signed deliveries, each with a GUID of its own, and tells how many were answered a second. */
const { url, connections, seconds, body, signature } = workerData as {
  url: string;
  connections: number;
  seconds: number;
  body: string;
  signature: string;
};

const result = await autocannon({
  url,
  connections,
  duration: seconds,
  requests: [
    {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'x-github-event': 'push', 'x-hub-signature-256': signature },
      setupRequest: (request) => ({ ...request, headers: { ...request.headers, 'x-github-delivery': randomUUID() } }),
    },
  ],
});
if (result.non2xx > 0 || result.errors > 0) throw new Error(`${result.non2xx} refused, ${result.errors} errors`);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread of Node's has no origin
parentPort?.postMessage(result['2xx'] / result.duration);
