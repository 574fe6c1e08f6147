import type { IncomingMessage, ServerResponse } from 'node:http';
import { type User, authenticate, authorize, isAllowed } from './access.ts';
import { type Access, conflict, expired, notFound, Refusal, statusBody } from './answers.ts';
import type { Images } from './images.ts';
import { applied } from './apply.ts';
import { remove } from './deletion.ts';
import { refuseMissing, terminate } from './namespaces.ts';
import { type Group, isResource, type Resource, resources, type Thing, versions } from './objects.ts';
import { readLog } from './pod-log.ts';
import { streamWatch } from './watch.ts';
import { kindOf, type World } from './world.ts';
import { created, patched } from './write.ts';

export interface Api {
  readonly world: World;
  readonly users: Map<string, User>;
  readonly images: Images;
  readonly watches: Set<OpenWatch>;
}

export interface OpenWatch {
  readonly response: ServerResponse;
  readonly end: () => void;
  /** Tells everything of the past again. */
  readonly retell: () => void;
}

/** Answers one request as the API server does. Throws Refusal. */
export async function answer(api: Api, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const user = authenticate(request, api.users);
  const body = await readBody(request);
  if (url.pathname === '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews') {
    sendJson(response, 201, review(user, body));
    return;
  }
  const route = parse(url.pathname);
  const named = /^metadata\.name=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1] ?? null;
  const contentType = request.headers['content-type'] ?? '';
  const asked = verbOf(request.method ?? 'GET', route, url);
  const verb = asked === 'patch' && contentType.startsWith('application/apply-patch') ? 'apply' : asked;
  const { group } = resources[route.resource];
  const resource = route.sub === null ? route.resource : `${route.resource}/${route.sub}`;
  authorize(user, { verb: asked, group, resource, namespace: route.namespace, name: route.name ?? named });
  handle({ api, route, verb, url, body, named, contentType }, response);
}

interface Route {
  readonly namespace: string;
  readonly resource: Resource;
  readonly name: string | null;
  readonly sub: string | null;
}

interface Call {
  readonly api: Api;
  readonly route: Route;
  readonly verb: string;
  readonly url: URL;
  readonly body: string;
  readonly named: string | null;
  readonly contentType: string;
}

function handle(call: Call, response: ServerResponse): void {
  const { api, route, verb, url, body } = call;
  const { resource, namespace, name } = route;
  if (verb === 'watch') {
    const watch = { response, end: () => {}, retell: () => {} };
    api.watches.add(watch);
    const onEnd = (): void => void api.watches.delete(watch);
    Object.assign(watch, streamWatch(api.world, response, filterOf(call), url.searchParams, onEnd));
    return;
  }
  if (verb === 'list') {
    sendJson(response, 200, list(call));
    return;
  }
  if (verb === 'create') {
    const object = JSON.parse(body) as Thing;
    if (api.world.get(resource, namespace, object.metadata.name))
      throw conflict(resource, object.metadata.name, 'AlreadyExists');
    refuseMissing(api.world, resource, namespace);
    const metadata = { ...object.metadata, namespace };
    sendJson(response, 201, api.world.put(resource, created(resource, { ...object, metadata })));
    return;
  }
  if (verb === 'apply') {
    const before = api.world.get(resource, namespace, name ?? '');
    refuseMissing(api.world, resource, namespace);
    const result = applied(api.world, { resource, namespace, name: name ?? '' }, body, url.searchParams);
    sendJson(response, before ? 200 : 201, result);
    return;
  }
  const object = api.world.get(resource, namespace, name ?? '');
  if (!object) throw notFound(resource, name ?? '');
  if (route.sub === 'log') {
    void readLog(api.images, object, url.searchParams).then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain' }).end(text),
      (error: unknown) => sendError(response, error),
    );
  } else if (verb === 'get') {
    sendJson(response, 200, object);
  } else if (verb === 'delete' && resource === 'namespaces') {
    sendJson(response, 200, terminate(api.world, object));
  } else if (verb === 'delete') {
    sendJson(response, 200, remove(api.world, resource, object, body));
  } else {
    const { result, warning } = patched(resource, object, call.contentType, body, url.searchParams);
    const dry = url.searchParams.get('dryRun') === 'All';
    const stored = dry ? result : api.world.put(resource, result);
    sendJson(response, 200, stored, warning === null ? {} : { warning });
  }
}

