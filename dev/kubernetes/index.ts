import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Rule } from './access.ts';
import { type Api, answer, sendError } from './api.ts';
import { startControllers } from './controllers.ts';
import { type Faults, openFaults } from './faults.ts';
import { byTag, type Images } from './images.ts';
import { startKubelet } from './kubelet.ts';
import { startNamespaces } from './namespaces.ts';
import { type Kinds, type Pod, type Resource, resources, type Thing } from './objects.ts';
import { isReady } from './pods.ts';
import { World } from './world.ts';
import { withDefaults } from './write.ts';

export interface KubernetesOptions {
  /** Default: any free one. */
  readonly port?: number;
  /** The administrator's token; default: a random one. */
  readonly token?: string;
  /** Time of the recorded cluster per real time: 0.1 is ten times as fast. Default 1. */
  readonly scale?: number;
  /** What containers do, by image. Default: by tag. */
  readonly images?: Images;
}

export interface Kubernetes extends AsyncDisposable {
  readonly url: string;
  /** A kubeconfig as text, for the administrator or a user made by `addUser`. */
  kubeconfig(token?: string): string;
  /** Creates the object. */
  apply(object: Omit<Thing, 'kind' | 'apiVersion'> & { readonly kind: string; readonly [key: string]: unknown }): void;
  get<R extends Resource>(resource: R, namespace: string, name: string): Kinds[R] | null;
  list<R extends Resource>(resource: R, namespace: string): readonly Kinds[R][];
  remove(resource: Resource, namespace: string, name: string): void;
  /** The pods that a Service leads to now. */
  endpoints(namespace: string, service: string): readonly Pod[];
  /** A ServiceAccount with the rules of a Role in the namespace, or (null) of a ClusterRole. Answers with its token. */
  addUser(namespace: string | null, name: string, rules: readonly Rule[]): string;
  /** From now on the token isn't valid any more. */
  revoke(token: string): void;
  readonly faults: Faults;
  close(): Promise<void>;
}

/**
 * A stand-in for a Kubernetes cluster with one node: the part of the API that rollouts use, and small models of the
 * controllers and the kubelet that behave as recorded from a real v1.32 cluster.
 */
export async function startKubernetes(options: KubernetesOptions = {}): Promise<Kubernetes> {
  const token = options.token ?? randomBytes(16).toString('hex');
  const world = new World(options.scale ?? 1);
  const images = options.images ?? byTag;
  const api: Api = {
    world,
    images,
    users: new Map([[token, { name: 'admin', rules: null, namespace: null }]]),
    watches: new Set(),
  };
  startControllers(world);
  startKubelet(world, images);
  startNamespaces(world);
  const { faults, meets } = openFaults(api);
  const server = createServer((request, response) => {
    if (meets(request, response)) return;
    answer(api, request, response).catch((error: unknown) => sendError(response, error));
  });
  await new Promise<void>((resolve) => {
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    world.close();
    for (const { end } of api.watches) end();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  return {
    url,
    kubeconfig: (user = token) => kubeconfigOf(url, user),
    apply(object) {
      const resource = resourceOf(object.kind);
      world.put(resource, withDefaults(resource, object as unknown as Thing));
    },
    get: (resource, namespace, name) => world.get(resource, namespace, name),
    list: (resource, namespace) => world.list(resource, namespace),
    remove: (resource, namespace, name) => world.remove(resource, namespace, name),
    endpoints(namespace, service) {
      const selector = Object.entries(world.get('services', namespace, service)?.spec.selector ?? {});
      const selects = ({ metadata }: Pod): boolean =>
        selector.every(([key, value]) => metadata.labels?.[key] === value);
      const pods = selector.length === 0 ? [] : world.list('pods', namespace);
      return pods.filter((it) => selects(it) && isReady(it) && it.metadata.deletionTimestamp === undefined);
    },
    addUser(namespace, name, rules) {
      const userToken = randomBytes(16).toString('hex');
      api.users.set(userToken, { name: `system:serviceaccount:${namespace ?? 'slipway'}:${name}`, rules, namespace });
      return userToken;
    },
    revoke: (userToken) => api.users.delete(userToken),
    faults,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A Service that leads to the pods of the usual Deployment. */
export function service(namespace: string, name: string, selector: Record<string, string> = { app: name }) {
  return {
    kind: 'Service',
    metadata: { name, namespace },
    spec: { ports: [{ port: 80, targetPort: 8080 }], selector },
  };
}

/** The usual Deployment of the recordings: two replicas, one container, a deadline of 20 s. */
export function deployment(namespace: string, name: string, image: string, spec: Record<string, unknown> = {}) {
  const labels = { app: name };
  return {
    kind: 'Deployment',
    metadata: { name, namespace, labels },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name, image }], terminationGracePeriodSeconds: 2 } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } },
      progressDeadlineSeconds: 20,
      ...spec,
    },
  };
}

function resourceOf(kind: string): Resource {
  const found = Object.entries(resources).find(([, it]) => it.kind === kind);
  if (!found) throw new Error(`The stand-in has no ${kind}.`);
  return found[0] as Resource;
}

function kubeconfigOf(server: string, token: string): string {
  return `apiVersion: v1
kind: Config
current-context: stand-in
clusters:
  - name: stand-in
    cluster: { server: "${server}", insecure-skip-tls-verify: true }
users:
  - name: user
    user: { token: "${token}" }
contexts:
  - name: stand-in
    context: { cluster: stand-in, user: user }
`;
}
