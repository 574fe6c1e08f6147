import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { ArchiveRef, BuildRequest, ImageBuilder, Tree } from '#src/engine/ports.ts';
import { type Outcome, PlatformError, success, UserError } from '#src/model/outcome.ts';
import { apart, type Apart } from './apart.ts';
import { openContext } from './context.ts';
import { excerpt, explainFailure, locate } from './dockerfile.ts';
import { BuildProgress } from './progress.ts';
import { temporaryName } from './leftovers.ts';
import { lockByName, type Lock } from './lock.ts';
import { type BuildLog, openLog } from './log.ts';
import { type PushResult, push } from './push.ts';
import { fetchBuilt } from './reuse.ts';
import type { CredentialsOf } from './registry-name.ts';
import { openSession } from './session.ts';
import { refuseStrange } from './strange.ts';
import { createTemporaries } from './temporary.ts';
import { loadTraceDecoder } from './trace.ts';
import { dial, engineError, records } from './wire.ts';

export interface ImageBuilderOptions {
  readonly docker: Docker;
  /** The operator's credentials by registry: for pushes and for base images. */
  readonly credentialsOf: CredentialsOf;
  /** True if there are any such credentials: then the engine may have images that aren't for everybody. Default: false. */
  readonly hasAccounts?: boolean;
  /** A secret of the server's, by which caches are kept apart. Default: none. */
  readonly key?: Buffer;
  /** Opens an archive that the executor stored. */
  readonly openArchive: (ref: ArchiveRef) => Promise<Readable>;
  /**
   * Null if what builds run is kept from the host's network, or why not: a stranger's has no network then. Default: nobody
   * asks, and it has one.
   */
  readonly unguarded?: () => Promise<string | null>;
  /** Waits between attempts to push if the registry can't be reached, milliseconds. */
  readonly retryDelaysMs?: readonly number[];
}

/** The author's failure, as a sentence for people. */
interface Failed {
  readonly failure: string;
}

type Result = Awaited<ReturnType<ImageBuilder['build']>>;

/**
 * Builds images with the engine's BuildKit and pushes them. Step 0 is the build, then comes a step for each tag.
 * A build that is stopped or takes too long is an outcome, as with the executor.
 */
export function openImageBuilder(options: ImageBuilderOptions): ImageBuilder {
  const oneAtATime = lockByName();
  const withTemporary = createTemporaries((name) => removeTag(options.docker, name));
  return {
    async build(request, tree, listener, signal) {
      const timeout = AbortSignal.timeout(request.timeoutMs);
      const log = openLog(request.secrets, listener);
      try {
        const temporary = temporaryName(Date.now());
        const checkedOut = await tree;
        const either = AbortSignal.any([signal, timeout]);
        return await withTemporary(temporary, () =>
          buildAndPush(options, oneAtATime, request, checkedOut, temporary, log, either),
        );
      } catch (error) {
        if (signal.aborted) return without({ kind: 'cancelled', reason: messageOf(signal.reason) });
        if (timeout.aborted) return without({ kind: 'timed_out', reason: tooLong(request.timeoutMs) });
        if (error instanceof UserError) return without({ kind: 'failure', reason: log.mask(error.message) });
        throw engineError(error);
      } finally {
        log.close();
      }
    },
  };
}

async function buildAndPush(
  options: ImageBuilderOptions,
  oneAtATime: Lock,
  request: BuildRequest,
  tree: Tree,
  temporary: string,
  log: BuildLog,
  signal: AbortSignal,
): Promise<Result> {
  const before = request.built ?? null;
  let reused = false;
  const built = await log.step(0, async () => {
    if (before !== null) {
      log.line(`This commit's image was built before: ${before}`);
      const { docker, credentialsOf } = options;
      reused = await fetchBuilt(docker, credentialsOf, before, (text) => log.line(text), signal);
      if (reused) return { built: true };
    }
    return await build(options, request, tree, temporary, log, signal);
  });
  if ('failure' in built) return without({ kind: 'failure', reason: log.mask(built.failure) });

  let image: string | null = null;
  for (const [index, tag] of request.tags.entries()) {
    const repository = request.build.image;
    if (repository === null) throw new UserError('`build` names no image to push to. Add `image`.');
    // Builds that push under the same name would otherwise push each other's image.
    const pushed = await oneAtATime(`${repository}:${tag}`, () =>
      log.step(index + 1, () =>
        pushTag(options, reused && before !== null ? before : temporary, repository, tag, log, signal),
      ),
    );
    if ('failure' in pushed) return without({ kind: 'failure', reason: log.mask(pushed.failure) });
    if (image !== null && image !== pushed.image)
      throw new PlatformError(`The registry has ${pushed.image} under ${tag}, but ${image} under the tag before.`);
    image = pushed.image;
  }
  if (reused && before !== null && image !== before) {
    // An engine that didn't build it may pack the same layers differently.
    log.line(`The registry has the same layers as ${image} under these tags. What is deployed is still ${before}.`);
    return { outcome: success, image: before };
  }
  return { outcome: success, image };
}

