import {
  type Fields,
  fieldsOf,
  isFields,
  isSet,
  join,
  listOf,
  type Problem,
  unknownKeys,
  type Value,
} from './manifest-value.ts';

/**
 * What a pod of a preview may not have: everything that reaches out of it into its node or other namespaces. Kubernetes' own
 * baseline (https://kubernetes.io/docs/concepts/security/pod-security-standards/) is the least; beyond it nothing that chooses an
 * identity, a priority or a node. Only what is known to be harmless passes.
 */
export function podProblems(spec: Value | undefined, path: string): readonly Problem[] {
  if (!isFields(spec)) return [{ path, message: 'must be the spec of a pod' }];
  const containers = [
    ...itemsOf(spec['containers'], join(path, 'containers')),
    ...itemsOf(spec['initContainers'], join(path, 'initContainers')),
  ];
  return [
    ...unknownKeys(spec, podKeys, path).map((it) => ({ ...it, message: reasons[lastKey(it.path)] ?? it.message })),
    ...otherAccount(spec, path),
    ...(spec['automountServiceAccountToken'] === true
      ? [{ path: join(path, 'automountServiceAccountToken'), message: 'a preview gets no token of the cluster' }]
      : []),
    ...podSecurity(fieldsOf(spec['securityContext']), join(path, 'securityContext')),
    ...itemsOf(spec['volumes'], join(path, 'volumes')).flatMap(([volume, at]) => volumeProblems(volume, at)),
    ...itemsOf(spec['tolerations'], join(path, 'tolerations')).flatMap(([it, at]) => tolerationProblems(it, at)),
    ...containers.flatMap(([container, at]) => containerProblems(container, at)),
  ];
}

/** What a claim of storage may not have. */
export function claimProblems(spec: Value | undefined, path: string): readonly Problem[] {
  return unknownKeys(fieldsOf(spec), claimKeys, path);
}

/** A template of claims; its metadata may hold labels and a name. */
export function claimTemplateProblems(template: Value | undefined, path: string): readonly Problem[] {
  const { metadata, spec } = fieldsOf(template);
  const known = new Set(['name', 'labels', 'creationTimestamp']);
  return [
    ...unknownKeys(fieldsOf(metadata), known, join(path, 'metadata')),
    ...claimProblems(spec, join(path, 'spec')),
  ];
}

const podKeys = new Set([
  'containers',
  'initContainers',
  'volumes',
  'restartPolicy',
  'terminationGracePeriodSeconds',
  'activeDeadlineSeconds',
  'dnsPolicy',
  'dnsConfig',
  'nodeSelector',
  'affinity',
  'topologySpreadConstraints',
  'tolerations',
  'securityContext',
  'imagePullSecrets',
  'hostname',
  'subdomain',
  'setHostnameAsFQDN',
  'hostAliases',
  'enableServiceLinks',
  'shareProcessNamespace',
  'readinessGates',
  'automountServiceAccountToken',
  'serviceAccountName',
  'serviceAccount',
  'preemptionPolicy',
  'schedulerName',
  'os',
]);

const reasons: Readonly<Record<string, string>> = {
  hostNetwork: "a preview has no part in its node's network",
  hostPID: "a preview doesn't see its node's processes",
  hostIPC: "a preview has no part in its node's memory",
  nodeName: 'the scheduler chooses the node',
  priorityClassName: "a preview's pods drive out nobody else's",
  priority: "a preview's pods drive out nobody else's",
  runtimeClassName: "the cluster's own runtime is used",
  ephemeralContainers: 'is not allowed in a preview',
};

function otherAccount(spec: Fields, path: string): readonly Problem[] {
  return ['serviceAccountName', 'serviceAccount']
    .filter((key) => isSet(spec[key]) && spec[key] !== 'default' && spec[key] !== '')
    .map((key) => ({ path: join(path, key), message: 'a preview has no ServiceAccount but "default"' }));
}

/** Those of the control plane, and those that stand for every taint. */
function tolerationProblems(toleration: Fields, path: string): readonly Problem[] {
  const { key } = toleration;
  if (typeof key === 'string' && key !== '' && !key.startsWith('node-role.kubernetes.io/')) return [];
  return [{ path, message: "a preview doesn't run on nodes that are kept for the control plane" }];
}

const volumeTypes = new Set([
  'name',
  'configMap',
  'secret',
  'emptyDir',
  'persistentVolumeClaim',
  'projected',
  'downwardAPI',
  'ephemeral',
]);

