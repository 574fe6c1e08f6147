import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An object of the API as far as the replay looks into it. */
interface Thing {
  readonly kind: string;
  readonly metadata: { readonly name?: string; readonly uid?: string; readonly resourceVersion?: string };
  readonly [key: string]: unknown;
}

interface Deployment extends Thing {
  readonly metadata: Thing['metadata'] & { readonly generation?: number };
  readonly spec: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } };
}

interface Container {
  readonly name: string;
  readonly image: string;
}

interface Watched {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

/** A reduced recording: what was told, what patches answered, what was refused, how watches ended. */
type Step = { readonly atMs: number } & (
  | {
      readonly patched: {
        readonly generation: number;
        readonly image: string;
        readonly images?: Record<string, string>;
      };
    }
  | { readonly type: string; readonly object: Thing; readonly watch?: Watched }
  | { readonly watch: Watched; readonly end: { readonly clean: boolean } }
  | Refusal
);

interface Refusal {
  readonly request: Watched & { readonly method: string };
  readonly response?: { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown };
  /** The connection was refused. */
  readonly error?: string;
}

export interface Replay {
  readonly url: string;
  readonly namespace: string;
  /** Every request that came: `PATCH path`, with the body's containers or operations as JSON. */
  readonly requests: readonly { readonly line: string; readonly contentType: string; readonly body: string }[];
  close(): Promise<void>;
}

/** Answers that were right once only: whoever asks again gets another. */
const passing = [409, 422, 429];
const resources: Readonly<Record<string, string>> = {
  deployments: 'Deployment',
  replicasets: 'ReplicaSet',
  replicationcontrollers: 'ReplicationController',
  deploymentconfigs: 'DeploymentConfig',
  rollouts: 'Rollout',
  pods: 'Pod',
  events: 'Event',
};

export function recording(scenario: string): { readonly steps: readonly Step[] } {
  const path = new URL(`../../fixtures/kubernetes/${scenario}.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')) as { readonly steps: readonly Step[] };
}

/**
 * An API server that tells what a real one told. What was there before the first recorded patch is there at the start;
 * each patch that comes is answered as the next recorded one, and what followed that is told then, at `scale` of its pace,
 * up to the next recorded patch. Without a recorded patch everything follows the first watch.
 */
export async function startReplay(steps: readonly Step[], scale = 0.02): Promise<Replay> {
  const objects = new Map<string, Thing>();
  const refusals = steps.filter((it): it is Step & Refusal => 'request' in it).map((it) => ({ ...it, used: false }));
  const flow = steps.filter((it) => !('request' in it));
  const watches = new Set<{ readonly path: string; readonly response: ServerResponse }>();
  const timers = new Set<NodeJS.Timeout>();
  const requests: { line: string; contentType: string; body: string }[] = [];
  let next = 0;
  let version = 1;
  let began = flow.some((it) => 'patched' in it);

  const tell = (path: string, event: object, also: (response: ServerResponse) => void = () => {}): void => {
    for (const watch of watches) {
      if (watch.path !== path) continue;
      watch.response.write(`${JSON.stringify(event)}\n`);
      also(watch.response);
    }
  };

  function apply(step: Step): void {
    if ('patched' in step || 'request' in step) return;
    if ('end' in step) {
      for (const { path, response } of watches) {
        if (path !== step.watch.path) continue;
        if (step.end.clean) response.end();
        else response.destroy();
      }
      return;
    }
    const { type, object, watch } = step;
    if (type === 'ERROR') {
      tell(watch?.path ?? '', { type, object }, (response) => response.end());
      return;
    }
    version = Math.max(version, Number(object.metadata.resourceVersion ?? 0));
    if (type === 'DELETED') objects.delete(object.metadata.uid ?? '');
    else if (type !== 'BOOKMARK') objects.set(object.metadata.uid ?? '', object);
    for (const { path } of new Set(watches)) {
      if (resources[path.split('/').at(-1) ?? ''] === object.kind) tell(path, { type, object });
    }
  }

  /** Tells what comes up to the next recorded patch, in its own time. */
  function play(): void {
    const from = flow[next]?.atMs ?? 0;
    for (let index = next; index < flow.length; index += 1) {
      const step = flow[index];
      if (!step || 'patched' in step) return;
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          if (index < next) return;
          next = index + 1;
          apply(step);
        },
        (step.atMs - from) * scale,
      );
      timers.add(timer);
    }
  }

  /** Tells what was still to come before the next recorded patch, at once; answers that patch. */
  function patch(path: string, body: string): object {
    const before = [...objects.values()].find((it) => path.endsWith(`/${it.metadata.name}`) && 'spec' in it);
    while (next < flow.length) {
      const step = flow[next];
      next += 1;
      if (!step) continue;
      if ('patched' in step) {
        const { generation, image, images } = step.patched;
        const answer = withImages(current(before), generation, images ?? { api: image });
        play();
        return answer;
      }
      apply(step);
    }
    // Not recorded: it is taken, and nothing more is ever told.
    const deployment = current(before);
    return withImages(deployment, (deployment.metadata.generation ?? 0) + 1, imagesIn(body, deployment));
  }

  const current = (before: Thing | undefined): Deployment => objects.get(before?.metadata.uid ?? '') as Deployment;

  function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const method = request.method ?? 'GET';
    const contentType = request.headers['content-type'] ?? '';
    const query = Object.fromEntries(url.searchParams);
    requests.push({ line: `${method} ${url.pathname}`, contentType, body });
    // What was refused after the next patch that went through isn't refused before it.
    const until = method === 'PATCH' ? (flow.slice(next).find((it) => 'patched' in it)?.atMs ?? Infinity) : Infinity;
    const refusal = refusals.find(
      (it) => !it.used && it.atMs < until && fits(it, method, url.pathname, query, contentType),
    );
    if (refusal) {
      refusal.used = refusal.response === undefined || passing.includes(refusal.response.status);
      if (!refusal.response) {
        request.socket.destroy();
        return;
      }
      const { status, headers, body: said } = refusal.response;
      response.writeHead(status, headers).end(typeof said === 'string' ? said : JSON.stringify(said));
      return;
    }
    const send = (code: number, value: object): void => {
      response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const parts = url.pathname.split('/');
    const kind = resources[parts.at(-1) ?? ''];
    const known = [...objects.values()].some((it) => it.kind === resources[parts.at(-2) ?? ''] || it.kind === kind);
    if (method === 'PATCH') return send(200, patch(url.pathname, body));
    if (url.pathname.includes('/apis/argoproj.io/') && !known) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
      return;
    }
    if (kind === undefined) {
      const found = [...objects.values()].find(
        (it) => it.metadata.name === parts.at(-1) && it.kind === resources[parts.at(-2) ?? ''],
      );
      return found ? send(200, found) : send(404, status(404, `${parts.at(-2)} "${parts.at(-1)}" not found`));
    }
    if (query['watch'] === undefined) {
      const items = [...objects.values()].filter((it) => it.kind === kind && named(it, query));
      return send(200, { kind: `${kind}List`, metadata: { resourceVersion: String(version) }, items });
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watch = { path: url.pathname, response };
    watches.add(watch);
    response.on('close', () => watches.delete(watch));
    for (const it of objects.values()) {
      const newer = Number(it.metadata.resourceVersion ?? 0) > Number(query['resourceVersion'] ?? 0);
      if (it.kind === kind && newer) response.write(`${JSON.stringify({ type: 'MODIFIED', object: it })}\n`);
    }
    if (!began) {
      began = true;
      play();
    }
  }

  if (began) {
    next = flow.findIndex((it) => 'patched' in it);
    flow.slice(0, next).forEach(apply);
  } else {
    flow.filter((it) => 'object' in it && it.type === 'ADDED').forEach(apply);
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    namespace: namespaceOf(steps),
    requests,
    async close() {
      for (const timer of timers) clearTimeout(timer);
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

/** A kubeconfig for it, as text. */
export function kubeconfigFor(url: string): string {
  const cluster = { server: url, 'insecure-skip-tls-verify': true };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'replay',
    clusters: [{ name: 'replay', cluster }],
    users: [{ name: 'user', user: { token: 'recorded' } }],
    contexts: [{ name: 'replay', context: { cluster: 'replay', user: 'user' } }],
  });
}

/** The same question, as far as the answer depends on it. */
function fits(
  { request, response }: Refusal,
  method: string,
  path: string,
  query: Readonly<Record<string, string>>,
  contentType: string,
): boolean {
  if (request.method !== method || request.path !== path) return false;
  if (response?.status === 415 && contentType.endsWith('patch+json')) return false;
  const isNamed = (it: Readonly<Record<string, string>>) => it['fieldSelector']?.startsWith('metadata.name=') ?? false;
  if (isNamed(request.query) !== isNamed(query)) return false;
  return ['watch', 'resourceVersionMatch', 'container', 'previous'].every(
    (key) =>
      (request.query[key] === undefined) === (query[key] === undefined) &&
      (key === 'watch' || request.query[key] === query[key]),
  );
}

function named({ metadata }: Thing, query: Readonly<Record<string, string>>): boolean {
  const name = /^metadata\.name=(.+)$/.exec(query['fieldSelector'] ?? '')?.[1];
  return name === undefined || metadata.name === name;
}

/** The old status, the new images. */
function withImages(deployment: Deployment, generation: number, images: Readonly<Record<string, string>>): Deployment {
  const { spec } = deployment.spec.template;
  const containers = spec.containers.map((it) => ({ ...it, image: images[it.name] ?? it.image }));
  const template = { ...deployment.spec.template, spec: { ...spec, containers } };
  return {
    ...deployment,
    metadata: { ...deployment.metadata, generation },
    spec: { ...deployment.spec, template },
  };
}

function imagesIn(body: string, deployment: Deployment): Readonly<Record<string, string>> {
  const patch = JSON.parse(body) as Deployment | readonly { op: string; path: string; value: string }[];
  if ('spec' in patch) return Object.fromEntries(patch.spec.template.spec.containers.map((it) => [it.name, it.image]));
  const { containers } = deployment.spec.template.spec;
  return Object.fromEntries(
    patch
      .filter(({ op }) => op === 'replace')
      .map(({ path, value }) => [containers[Number(path.split('/')[5])]?.name ?? '', value]),
  );
}

function namespaceOf(steps: readonly Step[]): string {
  return /"namespace":"([^"]+)"|namespaces\/([^/"]+)/.exec(JSON.stringify(steps))?.slice(1).find(Boolean) ?? '';
}

function status(code: number, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, code };
}
