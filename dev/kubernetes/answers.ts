import { type Resource, resources } from './objects.ts';

/** An answer that isn't what was asked for; thrown by whatever handles a request. */
export class Refusal extends Error {
  readonly code: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: number, body: string | object, headers: Readonly<Record<string, string>> = {}) {
    super(`${code}`);
    this.code = code;
    this.body = typeof body === 'string' ? body : JSON.stringify(body);
    this.headers = {
      'content-type': typeof body === 'string' ? 'text/plain; charset=utf-8' : 'application/json',
      ...headers,
    };
  }
}

export function statusBody(code: number, reason: string, message: string, details?: object): object {
  const start = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason };
  return details === undefined ? { ...start, code } : { ...start, details, code };
}

export function unauthorized(): Refusal {
  return new Refusal(401, statusBody(401, 'Unauthorized', 'Unauthorized'));
}

export function forbidden(access: Access, user: string): Refusal {
  const full = access.group === '' ? access.resource : `${access.resource}.${access.group}`;
  const base = full.replace(/\/[^.]*/, '');
  const what = access.name === null ? base : `${base} "${access.name}"`;
  const scope = access.namespace === '' ? 'at the cluster scope' : `in the namespace "${access.namespace}"`;
  const message = `${what} is forbidden: User "${user}" cannot ${access.verb} resource "${access.resource}" in API group "${access.group}" ${scope}`;
  return new Refusal(403, statusBody(403, 'Forbidden', message, detailsOf(access.group, access.resource, access.name)));
}

export function notFound(resource: Resource, name: string): Refusal {
  const { group } = resources[resource];
  const full = group === '' ? resource : `${resource}.${group}`;
  return new Refusal(404, statusBody(404, 'NotFound', `${full} "${name}" not found`, detailsOf(group, resource, name)));
}

export function conflict(resource: Resource, name: string, reason: 'Conflict' | 'AlreadyExists'): Refusal {
  const { group } = resources[resource];
  const full = `${resource}${group === '' ? '' : `.${group}`}`;
  const message =
    reason === 'Conflict'
      ? `Operation cannot be fulfilled on ${full} "${name}": the object has been modified; please apply your changes to the latest version and try again`
      : `${full} "${name}" already exists`;
  return new Refusal(409, statusBody(409, reason, message, detailsOf(group, resource, name)));
}

export function invalid(resource: Resource, name: string, cause: string): Refusal {
  const { group, kind } = resources[resource];
  const message = `${kind}.${group} "${name}" is invalid: ${cause}`;
  return new Refusal(422, statusBody(422, 'Invalid', message, { name, group, kind }));
}

export function invalidPatch(cause: string): Refusal {
  return new Refusal(422, statusBody(422, 'Invalid', ` "" is invalid: patch: Invalid value: ${cause}`, {}));
}

/** A JSON patch of which a test fails, or that doesn't fit. */
export function rejected(): Refusal {
  return new Refusal(
    422,
    statusBody(422, 'Invalid', 'the server rejected our request due to an error in our request', {}),
  );
}

/** A DELETE whose precondition doesn't hold. */
export function precondition(resource: Resource, name: string, wanted: string, found: string): Refusal {
  const { group } = resources[resource];
  const full = `${resource}${group === '' ? '' : `.${group}`}`;
  const message = `Operation cannot be fulfilled on ${full} "${name}": Precondition failed: UID in precondition: ${wanted}, UID in object meta: ${found}`;
  return new Refusal(409, statusBody(409, 'Conflict', message, detailsOf(group, resource, name)));
}

export function unsupportedMediaType(): Refusal {
  return new Refusal(415, statusBody(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {}));
}

export function badRequest(message: string): Refusal {
  return new Refusal(400, statusBody(400, 'BadRequest', message));
}

export function expired(message: string): object {
  return statusBody(410, 'Expired', message);
}

/** What a request wants to do. */
export interface Access {
  readonly verb: string;
  readonly group: string;
  /** With the subresource: `pods/log`. */
  readonly resource: string;
  readonly namespace: string;
  /** Null: all of them. */
  readonly name: string | null;
}

function detailsOf(group: string, resource: string, name: string | null): object {
  const kind = resource.split('/')[0];
  return { ...(name === null ? {} : { name }), ...(group === '' ? {} : { group }), kind };
}
