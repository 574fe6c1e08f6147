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

/** The key by which the items of a list are told apart, or null if the list is one value. */
export function keyOf(list: string): string | null {
  return mergeKeys[list] ?? null;
}

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

export interface PatchStep {
  readonly op: string;
  readonly path: string;
  readonly value?: Json;
}

export function isPatchList(patch: unknown): patch is PatchStep[] {
  return Array.isArray(patch);
}

/** RFC 6902: add, replace, remove and test. Null if a test fails or a path leads nowhere. */
export function jsonPatch(target: Json, steps: readonly PatchStep[]): Json | null {
  const result = structuredClone(target);
  for (const { op, path, value = null } of steps) {
    const keys = path
      .split('/')
      .slice(1)
      .map((it) => it.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() ?? '';
    let at: Json | undefined = result;
    for (const key of keys)
      at = Array.isArray(at) ? at[Number(key)] : isObject(at ?? null) ? (at as Record<string, Json>)[key] : undefined;
    if (typeof at !== 'object' || at === null) return null;
    const holder = at as Record<string, Json>;
    const isThere = Object.hasOwn(holder, last);
    if (op === 'test') {
      if (!sameJson(holder[last] ?? null, value)) return null;
    } else if (op === 'add' || (op === 'replace' && isThere)) holder[last] = value;
    else if (op === 'remove' && isThere) delete holder[last];
    else return null;
  }
  return result;
}

/** The order of keys makes no difference. */
function sameJson(a: Json, b: Json): boolean {
  if (isObject(a) && isObject(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((it) => sameJson(a[it] ?? null, b[it] ?? null));
  }
  return JSON.stringify(a) === JSON.stringify(b);
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
    'automountServiceAccountToken',
    'hostNetwork',
    'tolerations',
    'affinity',
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

export function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
