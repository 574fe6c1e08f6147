import { once } from 'node:events';
import type { Request, Response } from 'express';

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface EventStream {
  /** Aborted when the reader is gone. */
  readonly signal: AbortSignal;
  /** Resolves when the reader can take more. `id` is what the reader sends back as Last-Event-ID. */
  send(event: string, data: unknown, id?: number): Promise<void>;
  /** Resolves when `wake` is called, or after `atMost` milliseconds; shows the reader and proxies that the stream lives. */
  pause(atMost: number): Promise<void>;
  readonly wake: () => void;
  end(): void;
}

/** How often a stream looks by itself whether it missed something, in milliseconds. */
export const heartbeat = 10_000;

export function openEventStream(request: Request, response: Response): EventStream {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  request.socket.setNoDelay(true);
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache, no-transform',
    'X-Accel-Buffering': 'no',
  });

  let awake = false;
  let waiting: (() => void) | null = null;
  function wake(): void {
    awake = true;
    waiting?.();
  }
  gone.signal.addEventListener('abort', wake);

  async function write(text: string): Promise<void> {
    if (gone.signal.aborted || response.write(text)) return;
    try {
      await once(response, 'drain', { signal: gone.signal });
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    }
  }

  void write('retry: 1000\n\n');
  return {
    signal: gone.signal,
    send: (event, data, id) =>
      write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`),
    async pause(atMost) {
      if (!awake) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting = resolve;
        const timer = setTimeout(resolve, atMost);
        await promise;
        clearTimeout(timer);
        waiting = null;
      }
      awake = false;
      await write(': \n\n');
    },
    wake,
    end: () => void response.end(),
  };
}
