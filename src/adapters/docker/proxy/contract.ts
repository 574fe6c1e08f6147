/**
 * What the rules (pure) and the server (sockets, engine) of a job's own Docker engine tell each other. For a request:
 *
 *   matched = match(method, url)                      which endpoint, or a Refusal
 *   body    = parseBody(matched, text)                only where matched.body is 'json'; '' is fine
 *   needs   = needs(matched, body, job)               what it names: the server resolves each
 *   order   = rewrite(matched, body, found, job)      what to send to the engine, or the answer itself
 *   json    = answer(matched, json, job, pulled)      where order.answer is 'json' and the engine's status is 2xx
 *
 * Nothing that the client sent reaches the engine as it is, but streams (tar, stdin, BuildKit's session) and the
 * headers in `order.headers`. Content-Type is never the client's: the engine (Go) takes parameters from a body of
 * application/x-www-form-urlencoded or multipart/form-data, before those of the query. application/json for JSON,
 * application/x-tar for streams, none where there is no body.
 */

/** The answer to a request that isn't let through: `{"message": ...}`, as the engine answers. */
export interface Refusal {
  readonly kind: 'refusal';
  /** 400: can't be understood; 403: not allowed; 404: there is no such thing. */
  readonly status: 400 | 403 | 404 | 409 | 501;
  /** For people: what is refused, why, what to do instead. */
  readonly message: string;
}

/** A request whose path is in the table of endpoints. */
export interface Matched {
  readonly kind: 'matched';
  /** Name in the table, as `ContainerCreate`. */
  readonly endpoint: string;
  /** As `1.41`; null: the path named none. */
  readonly version: string | null;
  /** Decoded once and checked: `id` or `name` (of images: with slashes, tag, digest). */
  readonly params: Readonly<Record<string, string>>;
  /** Each name once; its case is that of the table. Names that aren't in the table's row are refused. */
  readonly query: ReadonlyMap<string, readonly string[]>;
  /** `json`: read it whole, up to BODY_LIMIT. `stream`: goes on as it comes. `none`: throw away what comes. */
  readonly body: 'none' | 'json' | 'stream';
}

/** Bytes; a longer JSON body is refused. */
export const BODY_LIMIT = 2 * 1024 * 1024;

export type Kind = 'container' | 'network' | 'volume' | 'image' | 'exec';

/** Something that a request names by the client's words. */
export interface Ref {
  readonly kind: Kind;
  /** As the client wrote it: name, whole or shortened id. */
  readonly name: string;
  /**
   * The engine's names under which it is to be looked for, in this order; after them by id (`name`, where it is hex).
   * Containers, networks, volumes, execs count only with the job's labels (an exec: if its container does); images
   * only if `visibleImage` says so.
   */
  readonly candidates: readonly string[];
  /** `refuse`: the server answers the engine's 404 (`missing(ref)`). `ignore`: it just isn't in Found. */
  readonly missing: 'refuse' | 'ignore';
  /** The job's own container may be meant too (`--network container:$(hostname)`); never for anything else. */
  readonly self?: true;
}

/** A path in the job that a container is to see: of its workspace. */
export interface BindSource {
  /** As in the job, normalised, absolute: `/workspace` or below. */
  readonly source: string;
  /** Relative to the workspace, '' for itself; without `..`. Links in it must never lead out, then or later. */
  readonly path: string;
  /** `-v` makes a missing folder, `--mount` doesn't. */
  readonly create: boolean;
}

/**
 * Where the engine finds it. The job can exchange a folder for a link at any time until (and after) the container
 * starts: a path below the workspace is safe only as a mount of the server's own, or as a subpath of a volume.
 */
export type Bound =
  | { readonly path: string }
  | { readonly volume: string; readonly subpath: string }
  | { readonly refusal: string };

export interface Needs {
  readonly refs: readonly Ref[];
  readonly binds: readonly BindSource[];
}

export interface Thing {
  /** The engine's whole id (of a volume: its name). */
  readonly id: string;
  /** The engine's name, without a leading slash (images: the candidate that was found, or the id). */
  readonly name: string;
  /** Of an image: its RepoTags, as the engine says them. */
  readonly tags?: readonly string[];
}

/** What the server found: by `keyOf(ref)`, and by the source of a bind. */
export interface Found {
  readonly things: ReadonlyMap<string, Thing>;
  readonly binds: ReadonlyMap<string, Bound>;
  /** Fresh for each request, 12 hex digits: part of names where the client gives none. */
  readonly nonce: string;
}

export function keyOf(ref: Pick<Ref, 'kind' | 'name'>): string {
  return `${ref.kind}:${ref.name}`;
}

