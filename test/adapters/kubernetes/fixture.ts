import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deployment, type Kubernetes, type KubernetesOptions, startKubernetes } from '#dev/kubernetes/index.ts';
import { openCanaries } from '#src/adapters/kubernetes/canaries.ts';
import { openClusters } from '#src/adapters/kubernetes/clusters.ts';
import type { Cluster } from '#src/engine/ports.ts';
import type { Canaries } from '#src/engine/ports-deploy.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';

export interface Fixture {
  readonly kubernetes: Kubernetes;
  readonly cluster: Cluster;
  /** What was logged. */
  readonly logged: readonly string[];
  /** Writes the kubeconfig that the cluster reads: for another user, or other text. */
  useToken(token: string): Promise<void>;
  useKubeconfig(text: string): Promise<void>;
  /** A Cluster that hasn't read the kubeconfig yet. */
  reopen(context?: string): Cluster;
  canaries(): Canaries;
  close(): Promise<void>;
}

export const target: RolloutTarget = {
  kind: 'deployment',
  cluster: null,
  namespace: 'shop',
  name: 'api',
  container: 'api',
  image: 'image',
};

/** The stand-in with the healthy Deployment shop/api, fifty times as fast as the recordings, and the adapter on it. */
export async function startFixture(options: KubernetesOptions = {}): Promise<Fixture> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-kubernetes-'));
  const kubernetes = await startKubernetes({ scale: 0.02, ...options });
  const path = join(folder, 'kubeconfig');
  await writeFile(path, kubernetes.kubeconfig());
  const logged: string[] = [];
  const reach = (context: string | null) => ({
    clusters: new Map([['default', { kubeconfig: path, context }]]),
    // A stand-in that is fifty times as fast needs less patience.
    patience: { outageMs: 1500, answerMs: 400, silenceMs: 1500 },
    logger: { info: (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`) },
  });
  const reopen = (context: string | null = null) => openClusters(reach(context));
  kubernetes.apply(deployment('shop', 'api', 'r/demo:v1'));
  const cluster = reopen();
  await settled(cluster, target);
  return {
    kubernetes,
    cluster,
    logged,
    useToken: (token) => writeFile(path, kubernetes.kubeconfig(token)),
    useKubeconfig: (text) => writeFile(path, text),
    reopen,
    canaries: () => openCanaries(reach(null)),
    async close() {
      await kubernetes.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until all replicas are available. */
export async function settled(cluster: Cluster, workload: RolloutTarget): Promise<void> {
  const stop = AbortSignal.timeout(10_000);
  for await (const state of cluster.observe(workload, stop)) {
    const { wanted, updated, available, generation, observedGeneration, settled: current } = state;
    if (observedGeneration === generation && updated === wanted && available === wanted && current) return;
  }
  throw new Error(`${workload.name} didn't settle within 10 s.`);
}
