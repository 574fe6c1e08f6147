import { createHash } from 'node:crypto';
import type { PreviewRequest } from '#src/engine/ports-deploy.ts';

/** By these labels Slipway knows its own: on namespaces, and on everything that it applied in them. */
const managed = 'app.kubernetes.io/managed-by';
const repositoryLabel = 'slipway.dev/repository';
const pullRequestLabel = 'slipway.dev/pull-request';
export const previewLabel = 'slipway.dev/preview';

export type Preview = Pick<PreviewRequest, 'namespace' | 'repository' | 'number'>;

/** Whose namespace it is. A repository's name may be longer than a label: its hash tells it. */
export function ownLabels({ repository, number }: Preview): Readonly<Record<string, string>> {
  const hash = createHash('sha256').update(repository.toLowerCase()).digest('hex').slice(0, 40);
  return { [managed]: 'slipway', [repositoryLabel]: hash, [pullRequestLabel]: String(number) };
}

export function namespaceObject(preview: Preview): object {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name: preview.namespace,
      labels: { ...ownLabels(preview), 'pod-security.kubernetes.io/enforce': 'baseline' },
      annotations: { 'slipway.dev/repository': preview.repository },
    },
  };
}

/** Addresses of networks that nobody reaches from outside, the cluster's own among them, and of metadata. */
const inside = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'];

/** What every preview's namespace holds before anything of the repository comes into it. `path` is relative to the namespace. */
export function fences({
  namespace,
  rule,
}: PreviewRequest): readonly { readonly path: string; readonly body: object }[] {
  const metadata = { name: 'slipway', namespace };
  const network = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata,
    spec: {
      podSelector: {},
      policyTypes: ['Ingress', 'Egress'],
      // From itself, and from namespaces that are no previews: whoever brings people's requests lives in one.
      ingress: [
        {
          from: [
            { podSelector: {} },
            { namespaceSelector: { matchExpressions: [{ key: pullRequestLabel, operator: 'DoesNotExist' }] } },
          ],
        },
      ],
      // To itself, to whoever answers for names, and to the public Internet.
      egress: [
        { to: [{ podSelector: {} }] },
        { ports: [53, 5353].flatMap((port) => ['UDP', 'TCP'].map((protocol) => ({ protocol, port }))) },
        { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: inside } }, { ipBlock: { cidr: '2000::/3' } }] },
      ],
    },
  };
  const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata, spec: { hard: rule.quota } };
  const limits = {
    apiVersion: 'v1',
    kind: 'LimitRange',
    metadata,
    spec: { limits: [{ type: 'Container', default: rule.limits }] },
  };
  const at = (group: string, plural: string): string => `/${group}/namespaces/${namespace}/${plural}/slipway`;
  return [
    { path: at('apis/networking.k8s.io/v1', 'networkpolicies'), body: network },
    ...(Object.keys(rule.quota).length > 0 ? [{ path: at('api/v1', 'resourcequotas'), body: quota }] : []),
    ...(Object.keys(rule.limits).length > 0 ? [{ path: at('api/v1', 'limitranges'), body: limits }] : []),
  ];
}