function volumeProblems(volume: Fields, path: string): readonly Problem[] {
  const sources = itemsOf(fieldsOf(volume['projected'])['sources'], join(path, 'projected.sources'));
  const template = fieldsOf(volume['ephemeral'])['volumeClaimTemplate'];
  return [
    ...unknownKeys(volume, volumeTypes, path).map(({ path }) => ({
      path,
      message:
        lastKey(path) === 'hostPath'
          ? "a preview has nothing of its node's disk"
          : 'volumes of a preview are configMap, secret, emptyDir, persistentVolumeClaim, projected, downwardAPI or ephemeral',
    })),
    ...sources
      .filter(([source]) => isSet(source['serviceAccountToken']))
      .map(([, at]) => ({ path: join(at, 'serviceAccountToken'), message: 'a preview gets no token of the cluster' })),
    ...claimTemplateProblems(template, join(path, 'ephemeral.volumeClaimTemplate')),
  ];
}

/** Neither a volume that is there already nor a copy of somebody else's. */
const claimKeys = new Set(['accessModes', 'resources', 'storageClassName', 'volumeMode']);

const containerKeys = new Set([
  'name',
  'image',
  'command',
  'args',
  'workingDir',
  'ports',
  'env',
  'envFrom',
  'resources',
  'volumeMounts',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'terminationMessagePath',
  'terminationMessagePolicy',
  'imagePullPolicy',
  'securityContext',
  'stdin',
  'stdinOnce',
  'tty',
  'restartPolicy',
  'resizePolicy',
]);

function containerProblems(container: Fields, path: string): readonly Problem[] {
  const lifecycle = fieldsOf(container['lifecycle']);
  const handlers: readonly (readonly [Value | undefined, string])[] = [
    ...['livenessProbe', 'readinessProbe', 'startupProbe'].map((key) => [container[key], join(path, key)] as const),
    ...['postStart', 'preStop'].map((key) => [lifecycle[key], join(path, `lifecycle.${key}`)] as const),
  ];
  return [
    ...unknownKeys(container, containerKeys, path),
    ...itemsOf(container['ports'], join(path, 'ports'))
      .filter(([port]) => isSet(port['hostPort']) && port['hostPort'] !== 0)
      .map(([, at]) => ({ path: join(at, 'hostPort'), message: 'a preview has no port of its node' })),
    // The node asks these: from there, a preview could ask what it can't reach itself.
    ...handlers.flatMap(([handler, at]) =>
      ['httpGet', 'tcpSocket']
        .filter((key) => isSet(fieldsOf(fieldsOf(handler)[key])['host']))
        .map((key) => ({ path: join(at, `${key}.host`), message: 'probes ask their own pod only' })),
    ),
    ...containerSecurity(fieldsOf(container['securityContext']), join(path, 'securityContext')),
  ];
}

const commonSecurity = ['runAsUser', 'runAsGroup', 'runAsNonRoot', 'seccompProfile', 'appArmorProfile'];
const podSecurityKeys = new Set([
  ...commonSecurity,
  'fsGroup',
  'fsGroupChangePolicy',
  'supplementalGroups',
  'supplementalGroupsPolicy',
]);
const containerSecurityKeys = new Set([
  ...commonSecurity,
  'readOnlyRootFilesystem',
  'allowPrivilegeEscalation',
  'capabilities',
]);

/** Those that Kubernetes' baseline leaves to everybody. */
const capabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

function podSecurity(security: Fields, path: string): readonly Problem[] {
  return [...unknownKeys(security, podSecurityKeys, path), ...profileProblems(security, path)];
}

function containerSecurity(security: Fields, path: string): readonly Problem[] {
  const added = listOf(fieldsOf(security['capabilities'])['add']);
  const strong = added.filter((it) => typeof it !== 'string' || !capabilities.has(it));
  return [
    ...unknownKeys(security, containerSecurityKeys, path).map((it) =>
      lastKey(it.path) === 'privileged' ? { ...it, message: 'a preview has no privileged container' } : it,
    ),
    ...strong.map((it) => ({
      path: join(path, 'capabilities.add'),
      message: `the capability ${JSON.stringify(it)} is not allowed in a preview`,
    })),
    ...profileProblems(security, path),
  ];
}

function profileProblems(security: Fields, path: string): readonly Problem[] {
  return ['seccompProfile', 'appArmorProfile']
    .filter((key) => isSet(security[key]) && fieldsOf(security[key])['type'] !== 'RuntimeDefault')
    .map((key) => ({ path: join(path, `${key}.type`), message: 'must be RuntimeDefault in a preview' }));
}

/** The maps of a list, with their places. */
function itemsOf(value: Value | undefined, path: string): readonly (readonly [Fields, string])[] {
  return listOf(value).map((it, index) => [fieldsOf(it), `${path}[${index}]`] as const);
}

function lastKey(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
