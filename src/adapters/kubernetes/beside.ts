import type { Canaries } from '#src/engine/ports-deploy.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import { besideLabel, shortened } from '#src/model/steps.ts';
import type { KubernetesObject, Selector } from './objects.ts';

/** A Deployment or DeploymentConfig as it is read and written: whole, for what stands beside it has everything of it. */
export interface Manifest extends KubernetesObject {
  readonly apiVersion?: string;
  readonly spec: {
    readonly replicas?: number;
    /** A DeploymentConfig's is the labels themselves. */
    readonly selector?: Selector | Labels;
    readonly template: {
      readonly metadata?: { readonly labels?: Labels; readonly annotations?: Labels };
      readonly spec: { readonly containers: readonly { readonly name: string; readonly image: string }[] };
    };
    readonly [key: string]: unknown;
  };
}

type Labels = Readonly<Record<string, string>>;
type Wish = Parameters<Canaries['place']>[1];

/** Whose it is, as Kubernetes recommends to say it. */
const managedBy = 'app.kubernetes.io/managed-by';
/** Beside which workload it stands, and how many replicas that had: annotations. */
const besideAnnotation = 'slipway.dev/beside';
const replicasAnnotation = 'slipway.dev/replicas';

/** What stands beside a workload: a copy of its spec with other images, a label more, and pods told apart by it. Pure. */
export function beside(target: RolloutTarget, stable: Manifest, wish: Wish): Manifest {
  const { spec } = stable;
  const { template } = spec;
  const at = `${target.kind} ${target.namespace}/${target.name}`;
  const before = template.metadata?.labels ?? {};
  const wanted = wish.instead ?? {};
  for (const key of Object.keys({ ...wish.labels, ...wanted })) {
    if (before[key] === undefined || (wanted[key] !== undefined && wanted[key] !== before[key])) {
      const want = wanted[key] ?? wish.labels?.[key] ?? '';
      throw new UserError(
        `The pods of ${at} don't have the label ${key}=${want}, by which the Service selects: they aren't behind it.`,
      );
    }
  }
  const mark = { [besideLabel]: shortened(target.name) };
  const labels = { ...before, ...wish.labels, ...mark };
  for (const name of Object.keys(wish.images)) {
    if (!template.spec.containers.some((it) => it.name === name)) {
      throw new UserError(`${at} has no container ${name}.`);
    }
  }
  const containers = template.spec.containers.map((it) => ({ ...it, image: wish.images[it.name] ?? it.image }));
  const metadata = { ...template.metadata, labels };
  return {
    apiVersion: stable.apiVersion ?? 'apps/v1',
    kind: stable.kind ?? 'Deployment',
    metadata: {
      name: wish.name,
      namespace: target.namespace,
      labels: { ...ownLabels(stable), ...mark, [managedBy]: 'slipway' },
      annotations: {
        [besideAnnotation]: target.name,
        [replicasAnnotation]: String(spec.replicas ?? 1),
        'kubernetes.io/change-cause': `Slipway: beside ${target.name}`,
      },
    },
    spec: {
      ...spec,
      ...triggersOf(target, spec),
      paused: false,
      replicas: wish.replicas,
      selector: selectorOf(target, spec.selector, { ...wish.labels, ...mark }),
      template: { ...template, metadata, spec: { ...template.spec, containers } },
    },
  };
}

/** The pods of the workload that it selects, with other values where the labels are others, and only those with the mark. */
function selectorOf(target: RolloutTarget, selector: Manifest['spec']['selector'], change: Labels): Selector | Labels {
  if (target.kind === 'deploymentconfig') return { ...(selector as Labels | undefined), ...change };
  const { matchLabels = {}, matchExpressions } = (selector ?? {}) as Selector;
  const changed = matchExpressions?.filter(({ key }) => !Object.hasOwn(change, key)) ?? [];
  return {
    matchLabels: { ...matchLabels, ...change },
    ...(changed.length > 0 ? { matchExpressions: changed } : {}),
  };
}

/** A copy of a DeploymentConfig rolls when its template changes, and by nothing else. */
function triggersOf(target: RolloutTarget, spec: Manifest['spec']): object {
  return target.kind === 'deploymentconfig' && spec['triggers'] !== null
    ? { triggers: [{ type: 'ConfigChange' }] }
    : {};
}

/** Labels by which tools (Helm, Argo CD, Flux, kustomize) know what is theirs: they would prune what they don't know. */
const toolLabels = /^(helm\.sh|argocd\.argoproj\.io|[\w.]*fluxcd\.io)\/|^app\.kubernetes\.io\/(instance|managed-by)$/;

function ownLabels({ metadata }: KubernetesObject): Labels {
  return Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([key]) => !toolLabels.test(key)));
}

/** Whether Slipway made it to stand beside something. */
export function isOurs({ metadata }: KubernetesObject): boolean {
  return metadata.labels?.[managedBy] === 'slipway' && metadata.annotations?.[besideAnnotation] !== undefined;
}

/** Name of the workload beside which it stands. */
export function besideOf({ metadata }: KubernetesObject): string {
  return metadata.annotations?.[besideAnnotation] ?? '';
}

/** How many replicas that workload had when this was made; 0 if it isn't known. */
export function replicasBefore({ metadata }: KubernetesObject): number {
  const replicas = Number(metadata.annotations?.[replicasAnnotation] ?? 0);
  return Number.isSafeInteger(replicas) && replicas > 0 ? replicas : 0;
}
