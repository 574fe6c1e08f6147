import type { JobFacts, Matched, Order } from './contract.ts';
import type { Context } from './context.ts';
import { CONFIG } from './create.ts';
import { unnamedVolumes } from './mounts.ts';
import { pathOf, requestOf, segment } from './request.ts';
import {
  clientReference,
  familiar,
  fullName,
  isOwn,
  namelessRepository,
  privateName,
  privateRepository,
  type Reference,
  repository,
} from './reference.ts';
import { disallow, misread, quoted, refuse } from './refusal.ts';
import { checkRegistry } from './registry.ts';
import { object } from './shape.ts';

const AUTH = ['x-registry-auth'];

/** POST /images/create: a pull, as one name. */
export function pullImage(matched: Matched, context: Context): Order {
  const from = first(matched, 'fromImage');
  if (first(matched, 'fromSrc') !== '' || from === '') {
    return refuse("an image can't be imported: write a Dockerfile that begins with FROM scratch and ADD.");
  }
  const reference = named(from, first(matched, 'tag'), context.job);
  const why = context.job.refuseImage(fullName(reference));
  if (why !== null) disallow(why);
  checkRegistry(reference.host, context.job.trusted);
  const query = new Map([
    ['fromImage', [`${reference.host}/${reference.path}`]],
    ['tag', [reference.digest ?? reference.tag ?? 'latest']],
    ...optional(matched, 'platform'),
  ]);
  return requestOf(matched, pathOf(matched, '/images/create', query), {
    headers: AUTH,
    effect: { do: 'pulled', reference: familiar(reference) },
  });
}

/** Reads of one image: of what was found, by its id; `get` by its name, for the name is in the archive. */
export function readImage(matched: Matched, context: Context): Order {
  const thing = context.image(imageParam(matched));
  const last = { ImageInspect: 'json', ImageHistory: 'history', ImageGet: 'get' }[matched.endpoint] ?? 'json';
  const query = new Map([...optional(matched, 'platform'), ...optional(matched, 'manifests')]);
  return requestOf(
    matched,
    pathOf(matched, `/images/${segment(last === 'get' ? thing.name : thing.id)}/${last}`, query),
  );
}

export function saveImages(matched: Matched, context: Context): Order {
  const asked = (matched.query.get('names') ?? []).flatMap((names) => names.split(',')).filter((name) => name !== '');
  if (asked.length === 0) misread('Say which images are to be saved.');
  const names = asked.map((name) => context.image(name).name);
  return requestOf(
    matched,
    pathOf(matched, '/images/get', new Map([['names', names], ...optional(matched, 'platform')])),
  );
}

/** POST /images/X/tag: another private name. */
export function tagImage(matched: Matched, context: Context): Order {
  const thing = context.image(imageParam(matched));
  const reference = named(first(matched, 'repo'), first(matched, 'tag'), context.job);
  if (reference.digest !== null) misread('A tag may not have a digest.');
  const query = new Map([
    ['repo', [privateRepository(reference, context.job)]],
    ['tag', [reference.tag ?? 'latest']],
  ]);
  return requestOf(matched, pathOf(matched, `/images/${segment(thing.id)}/tag`, query));
}

/** POST /images/X/push: under its real name, which it has only as long as that takes. */
export function pushImage(matched: Matched, context: Context): Order {
  const asked = named(imageParam(matched), first(matched, 'tag'), context.job);
  if (asked.digest !== null) misread('Push a tag, not a digest.');
  const reference = { ...asked, tag: asked.tag ?? 'latest' };
  const repo = `${reference.host}/${reference.path}`;
  // The operator's rules are for repositories of images, whatever the tag.
  const why = context.job.refusePush(repo);
  if (why !== null) disallow(why);
  const name = familiar(reference);
  const thing = context.image(name);
  if (!isOwn(thing.name, context.job) && !context.asking) {
    refuse(`${quoted(name)} was not made by this job: tag it first (docker tag), then push it.`);
  }
  const query = new Map([['tag', [reference.tag]], ...optional(matched, 'platform')]);
  return requestOf(matched, pathOf(matched, `/images/${segment(repo)}/push`, query), {
    headers: AUTH,
    effect: { do: 'push', from: thing.name, repo, tag: reference.tag },
  });
}

