import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiException, AppsV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import Docker from 'dockerode';
import { startKubernetes } from '#dev/kubernetes/index.ts';
import type { Behaviour } from '#dev/kubernetes/images.ts';

/** The cluster that the story deploys to. */
export interface DemoCluster extends AsyncDisposable {
  /** Path of its kubeconfig. */
  readonly kubeconfig: string;
  /** Makes the namespace and a Deployment with one container, as a team has them before it uses Slipway. */
  deployment(namespace: string, name: string, container: string, image: string): Promise<void>;
  /** Image of the Deployment's container now. */
  image(namespace: string, name: string, container: string): Promise<string | null>;
}

/** Credentials with which the cluster pulls images. */
export interface PullAccount {
  readonly host: string;
  readonly username: string;
  readonly password: string;
}

/**
 * The cluster of a kubeconfig, or a stand-in whose containers do what the image does when Docker runs it. Of a real
 * cluster the namespaces that the story made are removed at the end.
 */
export async function openCluster(
  kubeconfig: string | null,
  folder: string,
  account: PullAccount,
): Promise<DemoCluster> {
  if (kubeconfig !== null) return connect(kubeconfig, account, true);
  const kubernetes = await startKubernetes({ scale: 0.25, images: tryInDocker });
  const file = join(folder, 'kubeconfig');
  await writeFile(file, kubernetes.kubeconfig(), { mode: 0o600 });
  const cluster = connect(file, account, false);
  return {
    ...cluster,
    async deployment(namespace, name, container, image) {
      const { deployment } = objects(namespace, name, container, image);
      kubernetes.apply({ ...deployment, kind: 'Deployment' });
    },
    [Symbol.asyncDispose]: () => kubernetes.close(),
  };
}

function connect(kubeconfig: string, account: PullAccount, real: boolean): DemoCluster {
  const config = new KubeConfig();
  const made = new Set<string>();
  async function apps(): Promise<AppsV1Api> {
    config.loadFromString(await readFile(kubeconfig, 'utf8'));
    return config.makeApiClient(AppsV1Api);
  }
  return {
    kubeconfig,
    async deployment(namespace, name, container, image) {
      const api = await apps();
      const core = config.makeApiClient(CoreV1Api);
      const { deployment, secret } = objects(namespace, name, container, image, account);
      await core.createNamespace({ body: { metadata: { name: namespace } } });
      made.add(namespace);
      await core.createNamespacedSecret({ namespace, body: secret });
      await api.createNamespacedDeployment({ namespace, body: deployment });
    },
    async image(namespace, name, container) {
      const { spec } = await (await apps()).readNamespacedDeployment({ namespace, name });
      return spec?.template.spec?.containers.find((c) => c.name === container)?.image ?? null;
    },
    async [Symbol.asyncDispose]() {
      if (!real) return;
      const core = config.makeApiClient(CoreV1Api);
      for (const name of made) {
        await core.deleteNamespace({ name }).catch((error: unknown) => {
          if (!(error instanceof ApiException) || error.code !== 404)
            console.error(`The namespace ${name} stays: ${String(error)}`);
        });
      }
    },
  };
}

function objects(namespace: string, name: string, container: string, image: string, account?: PullAccount) {
  const labels = { app: name };
  const auth = account ? { [account.host]: { username: account.username, password: account.password } } : {};
  return {
    deployment: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace, labels },
      spec: {
        replicas: 2,
        progressDeadlineSeconds: 60,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: container, image }], imagePullSecrets: [{ name: 'registry' }] },
        },
      },
    },
    secret: {
      metadata: { name: 'registry' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths: auth }) },
    },
  };
}

/** What Kubernetes would see of the image's container: Docker runs it for a moment. */
async function tryInDocker(image: string): Promise<Behaviour> {
  if (!image.includes('@sha256:')) return 'good';
  const docker = new Docker();
  const container = await docker.createContainer({ Image: image }).catch((error: { statusCode?: number }) => {
    if (error.statusCode === 404) return null;
    throw error;
  });
  if (container === null) return 'missing';
  try {
    await container.start();
    const ended = await Promise.race([container.wait().then(() => true), sleep(700, false)]);
    return ended ? 'crash' : 'good';
  } finally {
    await container.remove({ force: true });
  }
}