function list(call: Call): object {
  const { api, route, url } = call;
  const { kind, apiVersion } = kindOf(route.resource);
  if (url.searchParams.get('resourceVersionMatch') === 'Exact') {
    const version = Number(url.searchParams.get('resourceVersion'));
    if (version < api.world.forgotten) {
      throw new Refusal(410, expired('The resourceVersion for the provided list is too old.'));
    }
  }
  const { matches } = filterOf(call);
  const items = api.world.list(route.resource, route.namespace).filter(matches);
  const metadata = { resourceVersion: String(api.world.version) };
  return { kind: `${kind}List`, apiVersion, metadata, items };
}

/** Label selectors with `key=value`, and the field selectors `metadata.name` and `type`. */
function filterOf({ route, url, named }: Call) {
  const pairs = (url.searchParams.get('labelSelector') ?? '').split(',').filter(Boolean);
  const type = /^type=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1];
  const matches = (object: Thing) =>
    (named === null || object.metadata.name === named) &&
    (type === undefined || ('type' in object && object.type === type)) &&
    pairs.every((pair) => {
      const [key = '', value] = pair.split('=');
      return object.metadata.labels?.[key] === value;
    });
  return { resource: route.resource, namespace: route.namespace, matches };
}

function parse(path: string): Route {
  const [, group = '', version = '', rest = ''] = /^\/(?:api|apis\/([^/]+))\/(v\w+)\/(.+)$/.exec(path) ?? [];
  const missing = new Refusal(404, statusBody(404, 'NotFound', 'the server could not find the requested resource', {}));
  if (!isGroup(group) || !versions[group].includes(version)) {
    if (path.startsWith('/apis/apps/') || path.startsWith('/api/')) throw missing;
    throw new Refusal(404, '404 page not found\n');
  }
  const parts = rest.split('/').map(decodeURIComponent);
  // A namespace itself is in none.
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? (parts[1] ?? '') : '';
  const [resource = '', name = null, sub = null] = namespace === '' ? parts : parts.slice(2);
  const fits = isResource(resource) && resources[resource].group === group;
  if (!fits || (namespace === '') !== (resource === 'namespaces')) throw missing;
  return { namespace, resource, name, sub };
}

function isGroup(name: string): name is Group {
  return Object.hasOwn(versions, name);
}

function verbOf(method: string, route: Route, url: URL): string {
  if (method === 'PATCH') return 'patch';
  if (method === 'POST') return 'create';
  if (method === 'DELETE') return 'delete';
  if (route.name !== null) return 'get';
  return ['1', 'true'].includes(url.searchParams.get('watch') ?? '') ? 'watch' : 'list';
}

function review(user: User, body: string): object {
  const { spec } = JSON.parse(body) as { spec: { resourceAttributes: Partial<Access> } };
  const { verb = '', group = '', resource = '', namespace = '', name } = spec.resourceAttributes;
  const allowed = isAllowed(user, { verb, group, resource, namespace, name: name ?? null });
  return {
    kind: 'SelfSubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    metadata: { creationTimestamp: null },
    spec,
    status: { allowed },
  };
}

export function sendError(response: ServerResponse, error: unknown): void {
  if (error instanceof Refusal) {
    response.writeHead(error.code, error.headers).end(error.body);
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  response.writeHead(500, { 'content-type': 'application/json' });
  response.end(JSON.stringify(statusBody(500, 'InternalError', message)));
}

function sendJson(response: ServerResponse, code: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
