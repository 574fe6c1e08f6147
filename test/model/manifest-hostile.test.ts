import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { manifestKinds } from '#src/model/manifest-kinds.ts';
import { deployment, ingress, problems, service, usual, withField } from './manifests.ts';

const pod = 'spec.template.spec';
const first = `${pod}.containers.0`;

describe('what a hostile pull request would try is refused, with file, object and field', () => {
  it.each<[string, string, RegExp]>([
    [
      "the node's disk",
      withField(`${pod}.volumes.0`, { name: 'x', hostPath: { path: '/' } }),
      /^k8s\/api\.yaml \(Deployment api\): spec\.template\.spec\.volumes\[0\]\.hostPath: a preview has nothing of its node's disk\.$/,
    ],
    [
      "the node's network",
      withField(`${pod}.hostNetwork`, true),
      /spec\.template\.spec\.hostNetwork: a preview has no part in its node's network/,
    ],
    ["the node's processes", withField(`${pod}.hostPID`, true), /hostPID/],
    ["the node's memory", withField(`${pod}.hostIPC`, 'yes'), /hostIPC/],
    [
      'a port of the node',
      withField(`${first}.ports`, [{ containerPort: 80, hostPort: 80 }]),
      /containers\[0\]\.ports\[0\]\.hostPort/,
    ],
    [
      'privilege',
      withField(`${first}.securityContext`, { privileged: true }),
      /containers\[0\]\.securityContext\.privileged: a preview has no privileged container/,
    ],
    [
      'privilege in an init container',
      withField(`${pod}.initContainers.0.securityContext`, { privileged: true }),
      /initContainers\[0\]\.securityContext\.privileged/,
    ],
    [
      'a strong capability',
      withField(`${first}.securityContext`, { capabilities: { add: ['SYS_ADMIN'] } }),
      /capability "SYS_ADMIN"/,
    ],
    ['all capabilities', withField(`${first}.securityContext`, { capabilities: { add: ['ALL'] } }), /capability "ALL"/],
    [
      'no seccomp',
      withField(`${pod}.securityContext`, { seccompProfile: { type: 'Unconfined' } }),
      /seccompProfile\.type: must be RuntimeDefault/,
    ],
    [
      'no AppArmor',
      withField(`${first}.securityContext`, { appArmorProfile: { type: 'Unconfined' } }),
      /appArmorProfile\.type/,
    ],
    [
      'no AppArmor, by an annotation',
      withField('spec.template.metadata.annotations', {
        'container.apparmor.security.beta.kubernetes.io/api': 'unconfined',
      }),
      /this annotation is not allowed/,
    ],
    ['an unmasked /proc', withField(`${first}.securityContext`, { procMount: 'Unmasked' }), /procMount/],
    ['sysctls', withField(`${pod}.securityContext`, { sysctls: [{ name: 'kernel.msgmax', value: '1' }] }), /sysctls/],
    [
      'a host process of Windows',
      withField(`${first}.securityContext`, { windowsOptions: { hostProcess: true } }),
      /windowsOptions/,
    ],
    [
      "somebody's account",
      withField(`${pod}.serviceAccountName`, 'cluster-admin'),
      /serviceAccountName: a preview has no ServiceAccount but "default"/,
    ],
    ["somebody's account, by the older key", withField(`${pod}.serviceAccount`, 'cluster-admin'), /serviceAccount:/],
    ['a token of the cluster', withField(`${pod}.automountServiceAccountToken`, true), /a preview gets no token/],
    [
      'a token in a volume',
      withField(`${pod}.volumes.0`, {
        name: 'x',
        projected: { sources: [{ serviceAccountToken: { path: 'token' } }] },
      }),
      /sources\[0\]\.serviceAccountToken/,
    ],
    [
      'a volume of a driver',
      withField(`${pod}.volumes.0`, { name: 'x', csi: { driver: 'secrets-store.csi.k8s.io' } }),
      /volumes\[0\]\.csi: volumes of a preview are/,
    ],
    [
      'a volume of the network',
      withField(`${pod}.volumes.0`, { name: 'x', nfs: { server: '10.0.0.1', path: '/' } }),
      /volumes\[0\]\.nfs/,
    ],
    ['a node', withField(`${pod}.nodeName`, 'control-plane-1'), /nodeName: the scheduler chooses the node/],
    [
      'the nodes of the control plane',
      withField(`${pod}.tolerations`, [{ key: 'node-role.kubernetes.io/control-plane' }]),
      /tolerations\[0\]/,
    ],
    ['every node', withField(`${pod}.tolerations`, [{ operator: 'Exists' }]), /tolerations\[0\]/],
    [
      'a priority',
      withField(`${pod}.priorityClassName`, 'system-cluster-critical'),
      /priorityClassName: a preview's pods drive out nobody/,
    ],
    ['another runtime', withField(`${pod}.runtimeClassName`, 'runc'), /runtimeClassName/],
    ['something new', withField(`${pod}.hostWhatever`, true), /hostWhatever: is not allowed in a preview/],
    ['a device', withField(`${first}.volumeDevices`, [{ name: 'x', devicePath: '/dev/sda' }]), /volumeDevices/],
    [
      'a probe of something else',
      withField(`${first}.livenessProbe`, { httpGet: { host: '169.254.169.254', port: 80 } }),
      /livenessProbe\.httpGet\.host: probes ask their own pod only/,
    ],
    [
      'a hook to something else',
      withField(`${first}.lifecycle`, { preStop: { tcpSocket: { host: '10.0.0.1', port: 1 } } }),
      /lifecycle\.preStop\.tcpSocket\.host/,
    ],
    [
      'a role of the cloud',
      withField('spec.template.metadata.annotations', { 'iam.amazonaws.com/role': 'admin' }),
      /annotations\["iam\.amazonaws\.com\/role"\]/,
    ],
    [
      'a name in the DNS',
      withField('metadata.annotations', { 'external-dns.alpha.kubernetes.io/hostname': 'acme.com' }),
      /this annotation is not allowed/,
    ],
    [
      "Slipway's labels",
      withField('metadata.labels', { 'slipway.dev/preview': 'other' }),
      /labels of slipway\.dev are set by Slipway/,
    ],
    [
      'another namespace',
      withField('metadata.namespace', 'kube-system'),
      /metadata\.namespace: it names another namespace \("kube-system"\)/,
    ],
    ['finalizers', withField('metadata.finalizers', ['x/y']), /metadata\.finalizers/],
    ['owners', withField('metadata.ownerReferences', [{}]), /metadata\.ownerReferences/],
    [
      'a name that leads elsewhere',
      withField('metadata.name', '../../../../api/v1/namespaces/kube-system'),
      /metadata\.name: must be a name/,
    ],
    ['no name', withField('metadata', { generateName: 'x-' }), /metadata\.generateName/],
    [
      'another version',
      withField('apiVersion', 'apps/v1beta1'),
      /apiVersion: must be apps\/v1 for the kind Deployment/,
    ],
    ['no pods', withField('spec', {}), /spec\.template\.spec: must be the spec of a pod/],
    [
      'rights',
      stringify({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'x' } }),
      /a preview may not hold "RoleBinding"/,
    ],
    [
      'rights everywhere',
      stringify({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'x' } }),
      /may not hold "ClusterRoleBinding"/,
    ],
    [
      'a namespace',
      stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x' } }),
      /may not hold "Namespace"/,
    ],
    [
      "an account's token",
      stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/service-account-token',
        metadata: { name: 'x' },
      }),
      /may not hold "Secret"/,
    ],
    [
      'endpoints',
      stringify({ apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'x' } }),
      /may not hold "Endpoints"/,
    ],
    [
      'a kind of its own',
      stringify({ apiVersion: 'x/v1', kind: 'Deploymentt', metadata: { name: 'x' } }),
      /Allowed are Deployment, StatefulSet/,
    ],
    [
      'a kind that is no text',
      stringify({ apiVersion: 'v1', kind: ['Service'], metadata: { name: 'x' } }),
      /kind: there is none/,
    ],
    [
      'rights in a List',
      stringify({ apiVersion: 'v1', kind: 'List', items: [{ kind: 'Role', metadata: { name: 'x' } }] }),
      /^k8s\/api\.yaml, items\[0\] \(Role x\): kind/,
    ],
    [
      'a List in a List',
      stringify({ apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'v1', kind: 'List', items: [] }] }),
      /may not hold "List"/,
    ],
    [
      'a door in the node',
      service({ type: 'NodePort', ports: [{ port: 80 }] }),
      /spec\.type: must be ClusterIP, not "NodePort"/,
    ],
    ['a door of the cloud', service({ type: 'LoadBalancer', ports: [{ port: 80 }] }), /"LoadBalancer"/],
    ['another name', service({ type: 'ExternalName', externalName: 'db.prod.svc' }), /"ExternalName"/],
    ["somebody's address", service({ externalIPs: ['10.0.0.1'], ports: [{ port: 80 }] }), /spec\.externalIPs/],
    ['an address of the cluster', service({ clusterIP: '10.96.0.10' }), /spec\.clusterIP: the cluster chooses/],
    [
      "production's host",
      ingress(['www.example.com']),
      /spec\.rules\[0\]\.host: the host \("www\.example\.com"\) must have NAMESPACE/,
    ],
    ['a part of a host only', ingress(['x-shop-pr-7.example.com']), /must have NAMESPACE/],
    ["another pull request's host", ingress(['shop-pr-8.example.com']), /must have NAMESPACE/],
    ['every host', ingress([null]), /the host \(none\) must have NAMESPACE/],
    ['hosts by a star', ingress(['*.NAMESPACE.example.com']), /must have NAMESPACE/],
    ['what nobody else wants', ingress([], { defaultBackend: { service: { name: 'api' } } }), /spec\.defaultBackend/],
    [
      'a snippet of a proxy',
      withField(
        'metadata.annotations',
        { 'nginx.ingress.kubernetes.io/configuration-snippet': 'x' },
        ingress(['NAMESPACE.example.com']),
      ),
      /configuration-snippet.*not allowed/,
    ],
    [
      "somebody's volume",
      stringify({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'x' },
        spec: { volumeName: 'prod' },
      }),
      /spec\.volumeName/,
    ],
    [
      "a copy of somebody's volume",
      stringify({
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'x' },
        spec: { dataSourceRef: { namespace: 'prod', name: 'db' } },
      }),
      /spec\.dataSourceRef/,
    ],
    [
      "somebody's volume in a StatefulSet",
      withField(
        'spec.volumeClaimTemplates',
        [{ metadata: { name: 'x' }, spec: { volumeName: 'prod' } }],
        withField('kind', 'StatefulSet'),
      ),
      /volumeClaimTemplates\[0\]\.spec\.volumeName/,
    ],
    [
      'an object twice',
      `${deployment}---${deployment}`,
      /document 2: Deployment api is there already \(k8s\/api\.yaml, document 1\)/,
    ],
    [
      'bombs of aliases',
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]\n`,
      /can't be read: .*alias/,
    ],
    ['no YAML', 'a: [', /k8s\/api\.yaml: it isn't YAML at line 1, column \d/],
    ['no object', '- a\n', /it is no Kubernetes object/],
    ['binary data', 'a: !!binary aGVsbG8=\n', /values that JSON has not/],
    ['kustomize', 'kind: Kustomization\n', /Slipway runs no kustomize/],
    ['nothing', '# nothing\n', /There is no object in k8s\/api\.yaml/],
  ])('%s', (_name, text, message) => {
    const said = problems(text);
    expect(said.length).toBeGreaterThan(0);
    expect(said.join('\n')).toMatch(message);
  });

  it('more than fits', () => {
    const map = (name: string, text = '') =>
      stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { text } });
    expect(problems(Array.from({ length: 101 }, (_, n) => map(`m${n}`)).join('---\n'))).toEqual([
      'The manifests hold 101 objects; at most 100 are taken.',
    ]);
    expect(problems(map('a', 'x'.repeat(1024 * 1024)))[0]).toMatch(/at most 1048576 are taken/);
  });

  it('a kind that the operator does not allow', () => {
    expect(problems(deployment, { kinds: ['Service'] })).toEqual([
      'k8s/api.yaml (Deployment api): kind: a preview may not hold "Deployment". Allowed are Service; the operator\'s file says which (previews: kinds).',
    ]);
  });

  it('kinds that a preview never has, whatever the operator says', () => {
    const kinds = [...usual, 'Role', 'Secret', 'Namespace'];
    for (const kind of ['Role', 'Secret', 'Namespace']) {
      expect(problems(stringify({ apiVersion: 'v1', kind, metadata: { name: 'x' } }), { kinds })).toHaveLength(1);
    }
    expect(manifestKinds.map((it) => it.kind)).not.toContain('Secret');
  });

  it('every problem at once, the first twenty', () => {
    const many = Array.from({ length: 30 }, (_, n) =>
      withField('metadata.name', `a${n}`, withField(`${pod}.hostPID`, true)),
    );
    expect(problems(many.join('---\n'))).toHaveLength(21);
    expect(problems(many.join('---\n')).at(-1)).toBe('... and 10 more.');
  });
});

it.each<[string, string]>([
  ['many keys', Array.from({ length: 40_000 }, (_, index) => `k${index}: 1`).join('\n')],
  ['many documents', '---\n'.repeat(100_000)],
  ['deep lists', '['.repeat(100_000)],
  ['deep maps', Array.from({ length: 700 }, (_, index) => `${' '.repeat(index)}a:`).join('\n')],
  ['many aliases', `a: &a 1\n${Array.from({ length: 30_000 }, (_, index) => `k${index}: *a`).join('\n')}`],
])('%s take no long time', (_name, text) => {
  const start = performance.now();
  expect(problems(text).length).toBeGreaterThan(0);
  expect(performance.now() - start).toBeLessThan(10_000);
});

it('a key that is there twice is refused', () => {
  expect(problems(`${deployment}kind: Service\n`)).toEqual([
    expect.stringMatching(/k8s\/api\.yaml: the key "kind" is there twice, again at line \d+, column 1/),
  ]);
});

it.each(['/;{}', '/ x', '/"', '/#'])('a path that a proxy would take for more is refused (%s)', (path) => {
  const text = ingress(['NAMESPACE.example.com']).replace('path: /\n', `path: ${JSON.stringify(path)}\n`);
  expect(problems(text).join('\n')).toMatch(/spec\.rules\[0\]\.http\.paths\[0\]\.path: must hold no spaces/);
});
