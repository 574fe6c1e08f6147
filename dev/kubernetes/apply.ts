import { badRequest, invalid, invalidPatch } from './answers.ts';
import type { Resource, Thing } from './objects.ts';
import { isObject, type Json, keyOf, strategicMerge, unknownFields } from './patch.ts';
import type { World } from './world.ts';
import { created } from './write.ts';

/** What each manager applied last, by world and object: what it says no more is removed. */
const last = new WeakMap<World, Map<string, Json>>();

/** Server-side apply: makes the object, or merges into it. */
export function applied(
  world: World,
  at: { readonly resource: Resource; readonly namespace: string; readonly name: string },
  body: string,
  query: URLSearchParams,
): Thing {
  const { resource, namespace, name } = at;
  const manager = query.get('fieldManager');
  if (!manager) throw badRequest('PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value');
  const given = JSON.parse(body) as Thing;
  if (given.metadata?.name !== name || (given.metadata.namespace ?? '') !== namespace) {
    throw badRequest(`the name or namespace of the object (${given.metadata?.name}) does not match the URL (${name})`);
  }
  const isWorkload = ['deployments', 'statefulsets', 'daemonsets'].includes(resource);
  const unknown =
    isWorkload && query.get('fieldValidation') === 'Strict' ? unknownFields(given as unknown as Json) : [];
  if (unknown.length > 0) throw invalidPatch(unknown.map((it) => `unknown field "${it}"`).join(', '));
  const found = world.get(resource, namespace, name);
  const known = last.get(world) ?? new Map<string, Json>();
  last.set(world, known);
  // Another object of this name has no past.
  const key = `${manager}/${resource}/${namespace}/${name}/${found?.metadata.uid}`;
  const next = JSON.parse(body) as Json;
  const kept = found ? without(found as unknown as Json, known.get(key) ?? {}, next) : {};
  const merged = strategicMerge(kept, next) as unknown as Thing & { spec?: unknown };
  const before = (found as (Thing & { spec?: unknown }) | null)?.spec;
  const template = (spec: unknown) => JSON.stringify((spec as { template?: unknown } | undefined)?.template);
  if (found && resource === 'jobs' && template(before) !== template(merged.spec)) {
    throw invalid(resource, name, `spec.template: Invalid value: ${template(merged.spec)}: field is immutable`);
  }
  const made = found ? merged : created(resource, { ...given, metadata: { ...given.metadata, namespace } });
  const changed = JSON.stringify(before) !== JSON.stringify(merged.spec);
  if (found?.metadata.generation) made.metadata.generation = found.metadata.generation + (changed ? 1 : 0);
  const stored = world.put(resource, made);
  known.set(`${manager}/${resource}/${namespace}/${name}/${stored.metadata.uid}`, next);
  return stored;
}

/** What was said before and is no more, taken out; items of lists by their keys. */
function without(object: Json, before: Json, next: Json): Json {
  if (!isObject(object) || !isObject(before) || !isObject(next)) return object;
  const result = { ...object };
  for (const [field, old] of Object.entries(before)) {
    const there = result[field];
    const now = next[field];
    if (there === undefined) continue;
    const itemKey = keyOf(field);
    if (now === undefined) delete result[field];
    else if (itemKey !== null && Array.isArray(there) && Array.isArray(old) && Array.isArray(now)) {
      const has = (list: Json[], item: Json) =>
        list.some((it) => isObject(it) && isObject(item) && it[itemKey] === item[itemKey]);
      result[field] = there.filter((item) => !has(old, item) || has(now, item));
    } else result[field] = without(there, old, now);
  }
  return result;
}
