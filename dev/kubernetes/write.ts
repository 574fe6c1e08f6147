import { conflict, invalid, invalidPatch, unsupportedMediaType } from './answers.ts';
import type { Resource, Thing, Workload } from './objects.ts';
import { type Json, mergePatch, strategicMerge, unknownFields } from './patch.ts';
import { kindOf } from './world.ts';

/** The object with the patch in it, checked as the API server checks it; its status is never touched. */
export function patched(
  resource: Resource,
  object: Thing,
  contentType: string,
  body: string,
  query: URLSearchParams,
): { readonly result: Thing; readonly warning: string | null } {
  const merge = mergeFor(contentType);
  const patch = JSON.parse(body) as Json;
  const { name, uid, resourceVersion } = object.metadata;
  const asked = (patch as { metadata?: { resourceVersion?: string; uid?: string } }).metadata ?? {};
  if (asked.uid !== undefined && asked.uid !== uid) {
    throw invalid(resource, name, `metadata.uid: Invalid value: "${asked.uid}": field is immutable`);
  }
  if (asked.resourceVersion !== undefined && asked.resourceVersion !== resourceVersion) {
    throw conflict(resource, name, 'Conflict');
  }
  const unknown = unknownFields(patch);
  if (unknown.length > 0 && query.get('fieldValidation') === 'Strict') {
    throw invalidPatch(`"${body}": strict decoding error: ${unknown.map((it) => `unknown field "${it}"`).join(', ')}`);
  }
  const merged = merge(object as unknown as Json, patch) as unknown as Workload;
  const before = object as Workload;
  const metadata = { ...merged.metadata, resourceVersion, uid } as Thing['metadata'];
  const result = { ...merged, metadata, status: before.status } as Workload;
  check(resource, before, result);
  const changed =
    JSON.stringify([before.spec, before.metadata.annotations]) !== JSON.stringify([result.spec, metadata.annotations]);
  metadata.generation = (before.metadata.generation ?? 1) + (changed ? 1 : 0);
  const warning = unknown.length === 0 ? null : unknown.map((it) => `299 - "unknown field \\"${it}\\""`).join(', ');
  return { result, warning };
}

/** A new object with what the API server fills in. */
export function withDefaults(resource: Resource, object: Thing): Thing {
  const generation = resource === 'pods' || resource === 'resourcequotas' ? {} : { generation: 1 };
  return { ...object, ...kindOf(resource), metadata: { ...object.metadata, ...generation } };
}

function mergeFor(contentType: string): (target: Json, patch: Json) => Json {
  const type = contentType.split(';')[0]?.trim();
  if (type === 'application/strategic-merge-patch+json') return strategicMerge;
  if (type === 'application/merge-patch+json') return mergePatch;
  throw unsupportedMediaType();
}

function check(resource: Resource, before: Workload, after: Workload): void {
  const { name } = before.metadata;
  const { replicas, template, selector } = after.spec;
  if (replicas !== undefined && typeof replicas !== 'number')
    throw invalidPatch(`"${String(replicas)}": unrecognized type: int32`);
  if (JSON.stringify(selector) !== JSON.stringify(before.spec.selector)) {
    throw invalid(resource, name, 'spec.selector: Invalid value: field is immutable');
  }
  const index = template.spec.containers.findIndex((it) => !it.image);
  if (index >= 0) throw invalid(resource, name, `spec.template.spec.containers[${index}].image: Required value`);
}
