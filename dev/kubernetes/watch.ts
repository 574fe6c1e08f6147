import type { ServerResponse } from 'node:http';
import { expired } from './answers.ts';
import { type Resource, resources, type Thing } from './objects.ts';
import { type Change, kindOf, type World } from './world.ts';

export interface Filter {
  readonly resource: Resource;
  readonly namespace: string;
  readonly matches: (object: Thing) => boolean;
}

/** Streams changes, one JSON object a line, until the client or the server ends it. Answers with how to end it, or to tell all again. */
export function streamWatch(
  world: World,
  response: ServerResponse,
  filter: Filter,
  query: URLSearchParams,
  onEnd: () => void,
): { readonly end: () => void; readonly retell: () => void } {
  const { resource, namespace, matches } = filter;
  const send = (type: string, object: object) => response.write(`${JSON.stringify({ type, object })}\n`);
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  let stopListening = () => {};
  const timers: NodeJS.Timeout[] = [];
  const end = () => {
    stopListening();
    for (const timer of timers) clearTimeout(timer);
    response.end();
    onEnd();
  };
  const from = query.get('resourceVersion') ?? '';
  if (from !== '' && from !== '0' && Number(from) < world.forgotten) {
    send('ERROR', expired(`too old resource version: ${from} (${world.forgotten})`));
    end();
    return { end, retell: () => {} };
  }
  const tell = (change: Change) => {
    if (change.resource !== resource || change.object.metadata.namespace !== namespace) return;
    if (matches(change.object)) send(change.type, change.object);
  };
  if (from === '' || from === '0') {
    for (const object of world.list(resource, namespace).filter(matches)) send('ADDED', object);
  } else {
    for (const change of world.history.filter((it) => it.version > Number(from))) tell(change);
  }
  stopListening = world.listen(tell);
  if (query.get('allowWatchBookmarks') === 'true') {
    timers.push(setInterval(() => send('BOOKMARK', shell(world, resource)), 1000));
  }
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  if (seconds > 0) timers.push(setTimeout(end, seconds * 1000));
  response.on('close', end);
  return { end, retell: () => world.history.forEach(tell) };
}

/** A bookmark's object says nothing but how far the watch is: `replicas: 0` is no state. */
function shell(world: World, resource: Resource): object {
  const { group } = resources[resource];
  const { kind, apiVersion } = kindOf(resource);
  const template = { metadata: { creationTimestamp: null }, spec: { containers: null } };
  const spec = group === 'apps' ? { spec: { replicas: 0, selector: null, template, strategy: {} }, status: {} } : {};
  return { kind, apiVersion, metadata: { resourceVersion: String(world.version), creationTimestamp: null }, ...spec };
}