/** DELETE /images/X: only names that the job gave. A shared image is untagged in appearance. */
export function removeImage(matched: Matched, context: Context): Order {
  const name = imageParam(matched);
  const thing = context.image(name);
  const own = isOwn(thing.name, context.job)
    ? [thing.name]
    : (thing.tags ?? []).filter((tag) => isOwn(tag, context.job));
  // By a shared name the shared image is meant, even if the job's tag is on it as well.
  const byId = thing.name === thing.id;
  if (own.length === 0 || !(byId || isOwn(thing.name, context.job))) {
    return { kind: 'answer', status: 200, json: [{ Untagged: name }] };
  }
  const forced = matched.query.get('force')?.[0] === '1';
  if (own.length > 1 && !forced) {
    return {
      kind: 'refusal',
      status: 409,
      message: `conflict: unable to delete ${name} (must be forced) - image is referenced in multiple repositories`,
    };
  }
  const query = new Map([...optional(matched, 'force'), ...optional(matched, 'noprune')]);
  const [path, ...also] = own.map((tag) => pathOf(matched, `/images/${segment(tag)}`, query)) as [string, ...string[]];
  return requestOf(matched, path, also.length === 0 ? {} : { effect: { do: 'untag', also } });
}

/** POST /commit: from an own container, under a private name. */
export function commitContainer(matched: Matched, body: unknown, context: Context): Order {
  const container = context.container(first(matched, 'container').replace(/^\//, ''));
  let volumes: readonly unknown[] = [];
  const { Image: _, ...config } = object(body ?? {}, '', {
    ...CONFIG,
    Image: () => undefined,
    Volumes: (value, where) => {
      volumes = unnamedVolumes(value, where, context);
      return undefined;
    },
  });
  const targets = Object.fromEntries(volumes.map((mount) => [(mount as { Target: string }).Target, {}]));
  const changes = matched.query.get('changes') ?? [];
  if (changes.some((change) => /slipway\./i.test(change)))
    refuse("labels that begin with `slipway.` are Slipway's own.");
  const { repo, tag } = newName(first(matched, 'repo'), first(matched, 'tag'), context);
  const query = new Map<string, readonly string[]>([
    ['container', [container.id]],
    ['repo', [repo]],
    ['tag', [tag]],
    ...optional(matched, 'comment'),
    ...optional(matched, 'author'),
    ...optional(matched, 'pause'),
    ...optional(matched, 'changes'),
  ]);
  const json = { ...config, ...(volumes.length === 0 ? {} : { Volumes: targets }) };
  return requestOf(matched, pathOf(matched, '/commit', query), { json });
}

/** GET /distribution/X/json: the engine asks the registry, as for a pull. */
export function askRegistry(matched: Matched, context: Context): Order {
  const reference = clientReference(imageParam(matched), context.job);
  const why = context.job.refuseImage(fullName(reference));
  if (why !== null) disallow(why);
  checkRegistry(reference.host, context.job.trusted);
  return requestOf(matched, pathOf(matched, `/distribution/${segment(fullName(reference))}/json`), { headers: AUTH });
}

/** A private name for something new; of its own where the client gives none. */
export function newName(repo: string, tag: string, context: Context): { readonly repo: string; readonly tag: string } {
  if (repo === '') return { repo: namelessRepository(context.job), tag: context.nonce };
  const reference = named(repo, tag, context.job);
  if (reference.digest !== null) return misread(`${quoted(repo)} may not have a digest.`);
  return { repo: privateRepository(reference, context.job), tag: reference.tag ?? 'latest' };
}

export function privateTag(text: string, context: Context): string {
  const reference = clientReference(text, context.job);
  if (reference.digest !== null) return misread(`${quoted(text)} may not have a digest.`);
  return privateName(reference, context.job);
}

/** Name and tag (or digest) of two parameters; a tag in the name counts where there is no other. */
function named(name: string, tag: string, job: JobFacts): Reference {
  const reference = clientReference(name, job);
  if (tag === '') return reference;
  const joined = tag.startsWith('sha256:') ? `${repository(reference)}@${tag}` : `${repository(reference)}:${tag}`;
  return clientReference(joined, job);
}

function imageParam(matched: Matched): string {
  return matched.params['image'] ?? '';
}

function first(matched: Matched, name: string): string {
  return matched.query.get(name)?.[0] ?? '';
}

export function optional(matched: Matched, name: string): [string, readonly string[]][] {
  const values = matched.query.get(name);
  return values ? [[name, values]] : [];
}
