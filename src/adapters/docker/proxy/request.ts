import type { EngineRequest, Effect, Matched } from './contract.ts';
import { endpointOf } from './endpoints.ts';

/** What goes to the engine: `path` must come from `pathOf`. Method and kind of answer are the table's. */
export function requestOf(
  matched: Matched,
  path: string,
  options: { readonly json?: unknown; readonly headers?: readonly string[]; readonly effect?: Effect } = {},
): EngineRequest {
  const endpoint = endpointOf(matched.endpoint);
  if (!endpoint) throw new Error(`no such endpoint: ${matched.endpoint}`);
  return {
    kind: 'request',
    method: endpoint.method,
    path,
    body: options.json !== undefined ? { json: options.json } : endpoint.body === 'stream' ? 'stream' : 'none',
    headers: options.headers ?? [],
    answer: endpoint.answer,
    ...(options.effect ? { effect: options.effect } : {}),
  };
}

/** `/v1.41/containers/json?all=1`: `path` is made of the table's words and `segment`s. */
export function pathOf(
  matched: Pick<Matched, 'version'>,
  path: string,
  query: ReadonlyMap<string, readonly string[]> = new Map(),
): string {
  const pairs = [...query].flatMap(([name, values]) =>
    values.map((value) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`),
  );
  return `${matched.version === null ? '' : `/v${matched.version}`}${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}

/** An id or name as a part of a path. Image names keep their slashes. */
export function segment(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.:@/+-]*$/.test(name) || /(?:^|\/)\.*(?:\/|$)/.test(name)) {
    throw new Error('Not a name for a path.');
  }
  return name;
}