/** What the engine's names, paths and limits are for a job. */
export interface JobFacts {
  /**
   * Layers and cache mounts of BuildKit are shared by those with the same word here (letters and digits): of the
   * repository, and whether it is trusted. Others can't guess it.
   */
  readonly cacheNamespace: string;
  /**
   * False: a stranger's. Its builds begin with what a registry gives them: the classic builder takes `FROM 3f` for any image
   * of the engine whose id begins so. And none is by BuildKit, whose steps no limit holds.
   */
  readonly trusted: boolean;
  /**
   * On everything that is made: slipway.home, slipway.job, slipway.attempt, ..., slipway.kind: inner. What carries them all
   * is the job's own, and nothing else may (not the job's own container, its network, its services).
   */
  readonly labels: Readonly<Record<string, string>>;
  /** Before each name of a container, network and volume, as `slipway-17-1-`. Ends with `-`. */
  readonly namePrefix: string;
  /** Before each name of an image, as `slipway.local/j3f9c...` (64 random bits or more: it is a secret to other jobs). */
  readonly imagePrefix: string;
  readonly limits: { readonly memory: number; readonly cpus: number | null; readonly pids: number };
  /** What a container may have at most: the job's own set, without CAP_. */
  readonly capabilities: readonly string[];
  /** The engine's name of the job's network, which the client sees as `bridge`; null: none, nothing gets one. */
  readonly network: string | null;
  /** For networks that the job makes, as com.docker.network.bridge.*; `{nonce}` in a value becomes 8 hex digits. */
  readonly bridgeOptions: Readonly<Record<string, string>>;
  /** Of OCI runtimes: the operator's for this job; null: the engine's default. */
  readonly runtime: string | null;
  /** The workspace as the engine sees it; null: it isn't on the engine's host, binds are refused. */
  readonly workspaceSource: string | null;
  /** Where the job's client finds its socket, beside /var/run/docker.sock: clients mount what DOCKER_HOST says. */
  readonly socketPath?: string;
  /** The proxy's own socket as the engine sees it, for `-v /var/run/docker.sock:...`; null: refused. */
  readonly socketSource: string | null;
  /** Why the job may not use (pull, run, build on) a shared image; null: it may. Normalised: host/path:tag or @digest. */
  refuseImage(reference: string): string | null;
  /** Why the job may not push to that repository of images (host/path, without a tag); null: it may. */
  refusePush(reference: string): string | null;
}

/** `json`: through `answer`. `events`: JSON values one after another through `event`. `stream`: bytes as they come. */
export type AnswerKind = 'json' | 'events' | 'stream' | 'hijack';

/** Goes to the engine. */
export interface EngineRequest {
  readonly kind: 'request';
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Built from checked parts: version, path, query. */
  readonly path: string;
  readonly body: 'none' | 'stream' | { readonly json: unknown };
  /** The client's headers that go along, in lower case; no others but the server's own. */
  readonly headers: readonly string[];
  readonly answer: AnswerKind;
  /** What the server does around it. */
  readonly effect?: Effect;
}

export type Effect =
  /** Before: is there room in what the job's containers have in all? Of a build, `path` has its memory, which may get less. */
  | { readonly do: 'start'; readonly container: string }
  | { readonly do: 'update'; readonly container: string }
  | { readonly do: 'build' }
  /** After success: the job's container joins the network (the answer's Id), so that it reaches what is in it by name. */
  | { readonly do: 'join' }
  /** Before: the job's container leaves the network, or it couldn't be removed. */
  | { readonly do: 'leave'; readonly network: string }
  /** After success: the shared image counts as pulled by the job (`pulled` of `answer`). */
  | { readonly do: 'pulled'; readonly reference: string }
  /** The image `from` gets the name repo:tag, `path` pushes it, and it is taken away again (one at a time for a name; if a
   * shared image had that name, it gets it back). */
  | { readonly do: 'push'; readonly from: string; readonly repo: string; readonly tag: string }
  /** After success: these paths are deleted too, and their answers (arrays) joined to the first. */
  | { readonly do: 'untag'; readonly also: readonly string[] };

/** Answered without the engine. */
export interface LocalAnswer {
  readonly kind: 'answer';
  readonly status: 200 | 201 | 204;
  readonly json: unknown;
}

export type Order = EngineRequest | LocalAnswer | Refusal;

/** The rules, as `rules.ts` exports them. All pure; none throws, whatever comes. */
export interface Rules {
  match(method: string, url: string): Matched | Refusal;
  /** `text` is the whole body. Keys keep the table's case: Go would take any. */
  parseBody(matched: Matched, text: string): { readonly kind: 'body'; readonly json: unknown } | Refusal;
  needs(matched: Matched, body: unknown, job: JobFacts): Needs | Refusal;
  /** The engine's own 404 for what isn't there, or isn't the job's. */
  missing(ref: Ref): Refusal;
  /** The engine's answer to GET /images/X/json: may the job know and use it? */
  visibleImage(inspect: unknown, job: JobFacts): boolean;
  rewrite(matched: Matched, body: unknown, found: Found, job: JobFacts): Order;
  /** `pulled`: references of shared images that the job pulled. */
  answer(matched: Matched, json: unknown, job: JobFacts, pulled: readonly string[]): unknown;
  /** One record of the event stream; null: not the job's. */
  event(json: unknown, job: JobFacts): unknown;
  /** The engine's error message in the client's names: without prefixes and host paths. */
  errorMessage(message: string, job: JobFacts): string;
}