async function pushTag(
  options: ImageBuilderOptions,
  built: string,
  repository: string,
  tag: string,
  log: BuildLog,
  signal: AbortSignal,
): Promise<{ readonly image: string } | Failed> {
  const name = `${repository}:${tag}`;
  signal.throwIfAborted();
  await options.docker.getImage(built).tag({ repo: repository, tag, abortSignal: signal });
  let pushed: PushResult | null = null;
  try {
    log.line(`Pushing ${name}`);
    const { docker, credentialsOf, retryDelaysMs = [1000, 5000, 15_000] } = options;
    pushed = await push({ docker, credentialsOf, retryDelaysMs }, repository, tag, (text) => log.line(text), signal);
  } finally {
    // The engine keeps what was pushed, as cache for the next build. What wasn't must not look as if it were.
    if (pushed?.kind !== 'pushed') await removeTag(options.docker, name);
  }
  if (pushed.kind === 'refused') {
    log.line(pushed.reason);
    return { failure: pushed.reason };
  }
  const image = `${repository}@${pushed.digest}`;
  log.line(image);
  return { image };
}

/** Builds under a temporary name. */
async function build(
  { docker, credentialsOf, hasAccounts = false, key = Buffer.alloc(0), openArchive, unguarded }: ImageBuilderOptions,
  request: BuildRequest,
  tree: Tree,
  name: string,
  log: BuildLog,
  signal: AbortSignal,
): Promise<{ readonly built: true } | Failed> {
  const context = await openContext({
    tree: tree.path,
    context: request.build.context,
    dockerfile: request.build.dockerfile,
    archives: request.inputs.map((ref) => () => openArchive(ref)),
    settled: !request.trusted,
  });
  const file = posix.join(request.build.context, request.build.dockerfile);
  const refused = request.trusted ? null : refuseStrange(file, context.text, request.build.args);
  if (refused !== null) {
    context.tar.destroy();
    log.line(refused);
    return { failure: refused };
  }
  const cutOff = request.network === 'none' || (!request.trusted && (await unguarded?.()) != null);
  if (cutOff && request.network !== 'none') {
    log.line(
      "Slipway: The instructions of this build have no network: it comes from somebody without write permission, and this server doesn't keep builds from the host's own. An operator may set SLIPWAY_GUARD_BRIDGES=docker0.",
    );
  }
  const progress = new BuildProgress((bytes) => log.write(bytes));
  try {
    const decode = await loadTraceDecoder();
    await using session = await openSession(docker, {
      credentialsOf: request.trusted ? credentialsOf : () => null,
      secrets: request.given,
      signal,
    });
    const answer = await dial<Readable>(docker, {
      method: 'POST',
      path: '/build?',
      options: {
        ...buildOptions(request, context.dockerfile, name, session.id, cutOff, apart(key, request)),
        // Of what the engine has by the operator's credentials a stranger gets what the registry gives to anybody.
        ...(hasAccounts && !request.trusted ? { pull: '1' } : {}),
      },
      file: context.tar,
      isStream: true,
      abortSignal: signal,
      statusCodes: { 200: true },
    });
    let error: string | null = null;
    for await (const record of records(answer)) {
      if (record.id === 'moby.buildkit.trace') progress.take(decode(String(record.aux)));
      else if (record.error !== undefined) error = record.error;
    }
    if (error === null) return { built: true };
    const reason = explainFailure(file, error, progress.failed, context.text);
    if (reason === null)
      throw new PlatformError(
        `A base image of ${file} can't be had: ${error.trim()}. See that the Docker engine reaches the registry, then run the job again.`,
      );
    const at = progress.failed && context.text !== null ? locate(context.text, progress.failed.name) : null;
    if (at && context.text !== null) progress.line(`\n${file}\n${excerpt(context.text, at)}`);
    progress.line(`\n${reason}`);
    return { failure: reason };
  } catch (error) {
    // A context that can't be read breaks the connection; it is the cause, not the connection.
    throw context.tar.errored ?? error;
  } finally {
    context.tar.destroy();
  }
}

function buildOptions(
  { build, labels }: BuildRequest,
  dockerfile: string,
  name: string,
  session: string,
  cutOff: boolean,
  { layers, mounts }: Apart,
): Record<string, unknown> {
  return {
    version: '2',
    session,
    buildid: name,
    t: name,
    dockerfile,
    rm: true,
    forcerm: true,
    extrahosts: [`${layers}:127.0.0.1`],
    ...(cutOff ? { networkmode: 'none' } : {}),
    ...(build.target === null ? {} : { target: build.target }),
    buildargs: JSON.stringify({ ...build.args, BUILDKIT_CACHE_MOUNT_NS: mounts }),
    labels: JSON.stringify(labels),
  };
}

async function removeTag(docker: Docker, name: string): Promise<void> {
  try {
    await docker.getImage(name).remove({ noprune: false, force: false });
  } catch {
    // Not built, or the engine is gone: nothing that could be removed.
  }
}

function without(outcome: Outcome): Result {
  return { outcome, image: null };
}

function tooLong(timeoutMs: number): string {
  const text = timeoutMs < 60_000 ? `${timeoutMs / 1000} s` : `${Math.round(timeoutMs / 60_000)} min`;
  return `The image wasn't finished after ${text}. Raise \`timeout\`, or find what hangs in the log.`;
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
