import { conflict, invalid, invalidPatch, rejected, unsupportedMediaType } from './answers.ts';
import { resources, type Resource, type Thing, type Workload } from './objects.ts';
import { isPatchList, type Json, jsonPatch, mergePatch, strategicMerge, unknownFields } from './patch.ts';
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
  const asked = (patch as { metadata?: { resourceVersion?: string; uid?: string } } | null)?.metadata ?? {};
  if (asked.uid !== undefined && asked.uid !== uid) {
    throw invalid(resource, name, `metadata.uid: Invalid value: "${asked.uid}": field is immutable`);
  }
  if (asked.resourceVersion !== undefined && asked.resourceVersion !== resourceVersion) {
    throw conflict(resource, name, 'Conflict');
  }
  const unknown = hasTemplate(resource) ? unknownFields(patch) : [];
  if (unknown.length > 0 && query.get('fieldValidation') === 'Strict') {
    throw invalidPatch(`"${body}": strict decoding error: ${unknown.map((it) => `unknown field "${it}"`).join(', ')}`);
  }
  const merged = merge(object as unknown as Json, patch) as unknown as Workload;
  const before = object as Workload;
  const metadata = { ...merged.metadata, resourceVersion, uid } as Thing['metadata'];
  const result = { ...merged, metadata, status: before.status } as Workload;
  if (hasTemplate(resource)) check(resource, before, result);
  const changed =
    JSON.stringify([before.spec, before.metadata.annotations]) !== JSON.stringify([result.spec, metadata.annotations]);
  metadata.generation = (before.metadata.generation ?? 1) + (changed ? 1 : 0);
  const warning = unknown.length === 0 ? null : unknown.map((it) => `299 - "unknown field \\"${it}\\""`).join(', ');
  return { result, warning };
}

/** A new object with what the API server fills in. */
export function withDefaults(resource: Resource, object: Thing): Thing {
  const generation = resources[resource].group === '' ? {} : { generation: 1 };
  return { ...object, ...kindOf(resource), metadata: { ...object.metadata, ...generation } };
}

function mergeFor(contentType: string): (target: Json, patch: Json) => Json {
  const type = contentType.split(';')[0]?.trim();
  if (type === 'application/strategic-merge-patch+json') return strategicMerge;
  if (type === 'application/merge-patch+json') return mergePatch;
  if (type === 'application/json-patch+json') {
    return (target, patch) => {
      const result = isPatchList(patch) ? jsonPatch(target, patch) : null;
      if (result === null) throw rejected();
      return result;
    };
  }
  throw unsupportedMediaType();
}

/** What was posted, with what the API server fills in. It must be as the server wants it. */
export function created(resource: Resource, object: Thing): Thing {
  const { name, uid, resourceVersion, ...metadata } = object.metadata;
  if (resourceVersion !== undefined)
    throw invalid(resource, name, 'resourceVersion should not be set on objects to be created');
  if (uid !== undefined) throw invalid(resource, name, 'metadata.uid: Forbidden: it is set by the server');
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) || name.length > 253) {
    throw invalid(
      resource,
      name,
      `metadata.name: Invalid value: "${name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters`,
    );
  }
  const bare = { ...object, metadata: { name, ...metadata } };
  if (!hasTemplate(resource)) return withDefaults(resource, bare);
  const { status: _status, ...workload } = bare as Workload;
  const replicas = workload.spec.replicas ?? 1;
  const full = { ...workload, spec: { ...workload.spec, replicas } };
  check(resource, full, full);
  // The controller's own: the copy of a Deployment has none of it.
  return withDefaults(resource, full);
}

function hasTemplate(resource: Resource): boolean {
  return resources[resource].group === 'apps';
}

function check(resource: Resource, before: Workload, after: Workload): void {
  const { name } = before.metadata;
  const { replicas, template, selector } = after.spec;
  if (replicas !== undefined && typeof replicas !== 'number')
    throw invalidPatch(`"${String(replicas)}": unrecognized type: int32`);
  const labels = template.metadata?.labels ?? {};
  const misses = Object.entries(selector.matchLabels).some(([key, value]) => labels[key] !== value);
  const causes = [
    ...(misses
      ? [
          `spec.template.metadata.labels: Invalid value: ${JSON.stringify(labels)}: \`selector\` does not match template \`labels\``,
        ]
      : []),
    ...(JSON.stringify(selector) === JSON.stringify(before.spec.selector)
      ? []
      : ['spec.selector: Invalid value: field is immutable']),
    ...Object.entries(labels)
      .filter(([, value]) => value.length > 63)
      .map(([key]) => `spec.template.labels: Invalid value: "${key}": must be no more than 63 characters`),
  ];
  if (causes.length > 0)
    throw invalid(resource, name, causes.length === 1 ? (causes[0] ?? '') : `[${causes.join(', ')}]`);
  const index = template.spec.containers.findIndex((it) => !it.image);
  if (index >= 0) throw invalid(resource, name, `spec.template.spec.containers[${index}].image: Required value`);
}
