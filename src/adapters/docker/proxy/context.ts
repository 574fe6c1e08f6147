import { type BindSource, type Found, type JobFacts, keyOf, type Needs, type Ref, type Thing } from './contract.ts';
import { misread, noNetwork, quoted, Refused, refuse } from './refusal.ts';
import { clientReference, familiar, fullName, isOwn, isPrivate, parseReference, privateName } from './reference.ts';
import { missing } from './missing.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}$/;
const IMAGE_ID = /^(?:sha256:)?[0-9a-f]{4,64}$/;

/**
 * What a rule asks for while it builds the request. The same rule runs twice: first to learn what it names (`asking`),
 * then with what the server found (`knowing`): so both can't differ.
 */
export interface Context {
  readonly job: JobFacts;
  readonly nonce: string;
  /** In the first run: what is looked up is not real. */
  readonly asking: boolean;
  container(name: string, options?: { readonly self?: true }): Thing;
  /** As `container`, but null if there is none. */
  maybe(kind: 'container' | 'network' | 'volume' | 'image', name: string): Thing | null;
  /** The engine's name. `bridge` and `default` are the job's network. */
  network(name: string): Thing;
  volume(name: string): Thing;
  image(name: string): Thing;
  exec(id: string): Thing;
  bind(source: BindSource): { readonly path: string } | { readonly volume: string; readonly subpath: string };
}

type Lookup = (ref: Ref) => Thing | null;
type BindLookup = (source: BindSource) => ReturnType<Context['bind']>;

/** Runs a rule to learn what it names. */
export function asking(job: JobFacts, run: (context: Context) => unknown): Needs {
  const refs = new Map<string, Ref>();
  const binds = new Map<string, BindSource>();
  const nobody = { id: '0'.repeat(64), name: 'unknown' };
  const context = contextOf(
    job,
    '0'.repeat(12),
    true,
    (ref) => {
      const before = refs.get(keyOf(ref));
      // Once refused, always refused; and `self` only where each use of the name allows it.
      const { self, ...strict } = ref;
      const both = before ? before.self && self : self;
      const must = before?.missing === 'refuse' || ref.missing === 'refuse';
      refs.set(keyOf(ref), { ...strict, missing: must ? 'refuse' : 'ignore', ...(both ? { self: true } : {}) });
      return nobody;
    },
    (source) => {
      const before = binds.get(source.source);
      binds.set(source.source, { ...source, create: source.create || before?.create === true });
      return { path: '/unknown' };
    },
  );
  run(context);
  return { refs: [...refs.values()], binds: [...binds.values()] };
}

/** With what the server found. What is missing is refused with the engine's words. */
export function knowing(job: JobFacts, found: Found): Context {
  return contextOf(
    job,
    /^[0-9a-f]{8,32}$/.test(found.nonce) ? found.nonce : refuse('Slipway gave no nonce.'),
    false,
    (ref) => found.things.get(keyOf(ref)) ?? null,
    (source) => {
      const bound = found.binds.get(source.source);
      if (bound === undefined) return refuse(`${quoted(source.source)} can't be mounted.`);
      if ('refusal' in bound) return refuse(bound.refusal);
      return bound;
    },
  );
}

function contextOf(job: JobFacts, nonce: string, asking: boolean, lookup: Lookup, bind: BindLookup): Context {
  function must(ref: Ref): Thing {
    const thing = lookup(ref);
    if (!thing) throw new Refused(missing(ref));
    return thing;
  }
  function refOf(kind: Ref['kind'], name: string): Ref {
    if (!NAME.test(name)) misread(`${quoted(name)} is not the name or id of a ${kind}.`);
    const id = kind === 'exec' || /^[0-9a-f]{64}$/.test(name);
    return { kind, name, candidates: id ? [name] : [job.namePrefix + name], missing: 'refuse' };
  }
  function imageRef(name: string): Ref {
    const id = IMAGE_ID.test(name);
    if (name.startsWith('sha256:')) {
      if (!id) misread(`${quoted(name)} is not the id of an image.`);
      return { kind: 'image', name, candidates: [], missing: 'refuse' };
    }
    const reference = clientReference(name, job);
    const own = reference.digest === null ? [privateName(reference, job)] : [];
    return { kind: 'image', name, candidates: [...own, familiar(reference)], missing: 'refuse' };
  }
  const context: Context = {
    job,
    nonce,
    asking,
    container: (name, options) => must({ ...refOf('container', name), ...options }),
    maybe(kind, name) {
      const ref = kind === 'image' ? imageRef(name) : refOf(kind, name);
      return lookup({ ...ref, missing: 'ignore' });
    },
    network(name) {
      if (name === 'bridge' || name === 'default' || (job.network !== null && name === job.network)) {
        if (job.network === null)
          return refuse(
            `${noNetwork(job)} Its containers have none but their own: add \`--network none\` to docker run.`,
          );
        return { id: job.network, name: job.network };
      }
      return must(refOf('network', name));
    },
    volume: (name) => must(refOf('volume', name)),
    image(name) {
      const ref = imageRef(name);
      const thing = must(ref);
      checkUse(thing, ref, job);
      return thing;
    },
    exec: (id) => must(refOf('exec', id)),
    bind,
  };
  return context;
}

/** The operator may keep shared images from a job; its own are always its. */
function checkUse(thing: Thing, ref: Ref, job: JobFacts): void {
  if (isOwn(thing.name, job)) return;
  const named = thing.name === ref.candidates.at(-1) ? [thing.name] : (thing.tags ?? []);
  if (named.some((name) => isOwn(name, job))) return;
  let why: string | null = null;
  for (const name of named) {
    const reference = isPrivate(name, job) ? null : parseReference(name);
    if (!reference) continue;
    why = job.refuseImage(fullName(reference));
    if (why === null) return;
  }
  if (why !== null) refuse(why);
}
