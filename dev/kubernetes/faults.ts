import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal, statusBody } from './answers.ts';
import { type Api, sendError } from './api.ts';

/** What goes wrong, by name. */
export interface Faults {
  /** The next requests are answered so instead; 429 has a Retry-After. */
  answer(code: number, times: number): void;
  /** An admission webhook refuses every write with this code (its own default is 400), until it is given null. */
  deny(code: number | null): void;
  /** The next requests get no answer, for ever (`hang`), or their connection is reset. */
  next(what: 'hang' | 'reset', times: number): void;
  /** The server is away: connections are reset, open watches break, until it is back. What runs in the cluster goes on. */
  away(away: boolean): void;
  /** All open watches end: properly, as on a timeout, or by breaking the connection. */
  endWatches(how: 'end' | 'break'): void;
  /** Open watches stay open and tell nothing more, as a connection that nobody holds any more. */
  silenceWatches(): void;
  /** Open watches tell a line that isn't JSON, one that is no event, and an event without an object. */
  garbleWatches(): void;
  /** Open watches tell once more what happened before, in the same order. */
  repeatWatches(): void;
  /** Earlier resourceVersions are too old from now on (410). */
  forget(): void;
  /** Does it after so many milliseconds of the recorded cluster's time. */
  after(ms: number, fault: () => void): void;
}

export interface FaultyServer {
  readonly faults: Faults;
  /** True if a fault has dealt with the request. */
  readonly meets: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export function openFaults(api: Api): FaultyServer {
  const answers = { code: 0, times: 0 };
  const broken: { what: 'hang' | 'reset'; times: number } = { what: 'reset', times: 0 };
  let isAway = false;
  let denied: number | null = null;
  const endWatches = (how: 'end' | 'break'): void => {
    for (const { response, end } of api.watches) {
      if (how === 'end') end();
      else response.socket?.destroy();
    }
  };
  const tellAll = (text: string): void => {
    for (const { response } of api.watches) response.write(text);
  };
  return {
    meets(request, response) {
      if (isAway) {
        request.socket.destroy();
        return true;
      }
      if (broken.times > 0) {
        broken.times -= 1;
        if (broken.what === 'reset') request.socket.resetAndDestroy();
        return true;
      }
      if (denied !== null && request.method !== 'GET') {
        const message = 'admission webhook "policy.example.com" denied the request: images must be signed';
        sendError(response, new Refusal(denied, statusBody(denied, 'BadRequest', message)));
        return true;
      }
      if (answers.times > 0) {
        answers.times -= 1;
        sendError(response, refusal(answers.code));
        return true;
      }
      return false;
    },
    faults: {
      answer: (code, times) => void Object.assign(answers, { code, times }),
      deny(code) {
        denied = code;
      },
      next: (what, times) => void Object.assign(broken, { what, times }),
      away(away) {
        isAway = away;
        if (away) endWatches('break');
      },
      endWatches,
      silenceWatches() {
        for (const { response } of api.watches) response.write = () => true;
      },
      garbleWatches: () => tellAll('{"type":"MODIFIED","obj\n{"hello":1}\n{"type":"MODIFIED"}\n'),
      repeatWatches() {
        for (const { response, retell } of api.watches) if (!response.writableEnded) retell();
      },
      forget: () => api.world.forget(),
      after: (ms, fault) => api.world.after(ms, fault),
    },
  };
}

function refusal(code: number): Refusal {
  if (code === 429) return new Refusal(429, 'Too many requests, please try again later.\n', { 'retry-after': '1' });
  return new Refusal(code, `${code}\n`);
}
