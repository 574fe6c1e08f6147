import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { deployment, type Kubernetes, startKubernetes } from '#dev/kubernetes/index.ts';
import type { Images } from '#dev/kubernetes/images.ts';
import { startRegistry } from '#dev/registry.ts';
import type { ImageRecord } from '#src/engine/store.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { GitHub } from '#dev/github/index.ts';
import { docker } from '../docker.ts';
import type { Victim } from './town.ts';

/** A registry and a cluster for a town. */
export interface Harbour extends AsyncDisposable {
  /** Host of the registry. Images of `HOST/acme/crash` end at once wherever they run. */
  readonly host: string;
  readonly kubernetes: Kubernetes;
  /** For the server. */
  readonly env: Readonly<Record<string, string>>;
}

/** A release of a tag, each to a workload of its own in the namespace `shop`, and the environment of the same name. */
export interface Release {
  readonly name: string;
  readonly sha: string;
  readonly ends: 'success' | 'failure';
}

/** What every workload runs at first. */
export const imageBefore = `registry.example/acme/shop@sha256:${'b'.repeat(64)}`;

export interface HarbourOptions {
  /** What pods do. Default: those of images called `crash` do. */
  readonly images?: Images;
  /** Further lines of the repository's entry in the operator's file. */
  readonly allowed?: string;
}

export async function openHarbour(folder: string, repository: string, options: HarbourOptions = {}): Promise<Harbour> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await startRegistry());
  stack.defer(() => removeImages(registry.host));
  const byName: Images = (image) => (image.startsWith(`${registry.host}/acme/crash`) ? 'crash' : 'good');
  const { images = byName, allowed = '' } = options;
  const kubernetes = stack.use(await startKubernetes({ scale: 0.05, images }));
  const config = join(folder, 'operator.yml');
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, kubernetes.kubeconfig(), { mode: 0o600 });
  await writeFile(
    config,
    `repositories:
  ${repository}:
    push: ["${registry.host}/acme/*"]
    rollout: [{ namespace: shop }]
${allowed}`,
  );
  const owned = stack.move();
  return {
    host: registry.host,
    kubernetes,
    env: { SLIPWAY_CONFIG: config, KUBECONFIG: kubeconfig },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export function addWorkload({ kubernetes }: Harbour, name: string, spec: Record<string, unknown> = {}): void {
  kubernetes.apply(deployment('shop', name, imageBefore, spec));
}

/**
 * Waits until GitHub shows the end of each release's deployment; it is looked for for half a minute before it is made a second
 * time. Throws after so many milliseconds.
 */
export async function toldReleases(
  github: GitHub,
  repository: string,
  releases: readonly Release[],
  ms: number,
): Promise<void> {
  for (const { name, ends } of releases) {
    await github.waitFor(
      `the deployment ${name}`,
      () => github.deployments(repository).some((it) => it.environment === name && it.statuses.at(-1)?.state === ends),
      ms,
    );
  }
}

/**
 * Everything that is wrong with what became of the releases: the image is recorded, the workload was patched no more often
 * than it takes and runs what it must, GitHub has one deployment with the right end, the audit one record. The server must
 * be stopped.
 */
export async function releaseMistakes(
  github: GitHub,
  victim: Victim,
  harbour: Harbour,
  repository: string,
  releases: readonly Release[],
): Promise<readonly string[]> {
  const store = await openStore({ path: join(victim.home, 'slipway.db'), clock: { now: Date.now } });
  try {
    const { id } = github.world.repo(repository);
    const audit = (await store.audit.list(repository, 10_000)).filter((it) => it.action === 'deploy');
    const all = releases.map(async (release) => {
      const [record] = await store.deployments.list(id, release.name, 10);
      const image = await store.images.find(id, release.sha, 'image');
      const audited = audit.filter(({ subject }) => subject.startsWith(`${release.name} ${release.sha} `)).length;
      const found = [
        ...(audited === 1 ? [] : [`${audited} audit records`]),
        ...(await ofImage(harbour, release, image)),
        ...ofWorkload(harbour, release, image),
        ...ofDeployment(github, repository, release, record ?? null),
      ];
      return found.map((each) => `${release.name}: ${each}`);
    });
    return (await Promise.all(all)).flat();
  } finally {
    await store.close();
  }
}

async function ofImage({ host }: Harbour, release: Release, record: ImageRecord | null): Promise<readonly string[]> {
  if (record === null) return ['no image is recorded'];
  const [name = '', digest] = record.image.split('@');
  const url = `http://${host}/v2/${name.slice(host.length + 1)}/manifests/${release.name}`;
  const accept = ['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json'];
  accept.push('application/vnd.docker.distribution.manifest.v2+json');
  const response = await fetch(url, { method: 'HEAD', headers: { accept: accept.join(', ') } });
  const pushed = response.headers.get('docker-content-digest');
  return pushed === digest ? [] : [`recorded is ${record.image}, pushed was ${pushed}`];
}

function ofWorkload({ kubernetes }: Harbour, release: Release, image: ImageRecord | null): readonly string[] {
  const object = kubernetes.get('deployments', 'shop', release.name) as unknown as {
    readonly metadata: { readonly generation: number };
    readonly spec: {
      readonly template: { readonly spec: { readonly containers: readonly { readonly image: string }[] } };
    };
  } | null;
  const runs = object?.spec.template.spec.containers[0]?.image;
  const wanted = release.ends === 'success' ? image?.image : imageBefore;
  const patches = (object?.metadata.generation ?? 0) - 1;
  return [
    ...(runs === wanted ? [] : [`the workload runs ${runs} instead of ${wanted}`]),
    ...(patches === (release.ends === 'success' ? 1 : 2) ? [] : [`the workload was patched ${patches} times`]),
  ];
}

function ofDeployment(
  github: GitHub,
  repository: string,
  release: Release,
  record: DeploymentRecord | null,
): readonly string[] {
  const there = github.deployments(repository).filter((it) => it.environment === release.name);
  const ends = there.map((it) => it.statuses.at(-1)?.state ?? 'nothing');
  return [
    ...(record?.state === release.ends ? [] : [`the stored deployment is ${record?.state}: ${record?.description}`]),
    ...(ends.join() === release.ends ? [] : [`GitHub's deployments: ${ends.join() || 'none'}`]),
  ];
}

/** Removes what was built for a registry that is gone. */
async function removeImages(host: string): Promise<void> {
  const images = await docker.listImages({ filters: { reference: [`${host}/*/*`] } });
  for (const name of images.flatMap((image) => [...(image.RepoTags ?? []), ...(image.RepoDigests ?? [])])) {
    await docker
      .getImage(name)
      .remove({ force: true })
      .catch(() => {});
  }
}
