import type { Probes } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { ask, type Resolve } from './ask.ts';

export interface ProbesOptions {
  /** The operator's Prometheus servers by name. `url`: as in a browser, with the path before `/api/v1` if there is one. */
  readonly servers: ReadonlyMap<string, { readonly url: string; readonly token: string | null }>;
  /** For tests. Milliseconds. */
  readonly deadlineMs?: number;
  readonly resolve?: Resolve;
}

/** Asks over HTTP, directly: no proxy, no redirects, no cookies. What is answered is never logged. */
export function openProbes({ servers, deadlineMs = 10_000, resolve }: ProbesOptions): Probes {
  const usual = { deadlineMs, ...(resolve ? { resolve } : {}) };
  return {
    async get(url, signal) {
      const { status, body } = await ask(new URL(url), usual, signal);
      return { status, body };
    },
    async query(server, query, signal) {
      const found = servers.get(server);
      if (!found) throw new UserError(`There is no Prometheus server "${server}" in the operator's file.`);
      const name = `Prometheus ${server}`;
      const url = new URL(`${found.url.replace(/\/+$/, '')}/api/v1/query`);
      const headers = {
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(found.token === null ? {} : { authorization: `Bearer ${found.token}` }),
      };
      const sent = new URLSearchParams({ query }).toString();
      const answer = await ask(url, { ...usual, name, method: 'POST', headers, sent }, signal);
      if (answer.status === 401 || answer.status === 403) {
        throw new PlatformError(`${name} refuses Slipway (${answer.status}): check its token in the operator's file.`);
      }
      return numberOf(name, answer);
    },
  };
}

interface Answered {
  readonly status: number;
  readonly body: string;
  /** There was more than is read. */
  readonly cut: boolean;
}

/** The one number of an instant query's answer, as Prometheus' HTTP API describes it; null if there is none. */
function numberOf(name: string, { status, body, cut }: Answered): number | null {
  if (cut) throw new UserError(`The query answers more than one number. Bring it to one: sum(...), max(...).`);
  const answer = parse(body);
  if (answer?.status === 'error' && (status === 400 || status === 422)) {
    throw new UserError(`${name} can't answer the query: ${String(answer.error).slice(0, 200)}`);
  }
  if (status !== 200 || answer?.status !== 'success') {
    throw new PlatformError(
      `${name} gave no answer to the query (status ${status}). Check its address in the operator's file.`,
    );
  }
  const { resultType, result } = answer.data ?? {};
  if (resultType === 'scalar' && Array.isArray(result)) return valueOf(result[1]);
  if (resultType !== 'vector' || !Array.isArray(result)) {
    throw new UserError(`The query must answer one number, not a ${String(resultType)}.`);
  }
  if (result.length > 1) {
    throw new UserError(`The query answers ${result.length} numbers. Bring it to one: sum(...), max(...).`);
  }
  const [sample] = result as readonly { readonly value?: readonly unknown[] }[];
  return sample === undefined ? null : valueOf(sample.value?.[1]);
}

interface PrometheusAnswer {
  readonly status?: string;
  readonly error?: unknown;
  readonly data?: { readonly resultType?: unknown; readonly result?: unknown };
}

function parse(body: string): PrometheusAnswer | null {
  try {
    return JSON.parse(body) as PrometheusAnswer | null;
  } catch {
    return null;
  }
}

/** Numbers are texts there: `0.5`, `NaN`, `+Inf`. */
function valueOf(text: unknown): number | null {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return typeof text === 'string' && text !== '' ? Number(text) : null;
}
