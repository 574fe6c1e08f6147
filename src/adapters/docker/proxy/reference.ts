import type { JobFacts } from './contract.ts';
import { misread, quoted, refuse } from './refusal.ts';

/** The name of an image, as Docker's reference library reads it. */
export interface Reference {
  /** `docker.io` where none is written. */
  readonly host: string;
  /** With `library/` on docker.io. */
  readonly path: string;
  readonly tag: string | null;
  /** `sha256:...`; */
  readonly digest: string | null;
}

const HOST =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::\d{1,5})?$/;
const PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const LENGTH = 255;

/** Where the names of images without a name go. */
const NAMELESS = 'slipway.untagged/image';

/** Null: it is no name of an image. */
export function parseReference(text: string): Reference | null {
  if (text.length > LENGTH + 200) return null;
  const at = text.indexOf('@');
  const digest = at < 0 ? null : text.slice(at + 1);
  if (digest !== null && !DIGEST.test(digest)) return null;
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const tagged = colon > named.lastIndexOf('/');
  const tag = tagged ? named.slice(colon + 1) : null;
  if (tag !== null && !TAG.test(tag)) return null;
  const name = tagged ? named.slice(0, colon) : named;
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hosted = slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const given = hosted ? first.toLowerCase() : 'docker.io';
  const host = given === 'index.docker.io' ? 'docker.io' : given;
  const rest = hosted ? name.slice(slash + 1) : name;
  const path = host === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest;
  if (!HOST.test(host) || path.length > LENGTH || !path.split('/').every((part) => PART.test(part))) return null;
  return { host, path, tag, digest };
}

/** `docker.io/library/alpine:latest` or `...@sha256:...`: for the operator's rules. */
export function fullName(reference: Reference): string {
  return `${reference.host}/${reference.path}${suffix(reference)}`;
}

/** As Docker shows it: `alpine:latest`. Never the form of an id. */
export function familiar(reference: Reference): string {
  return `${repository(reference)}${suffix(reference)}`;
}

/** As Docker shows it, without tag and digest. */
export function repository({ host, path }: Reference): string {
  if (host !== 'docker.io') return `${host}/${path}`;
  return path.startsWith('library/') ? path.slice('library/'.length) : path;
}

/** The name's repository under which the engine knows a job's image: nobody else's. */
export function privateRepository(reference: Reference, job: JobFacts): string {
  const repo = `${job.imagePrefix}/${repository(reference).replace(/^([^/:]+):(\d+)\//, '$1__$2/')}`;
  if (repo.length > LENGTH) misread(`The image's name is too long: ${quoted(repository(reference))}.`);
  return repo;
}

export function privateName(reference: Reference, job: JobFacts): string {
  return `${privateRepository(reference, job)}:${reference.tag ?? 'latest'}`;
}

/** For what the client gives no name: it can be found by its id. */
export function namelessRepository(job: JobFacts): string {
  return `${job.imagePrefix}/${NAMELESS}`;
}

/** Reads a client's name. The job's own prefix may be written (as a Dockerfile has to); other jobs' are refused. */
export function clientReference(text: string, job: JobFacts): Reference {
  const plain = text.startsWith(`${job.imagePrefix}/`) ? plainName(text, job) : text;
  const reference = parseReference(plain);
  if (!reference) return misread(`${quoted(text)} is not the name of an image.`);
  if (reference.host === registryOf(job)) refuse(`${quoted(text)} has a prefix that Slipway keeps for itself.`);
  return reference;
}

/** Whether the name (as in RepoTags) was made by some job. */
export function isPrivate(name: string, job: JobFacts): boolean {
  return name.startsWith(`${registryOf(job)}/`);
}

export function isOwn(name: string, job: JobFacts): boolean {
  return name.startsWith(`${job.imagePrefix}/`);
}

export function isNameless(name: string, job: JobFacts): boolean {
  return name.startsWith(`${namelessRepository(job)}:`);
}

/** Text with the job's private names as its author wrote them. */
export function plainName(text: string, job: JobFacts): string {
  const mark = `${job.imagePrefix}/`;
  if (!text.includes(mark)) return text;
  const [head, ...tails] = text.split(mark) as [string, ...string[]];
  return head + tails.map((tail) => tail.replace(/^([A-Za-z0-9.-]{1,255})__(\d{1,5})\//, '$1:$2/')).join('');
}

function registryOf(job: JobFacts): string {
  return job.imagePrefix.slice(0, job.imagePrefix.indexOf('/'));
}

function suffix({ tag, digest }: Reference): string {
  return digest === null ? `:${tag ?? 'latest'}` : `@${digest}`;
}
