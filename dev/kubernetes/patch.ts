/** Patch semantics of the API server, for the fields that workloads have. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Lists that strategic merge matches by a key instead of replacing (their patchMergeKey in the API's types). */
const mergeKeys: Record<string, string> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  ports: 'containerPort',
};

/** What is added to a list comes first: that is how a wrong container name goes unnoticed. */
export function strategicMerge(target: Json, patch: Json): Json {
  if (!isObject(target) || !isObject(patch)) return patch;
  const result = { ...target };
  for (const [key, value] of Object.entries(patch)) {
    const mergeKey = mergeKeys[key];
    const before = result[key] ?? null;
    if (value === null) delete result[key];
    else if (mergeKey !== undefined && Array.isArray(value)) {
      result[key] = mergeList(Array.isArray(before) ? before : [], value, mergeKey);
    } else if (isObject(value)) result[key] = strategicMerge(isObject(before) ? before : {}, value);
    else result[key] = value;
  }
  return result;
}

/** RFC 7386: lists are replaced. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key] ?? null, value);
  }
  return result;
}

/** Paths in the patch that a workload doesn't have, as far as the stand-in knows its fields. */
export function unknownFields(patch: Json): string[] {
  return unknownIn(patch, '', '');
}

const known: Record<string, readonly string[]> = {
  '': ['apiVersion', 'kind', 'metadata', 'spec', 'status'],
  spec: [
    'replicas',
    'paused',
    'selector',
    'template',
    'strategy',
    'updateStrategy',
    'progressDeadlineSeconds',
    'revisionHistoryLimit',
    'minReadySeconds',
    'serviceName',
  ],
  'spec.template': ['metadata', 'spec'],
  'spec.template.spec': [
    'containers',
    'initContainers',
    'volumes',
    'terminationGracePeriodSeconds',
    'imagePullSecrets',
    'serviceAccountName',
    'nodeSelector',
    'securityContext',
    'restartPolicy',
    'dnsPolicy',
    'schedulerName',
  ],
};

function unknownIn(value: Json, path: string, prefix: string): string[] {
  if (!isObject(value)) return [];
  const fields = known[path];
  if (!fields) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    if (!fields.includes(key)) return [`${prefix}${key}`];
    return unknownIn(inner, path === '' ? key : `${path}.${key}`, `${prefix}${key}.`);
  });
}

function mergeList(target: Json[], patch: Json[], key: string): Json[] {
  let result = [...target];
  const added: Json[] = [];
  for (const item of patch) {
    if (!isObject(item)) continue;
    const { $patch: directive, ...change } = item;
    const index = result.findIndex((it) => isObject(it) && it[key] === item[key]);
    if (directive === 'delete') result = result.filter((_, at) => at !== index);
    else if (index < 0) added.push(change);
    else result[index] = strategicMerge(result[index] ?? null, change);
  }
  return [...added, ...result];
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
