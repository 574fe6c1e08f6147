import { describe, expect, it } from '@jest/globals';
import { beside, besideOf, isOurs, type Manifest, replicasBefore } from '#src/adapters/kubernetes/beside.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';

const target: RolloutTarget = {
  kind: 'deployment',
  cluster: null,
  namespace: 'shop',
  name: 'api',
  container: 'api',
  image: 'image',
};
const wish = { name: 'api-slipway-canary', images: { api: 'new' }, replicas: 2, labels: null };
const template = {
  metadata: { labels: { app: 'api', team: 'a' } },
  spec: { containers: [{ name: 'api', image: 'old' }], imagePullSecrets: [{ name: 'pull' }] },
};
const stable: Manifest = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: {
    name: 'api',
    namespace: 'shop',
    uid: 'u',
    resourceVersion: '7',
    generation: 3,
    labels: { app: 'api', 'argocd.argoproj.io/instance': 'shop' },
    annotations: {
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
      'deployment.kubernetes.io/revision': '4',
      note: 'x',
    },
  },
  spec: { replicas: 5, selector: { matchLabels: { app: 'api' } }, minReadySeconds: 3, template },
};

describe('what stands beside a Deployment', () => {
  const made = beside(target, { ...stable, status: { replicas: 5 } } as Manifest, wish);

  it('has nothing that belongs to the one it is copied from', () => {
    expect(Object.keys(made)).toEqual(['apiVersion', 'kind', 'metadata', 'spec']);
    expect(Object.keys(made.metadata).toSorted()).toEqual(['annotations', 'labels', 'name', 'namespace']);
    expect(Object.keys(made.metadata.annotations ?? {}).toSorted()).toEqual([
      'kubernetes.io/change-cause',
      'slipway.dev/beside',
      'slipway.dev/replicas',
    ]);
  });

  it('isn’t taken for a part of what a GitOps tool applies and prunes', () => {
    expect(made.metadata.labels).toEqual({
      app: 'api',
      'slipway.dev/beside': 'api',
      'app.kubernetes.io/managed-by': 'slipway',
    });
  });

  it('has the rest of its spec, and selects its own pods only', () => {
    expect(made.spec).toEqual({
      replicas: 2,
      paused: false,
      minReadySeconds: 3,
      selector: { matchLabels: { app: 'api', 'slipway.dev/beside': 'api' } },
      template: {
        metadata: { labels: { app: 'api', team: 'a', 'slipway.dev/beside': 'api' } },
        spec: { containers: [{ name: 'api', image: 'new' }], imagePullSecrets: [{ name: 'pull' }] },
      },
    });
  });

  it('is known again', () => {
    expect([isOurs(made), besideOf(made), replicasBefore(made)]).toEqual([true, 'api', 5]);
    expect([isOurs(stable), besideOf(stable), replicasBefore(stable)]).toEqual([false, '', 0]);
  });

  it('keeps the expressions of a selector, but those on labels that are others now', () => {
    const expression = (key: string) => ({ key, operator: 'In', values: ['a'] });
    const selector = { matchLabels: { app: 'api' }, matchExpressions: [expression('team'), expression('app')] };
    const green = beside(
      target,
      { ...stable, spec: { ...stable.spec, selector } },
      { ...wish, labels: { app: 'green' } },
    );
    expect(green.spec.selector).toEqual({
      matchLabels: { app: 'green', 'slipway.dev/beside': 'api' },
      matchExpressions: [expression('team')],
    });
    expect(green.spec.template.metadata?.labels).toMatchObject({ app: 'green', team: 'a' });
  });
});

describe('what stands beside a DeploymentConfig', () => {
  const config = { ...target, kind: 'deploymentconfig' as const };
  const raw: Manifest = {
    ...stable,
    apiVersion: 'apps.openshift.io/v1',
    kind: 'DeploymentConfig',
    spec: {
      ...stable.spec,
      selector: { app: 'api' },
      triggers: [{ type: 'ConfigChange' }, { type: 'ImageChange', imageChangeParams: { automatic: true } }],
    },
  };

  it('selects by its labels alone, and rolls when it is changed and only then', () => {
    const made = beside(config, raw, wish);
    expect(made).toMatchObject({ apiVersion: 'apps.openshift.io/v1', kind: 'DeploymentConfig' });
    expect(made.spec.selector).toEqual({ app: 'api', 'slipway.dev/beside': 'api' });
    expect(made.spec['triggers']).toEqual([{ type: 'ConfigChange' }]);
  });
});
